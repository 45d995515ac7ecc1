"""Proved bounds on the entries of values: which masks are constant, and which are finite."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph import constants

__all__ = ["Interval", "Intervals"]

_MOST_ENTRIES = 1 << 22
_MOST_OF_A_MASK = 1 << 16
_LONGEST = 1 << 48
"""No axis is longer, in any memory."""
_FARTHEST = 64
"""Nodes that are followed; masks are computed within fewer."""
_MOVERS = frozenset(
    {
        "Expand",
        "Flatten",
        "Gather",
        "GatherElements",
        "GatherND",
        "Identity",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    }
)
_PRODUCTS = frozenset(
    {("", "MatMul"), ("", "Gemm"), ("", "Einsum"), ("com.microsoft", "FusedMatMul")}
)


@dataclasses.dataclass(frozen=True)
class Interval:
    """Every entry is a number from ``low`` to ``high``; none is NaN. True is 1, and False 0.

    Bounds of integers are ints: a float does not tell 2^53 from 2^53 + 1.
    """

    low: float
    high: float

    @property
    def is_finite(self) -> bool:
        """True where no entry is infinite."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def only(self) -> float | None:
        """The one number that all entries are, or None."""
        return self.low if self.low == self.high else None


_TRUE, _FALSE, _EITHER = Interval(1, 1), Interval(0, 0), Interval(0, 1)
_SIZE = Interval(0, _LONGEST)


class Intervals:
    """Finds intervals by going back through the graph; an op without a rule proves nothing.

    Answers are kept, so an instance serves one pass; it may replace values by equal ones meanwhile.

    Args:
        largest_product: What the entries of a product of two computed matrices are taken not to
            exceed, by type; None takes them for unknown.
    """

    def __init__(self, largest_product: Callable[[ir.DataType], float] | None = None) -> None:
        self._largest_product = largest_product
        self._known: dict[ir.Value, Interval | None] = {}
        self._steps = 0

    def of(self, value: ir.Value | None) -> Interval | None:
        """The interval of ``value``, or None where nothing is proved."""
        if value is None or self._steps > _FARTHEST:
            return None
        if value not in self._known:
            self._steps += 1
            self._known[value] = self._find(value) or _of_type(value.dtype)
            self._steps -= 1
        return self._known[value]

    def _find(self, value: ir.Value) -> Interval | None:
        tensor = constants.constant_tensor(value)
        if tensor is not None:
            return _of_tensor(tensor)
        node = value.producer()
        if node is None:
            return None
        if self._largest_product is not None and _is_product(node):
            return self._product(node, value.dtype, self._largest_product)
        if node.domain:
            return None
        if node.op_type in _MOVERS:
            return self.of(node.inputs[0])
        if node.op_type in ("Shape", "Size"):
            return _SIZE
        rule: Callable[[ir.Node], Interval | None] | None = {
            "Cast": self._cast,
            "Concat": lambda node: self._union(node.inputs),
            "ConstantOfShape": self._filled,
            "IsNaN": self._is_nan,
            "Not": self._not,
            "Range": self._range,
            "Where": self._where,
        }.get(node.op_type)
        if rule is not None:
            return rule(node)
        return self._of_two(node, value.dtype)

    def _product(
        self, node: ir.Node, dtype: ir.DataType | None, largest: Callable[[ir.DataType], float]
    ) -> Interval | None:
        """What is assumed of a product of matrices, unless one is known to hold Inf."""
        for value in node.inputs:
            tensor = constants.constant_tensor(value)
            if tensor is not None and tensor.size > _MOST_OF_A_MASK:
                continue  # weights
            found = self.of(value)
            if found is not None and not found.is_finite:
                return None
        return None if dtype is None else Interval(-largest(dtype), largest(dtype))

    def _of_two(self, node: ir.Node, dtype: ir.DataType | None) -> Interval | None:
        if len(node.inputs) != 2:
            return None
        if node.op_type in _LOGIC:
            one, two = (self.of(value) or _EITHER for value in node.inputs)
            return _LOGIC[node.op_type](one, two)
        if node.op_type not in _COMPARISONS and node.op_type not in _ARITHMETIC:
            return None
        # What is computed is asked first, so that no bias is read in vain.
        order = sorted((0, 1), key=lambda i: constants.constant_tensor(node.inputs[i]) is not None)
        found: dict[int, Interval] = {}
        for index in order:
            interval = self.of(node.inputs[index])
            if interval is None:
                return None
            found[index] = interval
        if node.op_type in _COMPARISONS:
            return _COMPARISONS[node.op_type](found[0], found[1])
        return _rounded(_ARITHMETIC[node.op_type](found[0], found[1]), dtype)

    def _cast(self, node: ir.Node) -> Interval | None:
        source, to = self.of(node.inputs[0]), ir.DataType(node.attributes.get_int("to", 0))
        if source is None:
            return None
        if to == ir.DataType.BOOL:
            if source.low > 0 or source.high < 0:
                return _TRUE
            return _FALSE if source.only == 0 else _EITHER
        return _rounded((source.low, source.high), to)

    def _union(self, values: Sequence[ir.Value | None]) -> Interval | None:
        found = [interval for interval in map(self.of, values) if interval is not None]
        if not found or len(found) < len(values):
            return None
        return Interval(min(each.low for each in found), max(each.high for each in found))

    def _filled(self, node: ir.Node) -> Interval | None:
        filler = node.attributes.get_tensor("value", None)
        return _FALSE if filler is None else _of_tensor(filler)

    def _is_nan(self, node: ir.Node) -> Interval | None:
        return _EITHER if self.of(node.inputs[0]) is None else _FALSE

    def _not(self, node: ir.Node) -> Interval | None:
        operand = self.of(node.inputs[0]) or _EITHER
        return Interval(1 - operand.high, 1 - operand.low)

    def _range(self, node: ir.Node) -> Interval | None:
        start, _, step = (self.of(value) for value in node.inputs)
        if start is None or step is None or step.low <= 0 or not _is_integer(node.outputs[0].dtype):
            return None
        return Interval(start.low, start.high + step.high * _LONGEST)

    def _where(self, node: ir.Node) -> Interval | None:
        condition = self.of(node.inputs[0]) or _EITHER
        if condition.only is not None:
            return self.of(node.inputs[1] if condition.only else node.inputs[2])
        return self._union(node.inputs[1:])


