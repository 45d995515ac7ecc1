"""Means, squares and centred values, found by walking from a value to its producers.

Each function answers for one value and None means "not of that form". A walk crosses Casts that
lose nothing (float16 to float32 to float64), because exporters compute the moments of a half
precision stream in a wider type.
"""

from __future__ import annotations

import dataclasses
import math

import onnx_ir as ir

from graphopt.passes.graph.constants import constant_tensor, entries

__all__ = [
    "Axes",
    "Centred",
    "Mean",
    "centred",
    "mean",
    "orders",
    "peel_casts",
    "produced_by",
    "scalar",
    "square_base",
]

Axes = tuple[int, ...]
"""Reduced axes in ascending order: non-negative where the rank is known."""

_WIDTH = {
    ir.DataType.FLOAT16: 1,
    ir.DataType.BFLOAT16: 1,
    ir.DataType.FLOAT: 2,
    ir.DataType.DOUBLE: 3,
}


@dataclasses.dataclass(frozen=True)
class Mean:
    """The mean of ``source`` over ``axes``, which keep size 1."""

    source: ir.Value
    axes: Axes


@dataclasses.dataclass(frozen=True)
class Centred:
    """``source`` minus its mean over ``axes``.

    Attributes:
        source: The value that the mean is subtracted from.
        root: ``source`` before Casts that widen it and before earlier centrings over the same axes.
        axes: The axes of the mean.
    """

    source: ir.Value
    root: ir.Value
    axes: Axes


def produced_by(value: ir.Value | None, *op_types: str) -> ir.Node | None:
    """The node that computes ``value`` if it is one of the ONNX operators ``op_types``."""
    node = None if value is None else value.producer()
    if node is None or node.domain != "" or node.op_type not in op_types:
        return None
    return node


def orders(node: ir.Node | None) -> tuple[tuple[ir.Value, ir.Value], ...]:
    """Both operand orders of a commutative binary node; none for an absent node or operand."""
    if node is None or len(node.inputs) != 2:
        return ()
    left, right = node.inputs
    if left is None or right is None:
        return ()
    return ((left, right), (right, left))


def scalar(value: ir.Value | None, beside: ir.Value | None = None) -> float | None:
    """The one entry of a constant that does not raise the rank of the operand ``beside`` it."""
    tensor = constant_tensor(value)
    if tensor is None or tensor.size != 1:
        return None
    rank = len(tensor.shape)
    if rank > 1 and (beside is None or beside.shape is None or rank > len(beside.shape)):
        return None
    return float(tensor.numpy().reshape(()))


def peel_casts(value: ir.Value) -> ir.Value:
    """``value`` before the Casts that lose nothing."""
    while (node := produced_by(value, "Cast")) is not None:
        source = node.inputs[0]
        if source is None or not _loses_nothing(source.dtype, value.dtype):
            break
        value = source
    return value


def mean(value: ir.Value | None) -> Mean | None:
    """Read ``value`` as a mean that keeps its reduced axes with size 1.

    ReduceMean, or ReduceSum divided by the number of entries; with keepdims, or without and then
    given back its axes by Reshape, Unsqueeze or Expand (told by the inferred shapes).
    """
    reshaped, divisor, start = False, None, value
    while (node := produced_by(value, "Reshape", "Unsqueeze", "Expand", "Div")) is not None:
        if node.op_type == "Div":
            if divisor is not None:
                return None
            divisor = scalar(node.inputs[1], node.inputs[0])
            if divisor is None:
                return None
        else:
            reshaped = True
        value = node.inputs[0]
    node = produced_by(value, "ReduceMean", "ReduceSum")
    if node is None or start is None or (source := node.inputs[0]) is None:
        return None
    axes = _reduced_axes(node, source)
    if axes is None or (node.op_type == "ReduceMean") != (divisor is None):
        return None
    if divisor is not None and divisor != _entry_count(source, axes):
        return None
    keeps = node.attributes.get_int("keepdims", 1) == 1
    if (reshaped or not keeps) and not _has_kept_shape(start, source, axes):
        return None
    return Mean(source, axes)


def square_base(value: ir.Value | None) -> ir.Value | None:
    """The v of ``value`` = v * v: Pow with exponent 2, or Mul of two values that are the same."""
    node = produced_by(value, "Pow")
    if node is not None:
        return node.inputs[0] if scalar(node.inputs[1], node.inputs[0]) == 2.0 else None
    for left, right in orders(produced_by(value, "Mul"))[:1]:
        if _same(left, right):
            return left
    return None


def centred(value: ir.Value | None) -> Centred | None:
    """Read ``value`` as a value minus its own mean."""
    if value is None:
        return None
    node = produced_by(peel_casts(value), "Sub")
    if node is None or (source := node.inputs[0]) is None or (subtracted := node.inputs[1]) is None:
        return None
    average = mean(peel_casts(subtracted))
    if average is None or not _same(source, average.source):
        return None
    earlier = centred(source)
    if earlier is not None and earlier.axes == average.axes:
        return Centred(source, earlier.root, average.axes)
    return Centred(source, peel_casts(source), average.axes)


def _same(left: ir.Value, right: ir.Value) -> bool:
    """True where both are one value, or are the same value centred twice by separate nodes."""
    if peel_casts(left) is peel_casts(right):
        return True
    first, second = centred(left), centred(right)
    if first is None or second is None:
        return False
    return first.root is second.root and first.axes == second.axes


def _loses_nothing(source: ir.DataType | None, target: ir.DataType | None) -> bool:
    if source is None or target is None or source not in _WIDTH or target not in _WIDTH:
        return False
    return source == target or _WIDTH[source] < _WIDTH[target]


def _reduced_axes(node: ir.Node, source: ir.Value) -> Axes | None:
    if "axes" in node.attributes:
        axes = [int(axis) for axis in node.attributes.get_ints("axes", ())]
    else:
        operand = entries(node.inputs[1]) if len(node.inputs) > 1 else None
        axes = [] if operand is None else [int(axis) for axis in operand.reshape(-1)]
    if not axes:
        return None
    if source.shape is not None:
        axes = [axis % len(source.shape) for axis in axes]
    return tuple(sorted(axes))


def _entry_count(source: ir.Value, axes: Axes) -> int | None:
    if source.shape is None:
        return None
    sizes = [size for axis in axes if isinstance(size := source.shape[axis], int)]
    return math.prod(sizes) if len(sizes) == len(axes) else None


def _has_kept_shape(value: ir.Value, source: ir.Value, axes: Axes) -> bool:
    """True where ``value`` is proved to have the shape of ``source`` with size 1 on ``axes``."""
    if value.shape is None or source.shape is None or len(value.shape) != len(source.shape):
        return False
    for axis, (kept, full) in enumerate(zip(value.shape, source.shape, strict=True)):
        if axis in axes:
            if kept != 1:
                return False
        elif kept != full or (isinstance(kept, ir.SymbolicDim) and kept.value is None):
            return False
    return True
