"""Standard deviations and what divides by them, found by walking from a value to its producers."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph.walking import orders, peel_casts, produced_by
from graphopt.passes.norms.moments import centred, mean, mean_square, reduction, square_base
from graphopt.passes.norms.numbers import factor, is_root_of_share, scalar
from graphopt.passes.norms.row_layouts import Axes, Layout, entry_count, layout_of, strip_reshapes

__all__ = ["Deviation", "Variance", "deviation", "reciprocal_deviation", "variance"]

_LARGEST: dict[ir.DataType | None, float] = {
    dtype: float(np.finfo(dtype.numpy()).max)
    for dtype in (ir.DataType.FLOAT16, ir.DataType.FLOAT, ir.DataType.DOUBLE)
}


@dataclasses.dataclass(frozen=True)
class Variance:
    """mean((x - mean(x))^2), or mean(x^2) where not ``centred``: one number for each row."""

    root: ir.Value
    axes: Axes
    centred: bool
    layout: Layout


@dataclasses.dataclass(frozen=True)
class Deviation:
    """sqrt(variance + epsilon) or its reciprocal, perhaps times gamma.

    Attributes:
        root: x before the Casts that widen it.
        axes: Axes of the means.
        epsilon: Added under the root.
        centred: False for the form without the means (RMS).
        layout: ``"kept"`` where it broadcasts along the rows of x.
        scale: gamma where it is a factor.
    """

    root: ir.Value
    axes: Axes
    epsilon: float
    centred: bool
    layout: Layout
    scale: ir.Value | None = None


def reciprocal_deviation(value: ir.Value) -> Deviation | None:
    """Read ``value`` as 1 / sqrt(variance + epsilon)."""
    inner, is_moved = strip_reshapes(value)
    node = produced_by(inner, "Reciprocal", "Div", "Pow")
    if node is None:
        return None
    found = None
    if node.op_type == "Reciprocal":
        found = deviation(node.inputs[0])
    elif node.op_type == "Pow":
        found = _root(inner, -0.5)
    elif scalar(node.inputs[0], node.inputs[1]) == 1.0:
        found = deviation(node.inputs[1])
    return _laid_out(found, value, is_moved)


def deviation(value: ir.Value | None) -> Deviation | None:
    """Read ``value`` as sqrt(variance + epsilon)."""
    if value is None:
        return None
    inner, is_moved = strip_reshapes(value)
    return _laid_out(_root(inner, 0.5) or _length(inner), value, is_moved)


def variance(value: ir.Value) -> Variance | None:
    """Read ``value`` as a variance, or as a mean of squares.

    mean((x - mean(x))^2), or mean(x^2) - mean(x)^2, which rounding can make negative and which
    exporters clamp: Max(0, .), Relu, Clip from 0, or Abs.
    """
    inner, is_moved = _without_clamps(value)
    found = _one_pass(inner) or _two_pass(inner)
    if found is None or not is_moved:
        return found
    return dataclasses.replace(found, layout=layout_of(value, found.root, found.axes))


def _laid_out(found: Deviation | None, value: ir.Value, is_moved: bool) -> Deviation | None:
    if found is None or not is_moved:
        return found
    return dataclasses.replace(found, layout=layout_of(value, found.root, found.axes))


def _root(value: ir.Value, power: float) -> Deviation | None:
    """(variance + epsilon) to ``power``, 0.5 or -0.5."""
    node = produced_by(value, "Sqrt", "Pow")
    if node is None or node.inputs[0] is None:
        return None
    found = 0.5 if node.op_type == "Sqrt" else scalar(node.inputs[1], node.inputs[0])
    if found != power:
        return None
    under, is_moved = _without_clamps(node.inputs[0])
    for spread, epsilon in _shifted(under):
        read = variance(spread)
        if read is not None:
            layout = layout_of(node.inputs[0], read.root, read.axes) if is_moved else read.layout
            return Deviation(read.root, read.axes, epsilon, read.centred, layout)
    return None


def _length(value: ir.Value) -> Deviation | None:
    """ReduceL2 over the root of d: no epsilon, and only where that root is a number of its type."""
    share = factor(produced_by(value, "Div", "Mul"))
    inner, is_moved = strip_reshapes(value if share is None else share.operand)
    length = reduction(inner, "ReduceL2")
    if share is None or length is None:
        return None
    if not is_root_of_share(share, entry_count(length.source, length.axes)):
        return None
    layout = layout_of(value, length.source, length.axes) if is_moved else length.layout
    difference = centred(length.source)
    if difference is not None and difference.axes == length.axes:
        return Deviation(difference.root, length.axes, 0.0, True, layout)
    return Deviation(peel_casts(length.source), length.axes, 0.0, False, layout)


def _shifted(value: ir.Value) -> list[tuple[ir.Value, float]]:
    """The readings of ``value`` as a variance plus epsilon; optimizers drop a tiny epsilon."""
    readings = []
    for spread, constant in orders(produced_by(value, "Add")):
        epsilon = scalar(constant, spread)
        if epsilon is not None and epsilon >= 0:
            readings.append((spread, epsilon))
    return readings or [(value, 0.0)]


def _two_pass(value: ir.Value) -> Variance | None:
    squares = mean_square(value)
    if squares is None:
        return None
    difference = centred(squares.source)
    if difference is not None and difference.axes == squares.axes:
        return Variance(difference.root, squares.axes, True, squares.layout)
    return Variance(peel_casts(squares.source), squares.axes, False, squares.layout)


def _one_pass(value: ir.Value) -> Variance | None:
    """mean(x^2) - mean(x)^2, both with the same layout."""
    node = produced_by(value, "Sub")
    if node is None:
        return None
    squares, average = mean_square(node.inputs[0]), mean(square_base(node.inputs[1]))
    if squares is None or average is None or squares.axes != average.axes:
        return None
    if squares.layout != average.layout or squares.layout == "moved":
        return None
    if peel_casts(squares.source) is not peel_casts(average.source):
        return None
    return Variance(peel_casts(squares.source), squares.axes, True, squares.layout)


def _without_clamps(value: ir.Value) -> tuple[ir.Value, bool]:
    """``value`` before reshapes and clamps that leave no number of 0 or more another.

    With it, whether there was a reshape.
    """
    value, is_moved = strip_reshapes(value)
    while (inner := _clamped(value)) is not None:
        value, moved = strip_reshapes(inner)
        is_moved = is_moved or moved
    return value, is_moved


def _clamped(value: ir.Value) -> ir.Value | None:
    node = produced_by(value, "Relu", "Abs", "Max", "Clip")
    if node is None:
        return None
    if node.op_type == "Max":
        bounds = [(operand, scalar(bound, operand)) for operand, bound in orders(node)]
        return next((operand for operand, low in bounds if low is not None and low <= 0.0), None)
    if node.op_type == "Clip" and not _clips_below_zero_alone(node):
        return None
    return node.inputs[0]


def _clips_below_zero_alone(node: ir.Node) -> bool:
    """True for a lower bound of 0 or less, and an upper one that is no less than all numbers."""
    bounds: list[float | None] = []
    for index, name, default in ((1, "min", -math.inf), (2, "max", math.inf)):
        operand = node.inputs[index] if len(node.inputs) > index else None
        named = node.attributes.get_float(name, default)
        bounds.append(named if operand is None else scalar(operand))
    lowest, highest = bounds
    if lowest is None or highest is None or not lowest <= 0.0:
        return False
    return highest >= _LARGEST.get(node.outputs[0].dtype, math.inf)
