"""What is proved so far: the sizes of values, and the entries of the small integers behind them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import onnx_ir as ir
from onnx_shape_inference import ShapeInferenceContext

from graphopt.passes.graph.axes import Dim

__all__ = ["Facts", "Rule"]

_LONGEST = 96
"""Characters of an expression; a longer one proves nothing that is worth its arithmetic."""
_LARGEST = 1 << 48
"""No axis is longer, in any memory; a file may declare any number."""
_NUMBER = re.compile(r"(?<![\w.])\d+")
_MAY_BE_ZERO = frozenset("-/%")
_INDICES = (ir.DataType.INT32, ir.DataType.INT64)


class Facts(ShapeInferenceContext):  # type: ignore[misc]
    """The facts of one model, in ``value.shape`` while the optimizer works.

    A size is an int or a symbol. Two sizes with one symbol are equal in every run; what is unknown
    has a symbol of its own. A size is taken to be at least 1: of empty values nothing is claimed.
    Rules, the library's too, write what they prove through this context, which keeps out what is no
    size (negative, unnamed, or an expression too long to compare).

    Args:
        opsets: Opset of each domain.
        names: Symbols of the graph inputs, which no new one may have.
        walk: Infers the nodes of a nested graph.
    """

    def __init__(
        self,
        opsets: dict[str, int],
        names: Iterable[str],
        walk: Callable[[Facts, ir.Graph], None],
    ) -> None:
        super().__init__(opsets)
        self.reserve_symbol_names(names)
        self._walk = walk
        self.nested = False
        self._clipped: dict[Dim, Dim] = {}
        self.learned: dict[ir.Value, tuple[int, int]] = {}
        self._entries: dict[ir.Value, list[Dim]] = {}
        self._sizes = set(names)

    def walk(self, graph: ir.Graph) -> None:
        """Infer the nodes of a nested graph."""
        self._walk(self, graph)

    def fresh(self) -> ir.SymbolicDim:
        """A size that is unknown, and proved equal to no other."""
        symbol: ir.SymbolicDim = self.new_symbolic_dim()
        return symbol

    def clipped(self, bound: Dim) -> ir.SymbolicDim:
        """A size that is ``bound``, or less where there are not as many entries."""
        symbol = self.fresh()
        self._clipped[symbol] = bound
        return symbol

    def bound(self, dim: Dim) -> Dim | None:
        """The size that ``dim`` is clipped to, or None."""
        return self._clipped.get(dim)

    def forget(self, value: ir.Value) -> None:
        """Drop what is known of ``value``."""
        value.shape = None
        self._entries.pop(value, None)

    def set_shape(self, value: ir.Value, shape: ir.Shape | Sequence[Dim] | None) -> bool:
        """Note the proved sizes of ``value``."""
        if shape is None:
            value.shape = None
            return False
        dims = [self._size(dim) for dim in shape]
        if value in self.learned and len(dims) == self.learned[value][0]:
            dims[-1] = self.learned[value][1]
        if not self.nested:  # a nested graph may not run, and then its sizes are none
            self._sizes.update(str(dim) for dim in dims if not isinstance(dim, int))
        value.shape = ir.Shape(dims)
        return True

    def learn_last(self, value: ir.Value, size: int) -> None:
        """Note that the last size of ``value`` is ``size``, as one of its readers proves."""
        if value.shape is not None and len(value.shape) and value.shape[-1] != size:
            self.learned[value] = (len(value.shape), size)
            value.shape = ir.Shape([*value.shape[:-1], size])

    def set_symbolic_value(self, value: ir.Value, data: list[Dim]) -> None:
        """Note the entries of a scalar or vector of integers."""
        if value.dtype not in _INDICES or value.shape is None or len(value.shape) > 1:
            return
        if len(data) != (value.shape[0] if len(value.shape) else 1):
            return
        found = [self._entry(entry) for entry in data]
        largest = np.iinfo(value.dtype.numpy()).max
        found = [self.fresh() if _is_cut_off(entry, largest) else entry for entry in found]
        self._entries[value] = found
        if value.const_value is None and all(isinstance(entry, int) for entry in found):
            numbers = np.array(found if len(value.shape) else found[0], value.dtype.numpy())
            value.const_value = ir.tensor(numbers, name=value.name)

    def get_symbolic_value(self, value: ir.Value | None) -> list[Dim] | None:
        """The entries of a scalar or vector of integers, or None."""
        if value is None:
            return None
        found = self._entries.get(value)
        return super().get_symbolic_value(value) if found is None else list(found)

    def is_size(self, entry: Dim) -> bool:
        """True where an entry is proved to be a size, or is made of such by sums and products.

        Reshape takes any other for what it may be at run time: 0, or -1.
        """
        if isinstance(entry, int):
            return entry > 0
        if entry.value is None or entry.value in self._sizes:
            return entry.value is not None
        rounded = "Mod" in entry.value or not _MAY_BE_ZERO.isdisjoint(entry.value)
        return not rounded and entry.free_symbols() <= self._sizes

    def _size(self, dim: Dim) -> Dim:
        dim = self._entry(dim)
        return self.fresh() if isinstance(dim, int) and not 0 <= dim <= _LARGEST else dim

    def _entry(self, dim: Dim) -> Dim:
        if not isinstance(dim, int) and dim.value is not None and dim.value.isdigit():
            dim = int(dim.value)  # arithmetic divides 24*B by 4*B
        if isinstance(dim, int):
            return dim if dim.bit_length() < 65 else self.fresh()
        return self.fresh() if dim.value is None or len(dim.value) > _LONGEST else dim


def _is_cut_off(entry: Dim, largest: int) -> bool:
    """True for a number that its type does not hold, alone or as a factor: it wraps around."""
    if isinstance(entry, int):
        return not -largest - 1 <= entry <= largest
    factors = _NUMBER.findall(entry.value) if entry.value else ()
    return any(int(factor) > largest for factor in factors)


Rule = Callable[[Facts, ir.Node], None]
"""Writes what ``node`` proves of its results."""
