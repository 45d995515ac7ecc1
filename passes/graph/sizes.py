"""The entries of small integers, of which exporters compute the sizes of Reshape and Expand."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from graphopt.passes.graph import axes, constants

__all__ = ["Entry", "Sizes", "broadcasts_into", "same_dimensions", "same_shape"]

Entry = int | ir.SymbolicDim | None
"""A number, a symbol that is a size of some value (and so never negative), or unknown."""

_FEW = 32
_FARTHEST = 64
"""Nodes that are followed; sizes are computed within fewer."""
_KEEPS_ENTRIES = frozenset({"Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten"})


class Sizes:
    """Follows integers from Shape to where they are read.

    The entries of a value of rank 0 or 1, in order, are found by going back through what moves them
    and through products; an entry is claimed only where it is proved. Answers are kept, so an
    instance serves one pass; it may replace values by equal ones meanwhile.
    """

    def __init__(self) -> None:
        self._known: dict[ir.Value, tuple[Entry, ...] | None] = {}
        self._steps = 0

    def entries(self, value: ir.Value | None) -> tuple[Entry, ...] | None:
        """The entries of ``value``, or None where not even their number is known."""
        if value is None or axes.rank(value) not in (0, 1) or self._steps > _FARTHEST:
            return None
        if value not in self._known:
            self._steps += 1
            self._known[value] = self._find(value)
            self._steps -= 1
        return self._known[value]

    def _find(self, value: ir.Value) -> tuple[Entry, ...] | None:
        tensor = constants.constant_tensor(value)
        if tensor is not None:
            few = tensor.size <= _FEW and tensor.dtype.is_integer()
            return tuple(int(entry) for entry in tensor.numpy().reshape(-1)) if few else None
        node = value.producer()
        if node is None or node.domain:
            return None
        if node.op_type == "Shape":
            return _dimensions(node)
        if node.op_type in _KEEPS_ENTRIES:
            return self.entries(node.inputs[0])
        finder = {
            "Cast": self._cast,
            "Concat": self._concat,
            "Gather": self._gather,
            "Slice": self._slice,
            "Mul": self._product,
            "ConstantOfShape": self._filled,
            "Where": self._where,
        }.get(node.op_type)
        return None if finder is None else finder(node)

    def _cast(self, node: ir.Node) -> tuple[Entry, ...] | None:
        to = ir.DataType(node.attributes.get_int("to", 0))
        return self.entries(node.inputs[0]) if to == ir.DataType.INT64 else None

    def _concat(self, node: ir.Node) -> tuple[Entry, ...] | None:
        parts = [self.entries(value) for value in node.inputs]
        if any(part is None for part in parts):
            return None
        return tuple(entry for part in parts for entry in part or ())

    def _gather(self, node: ir.Node) -> tuple[Entry, ...] | None:
        data, chosen = self.entries(node.inputs[0]), self._numbers(node.inputs[1])
        if data is None or chosen is None or axes.rank(node.inputs[0]) != 1:
            return None
        if any(not -len(data) <= index < len(data) for index in chosen):
            return None
        return tuple(data[index] for index in chosen)

    def _slice(self, node: ir.Node) -> tuple[Entry, ...] | None:
        if len(node.inputs) < 3:  # below opset 10 the bounds were attributes
            return None
        data = self.entries(node.inputs[0])
        bounds = [self._numbers(value) for value in node.inputs[1:3]]
        steps = [1] if len(node.inputs) < 5 else self._numbers(node.inputs[4])
        if data is None or steps != [1] or any(b is None or len(b) != 1 for b in bounds):
            return None
        start, stop = (bound[0] for bound in bounds if bound is not None)
        return data[start:stop]

    def _product(self, node: ir.Node) -> tuple[Entry, ...] | None:
        left, right = (self.entries(value) for value in node.inputs)
        if left is None or right is None:
            return None
        length = max(len(left), len(right))
        if {len(left), len(right)} - {1, length}:
            return None
        pairs = zip(_repeated(left, length), _repeated(right, length), strict=True)
        return tuple(_times(a, b) for a, b in pairs)

    def _filled(self, node: ir.Node) -> tuple[Entry, ...] | None:
        length, filler = self._numbers(node.inputs[0]), node.attributes.get_tensor("value", None)
        if length is None or len(length) != 1 or not 0 <= length[0] <= _FEW or filler is None:
            return None
        if not filler.dtype.is_integer():
            return None
        return (int(filler.numpy().reshape(-1)[0]),) * length[0]

    def _where(self, node: ir.Node) -> tuple[Entry, ...] | None:
        """Exporters write Where(sizes == -1, 1, sizes): no symbol is negative."""
        test = None if node.inputs[0] is None else node.inputs[0].producer()
        branches = [self.entries(value) for value in node.inputs[1:]]
        if test is None or test.op_type != "Equal" or test.domain:
            return None
        sides = [self.entries(value) for value in test.inputs]
        known = [entries for entries in (*sides, *branches) if entries is not None]
        if len(known) < 4 or len({len(entries) for entries in known}) != 1:
            return None
        return tuple(
            _chosen(_are_equal(a, b), yes, no) for a, b, yes, no in zip(*known, strict=True)
        )

    def _numbers(self, value: ir.Value | None) -> list[int] | None:
        entries = self.entries(value)
        numbers = [entry for entry in entries or () if isinstance(entry, int)]
        return numbers if entries is not None and len(numbers) == len(entries) else None


def same_dimensions(one: Sequence[Entry], two: Sequence[Entry]) -> bool:
    """True where the dimensions are proved equal, one by one."""
    if len(one) != len(two):
        return False
    return all(a is not None and a == b for a, b in zip(one, two, strict=True))


def same_shape(one: ir.Value, two: ir.Value) -> bool:
    """True where both values are proved to have one shape."""
    ranks = axes.rank(one), axes.rank(two)
    if ranks[0] is None or ranks[0] != ranks[1]:
        return False
    return same_dimensions(*([axes.dimension(v, i) for i in range(ranks[0])] for v in (one, two)))


def broadcasts_into(value: ir.Value | None, target: ir.Value) -> bool:
    """True where ``value``, broadcast with ``target``, is proved not to change its shape."""
    own, count = axes.rank(value), axes.rank(target)
    if value is None or own is None or count is None or own > count:
        return False
    pairs = [
        (axes.dimension(value, axis), axes.dimension(target, axis + count - own))
        for axis in range(own)
    ]
    return all(dim == 1 or (dim is not None and dim == other) for dim, other in pairs)


def _dimensions(node: ir.Node) -> tuple[Entry, ...] | None:
    value = node.inputs[0]
    rank = axes.rank(value)
    if value is None or rank is None:
        return None
    found = [axes.dimension(value, axis) for axis in range(rank)]
    start, end = node.attributes.get_int("start", 0), node.attributes.get_int("end", rank)
    return tuple(found[start:end])


def _repeated(entries: tuple[Entry, ...], length: int) -> tuple[Entry, ...]:
    return entries * length if len(entries) == 1 else entries


def _times(one: Entry, two: Entry) -> Entry:
    """A product; of symbols only a positive multiple, which is a size again."""
    if isinstance(one, int) and isinstance(two, int):
        return one * two
    if isinstance(one, int):
        one, two = two, one
    if not isinstance(one, ir.SymbolicDim) or not isinstance(two, int) or two < 1:
        return None
    return one if two == 1 else one * two


def _are_equal(one: Entry, two: Entry) -> bool | None:
    if one is None or two is None:
        return None
    if isinstance(one, int) and isinstance(two, int):
        return one == two
    number = one if isinstance(one, int) else two
    if isinstance(number, int):
        return False if number < 0 else None
    return True if one == two else None


def _chosen(condition: bool | None, yes: Entry, no: Entry) -> Entry:
    if condition is None:
        return yes if yes is not None and yes == no else None
    return yes if condition else no