def _is_product(node: ir.Node) -> bool:
    return (node.domain, node.op_type) in _PRODUCTS


def _of_tensor(tensor: ir.TensorProtocol) -> Interval | None:
    numeric = tensor.dtype.is_floating_point() or _is_integer(tensor.dtype)
    if (not numeric and tensor.dtype != ir.DataType.BOOL) or not 0 < tensor.size <= _MOST_ENTRIES:
        return None
    entries = np.asarray(tensor.numpy())
    number = float if tensor.dtype.is_floating_point() else int
    low, high = number(entries.min()), number(entries.max())
    del entries
    constants.release(tensor)
    return None if math.isnan(low) or math.isnan(high) else Interval(low, high)


def _of_type(dtype: ir.DataType | None) -> Interval | None:
    if dtype == ir.DataType.BOOL:
        return _EITHER
    if dtype is None or not _is_integer(dtype):
        return None
    info = np.iinfo(dtype.numpy())
    return Interval(int(info.min), int(info.max))


def _is_integer(dtype: ir.DataType | None) -> bool:
    return dtype is not None and dtype.is_integer() and dtype.numpy().kind in "iu"


def _rounded(bounds: tuple[float, float], dtype: ir.DataType | None) -> Interval | None:
    """The interval in ``dtype``: floats round, and may become infinite; integers must fit."""
    low, high = bounds
    if dtype is None or math.isnan(low) or math.isnan(high):
        return None
    if _is_integer(dtype):
        info = np.iinfo(dtype.numpy())
        if not info.min <= low <= high <= info.max or low != round(low) or high != round(high):
            return None
        return Interval(int(low), int(high))
    if not dtype.is_floating_point() or dtype.itemsize < 2:
        return None
    with np.errstate(over="ignore"):
        low, high = (float(np.float64(bound).astype(dtype.numpy())) for bound in (low, high))
    return Interval(low, high)


_UNKNOWN = math.nan, math.nan


def _sum(one: Interval, two: Interval) -> tuple[float, float]:
    if math.isnan(one.low + two.high) or math.isnan(one.high + two.low):
        return _UNKNOWN
    return one.low + two.low, one.high + two.high


def _difference(one: Interval, two: Interval) -> tuple[float, float]:
    return _sum(one, Interval(-two.high, -two.low))


def _product(one: Interval, two: Interval) -> tuple[float, float]:
    if not one.is_finite or not two.is_finite:
        return _UNKNOWN  # 0 times Inf is NaN
    corners = [a * b for a in (one.low, one.high) for b in (two.low, two.high)]
    return min(corners), max(corners)


def _quotient(one: Interval, two: Interval) -> tuple[float, float]:
    divisor = two.only
    if divisor is None or divisor == 0 or not two.is_finite:
        return _UNKNOWN
    if isinstance(divisor, int) and isinstance(one.low, int) and isinstance(one.high, int):
        if one.low % divisor or one.high % divisor:
            return _UNKNOWN
        corners: tuple[float, float] = (one.low // divisor, one.high // divisor)
    else:
        corners = (one.low / divisor, one.high / divisor)
    return min(corners), max(corners)


def _less(one: Interval, two: Interval) -> Interval:
    if one.high < two.low:
        return _TRUE
    return _FALSE if one.low >= two.high else _EITHER


def _less_or_equal(one: Interval, two: Interval) -> Interval:
    if one.high <= two.low:
        return _TRUE
    return _FALSE if one.low > two.high else _EITHER


def _equal(one: Interval, two: Interval) -> Interval:
    if one.high < two.low or two.high < one.low:
        return _FALSE
    return _TRUE if one.only is not None and one.only == two.only else _EITHER


_ARITHMETIC = {"Add": _sum, "Sub": _difference, "Mul": _product, "Div": _quotient}
_COMPARISONS: dict[str, Callable[[Interval, Interval], Interval]] = {
    "Equal": _equal,
    "Less": _less,
    "LessOrEqual": _less_or_equal,
    "Greater": lambda one, two: _less(two, one),
    "GreaterOrEqual": lambda one, two: _less_or_equal(two, one),
}
_LOGIC: dict[str, Callable[[Interval, Interval], Interval]] = {
    "And": lambda one, two: Interval(min(one.low, two.low), min(one.high, two.high)),
    "Or": lambda one, two: Interval(max(one.low, two.low), max(one.high, two.high)),
}
