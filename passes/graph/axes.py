"""Where the features of a value lie: one axis, or a block of one, and how Reshape moves it."""

from __future__ import annotations

import dataclasses
import math

import onnx_ir as ir

__all__ = ["FeatureAxis", "Stream", "broadcast_axis", "dimension", "move_through_reshape", "rank"]

Dim = int | ir.SymbolicDim


@dataclasses.dataclass(frozen=True)
class FeatureAxis:
    """The d features of a value.

    A dimension of n = outer * size * inner entries is read as a block [outer, size, inner]; the
    feature of entry i is (i // inner) % size. An axis that holds nothing but the features has
    n = size and inner = 1. Blocks appear where Reshape splits one axis into heads x features.

    Attributes:
        axis: Non-negative axis of the value.
        size: Number of features d.
        inner: Number of neighbouring entries that share one feature.
    """

    axis: int
    size: int
    inner: int = 1

    def at(self, axis: int) -> FeatureAxis:
        """The same block on another axis."""
        return dataclasses.replace(self, axis=axis)

    def is_whole(self, value: ir.Value) -> bool:
        """True where the axis of ``value`` holds the features and nothing else."""
        return self.inner == 1 and dimension(value, self.axis) == self.size

    def fits(self, value: ir.Value) -> bool:
        """True where the dimension of ``value`` is proved to be made of whole blocks."""
        dim = dimension(value, self.axis)
        return isinstance(dim, int) and dim > 0 and dim % (self.size * self.inner) == 0


@dataclasses.dataclass(frozen=True)
class Stream:
    """A value together with its feature axis: what the analysis follows through the graph."""

    value: ir.Value
    axis: FeatureAxis

    @property
    def is_whole(self) -> bool:
        """True where the axis holds the features and nothing else."""
        return self.axis.is_whole(self.value)

    def __str__(self) -> str:
        return f"{self.value.name}[axis {self.axis.axis}]"


def rank(value: ir.Value | None) -> int | None:
    """Number of dimensions of ``value``, or None where it is unknown."""
    if value is None or value.shape is None:
        return None
    return len(value.shape)


def dimension(value: ir.Value, axis: int) -> Dim | None:
    """The dimension of ``value`` on ``axis``: an int, a named symbol, or None where unknown."""
    if value.shape is None or not 0 <= axis < len(value.shape):
        return None
    dim = value.shape[axis]
    if isinstance(dim, int):
        return dim
    if dim.value is not None and dim.value.isdigit():  # inference divides 24*B by 4*B
        return int(dim.value)
    return dim if dim.value is not None else None


def broadcast_axis(value: ir.Value, result_rank: int, axis: int) -> int | None:
    """Axis of an operand that broadcasting aligns with ``axis`` of the result.

    Returns:
        The axis, or -1 where the operand has no such axis, or None where its rank is unknown.
    """
    own = rank(value)
    if own is None:
        return None
    aligned = axis - (result_rank - own)
    return aligned if aligned >= 0 else -1


def move_through_reshape(
    axis: FeatureAxis, source: ir.Value, target: ir.Value
) -> FeatureAxis | None:
    """Where the features of ``source`` lie in ``target``, the same entries in row-major order.

    The block [outer, d, inner] keeps its stride, the number of entries behind one feature. The
    target has it whole on the axis whose own stride divides that number, which is proved by equal
    products of the dimensions behind it, or of the dimensions before it (with d between, and the
    same total, both say the same).

    Returns:
        The axis of ``target``, or None where nothing is proved.
    """
    if source.shape is None or target.shape is None:
        return None
    before, behind = _around(source, axis)
    for candidate in range(len(target.shape)):
        moved = _match_behind(target, candidate, axis.size, behind)
        if moved is None:
            moved = _match_before(target, candidate, axis.size, before)
        if moved is not None and moved.fits(target):
            return moved
    return None


def _around(value: ir.Value, axis: FeatureAxis) -> tuple[Dim | None, Dim | None]:
    """Products of the entries before and behind one feature."""
    dims = [dimension(value, index) for index in range(rank(value) or 0)]
    own = dims[axis.axis]
    if not isinstance(own, int):
        return None, None
    outer = own // (axis.size * axis.inner)
    before = _product([*dims[: axis.axis], outer])
    behind = _product([axis.inner, *dims[axis.axis + 1 :]])
    return before, behind


def _match_behind(
    target: ir.Value, candidate: int, size: int, behind: Dim | None
) -> FeatureAxis | None:
    if behind is None:
        return None
    own = _product([dimension(target, i) for i in range(candidate + 1, rank(target) or 0)])
    inner = _quotient(behind, own)
    return None if inner is None else FeatureAxis(candidate, size, inner)


def _match_before(
    target: ir.Value, candidate: int, size: int, before: Dim | None
) -> FeatureAxis | None:
    own_dim = dimension(target, candidate)
    if before is None or not isinstance(own_dim, int) or own_dim % size:
        return None
    own = _product([dimension(target, i) for i in range(candidate)])
    outer = _quotient(before, own)
    if outer is None or own_dim % (outer * size):
        return None
    return FeatureAxis(candidate, size, own_dim // (outer * size))


def _product(dims: list[Dim | None]) -> Dim | None:
    """The product, or None where a factor is unknown or zero."""
    numbers = [dim for dim in dims if isinstance(dim, int)]
    symbols = [dim for dim in dims if isinstance(dim, ir.SymbolicDim)]
    if len(numbers) + len(symbols) < len(dims) or 0 in numbers:
        return None
    product: Dim = math.prod(numbers)
    for symbol in symbols:
        product = symbol * product
    return product


def _quotient(whole: Dim, part: Dim | None) -> int | None:
    """``whole / part`` where that is proved to be a positive integer."""
    if part is None:
        return None
    if isinstance(whole, int) and isinstance(part, int):
        return whole // part if whole % part == 0 and whole >= part else None
    if isinstance(whole, ir.SymbolicDim) and isinstance(part, ir.SymbolicDim):
        return 1 if whole == part else None
    return None
