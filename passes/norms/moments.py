"""Means, squares and centred values, found by walking from a value to its producers.

Each function answers for one value and None means "not of that form". A walk crosses Casts that
lose nothing (float16 to float32 to float64), because exporters compute the moments of a half
precision stream in a wider type.
"""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from graphopt.passes.graph.constants import entries
from graphopt.passes.graph.walking import orders, peel_casts, produced_by
from graphopt.passes.norms.numbers import factor, inverts, scalar
from graphopt.passes.norms.row_layouts import Axes, Layout, entry_count, layout_of, strip_reshapes

__all__ = ["Centred", "Moment", "centred", "mean", "mean_square", "reduction", "square_base"]


@dataclasses.dataclass(frozen=True)
class Moment:
    """The mean of ``source`` or of its square over ``axes``: one number for each row.

    Attributes:
        source: What the mean, or the mean of the square, is of.
        axes: The axes of the mean.
        layout: How the numbers lie: ``"kept"`` where the axes have size 1.
    """

    source: ir.Value
    axes: Axes
    layout: Layout


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


def mean(value: ir.Value | None) -> Moment | None:
    """Read ``value`` as the mean of another: ReduceMean, or ReduceSum over the number of entries.

    The axes are kept with size 1 or not, and what follows may be reshaped: ``layout`` tells.
    """
    return reduction(value, "ReduceMean") or _shared(value, "ReduceSum")


def mean_square(value: ir.Value | None) -> Moment | None:
    """Read ``value`` as the mean of a square.

    The mean of v * v, ReduceSumSquare over the number of entries, or the square of ReduceL2 over
    it.
    """
    average = mean(value)
    base = None if average is None else square_base(average.source)
    if average is not None and base is not None:
        return dataclasses.replace(average, source=base)
    return _shared(value, "ReduceSumSquare") or _shared(value, "ReduceL2", is_squared=True)


def reduction(value: ir.Value | None, op_type: str) -> Moment | None:
    """Read ``value`` as the result of a reduction, perhaps reshaped."""
    if value is None:
        return None
    inner, is_moved = strip_reshapes(value)
    node = produced_by(inner, op_type)
    if node is None or (source := node.inputs[0]) is None:
        return None
    axes = _reduced_axes(node, source)
    if axes is None:
        return None
    layout: Layout = "kept" if node.attributes.get_int("keepdims", 1) == 1 else "dropped"
    return Moment(source, axes, layout_of(value, source, axes) if is_moved else layout)


def _shared(value: ir.Value | None, op_type: str, *, is_squared: bool = False) -> Moment | None:
    """A reduction, or its square, over the number of entries of a row."""
    if value is None:
        return None
    inner, is_moved = strip_reshapes(value)
    share = factor(produced_by(inner, "Div", "Mul"))
    if share is None:
        return None
    total = square_base(strip_reshapes(share.operand)[0]) if is_squared else share.operand
    found = reduction(total, op_type)
    if found is None or not inverts(share, entry_count(found.source, found.axes)):
        return None
    if is_squared:
        is_moved = is_moved or strip_reshapes(share.operand)[1]
    if is_moved:
        return dataclasses.replace(found, layout=layout_of(value, found.source, found.axes))
    return found


def square_base(value: ir.Value | None) -> ir.Value | None:
    """The v of ``value`` = v * v, or |v| * |v|: Pow with exponent 2, or Mul of one value twice."""
    node = produced_by(value, "Pow")
    if node is not None:
        is_square = scalar(node.inputs[1], node.inputs[0]) == 2.0
        return _without_sign(node.inputs[0]) if is_square else None
    for left, right in orders(produced_by(value, "Mul"))[:1]:
        if _same(left, right):
            return _without_sign(left)
    return None


def centred(value: ir.Value | None) -> Centred | None:
    """Read ``value`` as a value minus its own mean."""
    if value is None:
        return None
    node = produced_by(peel_casts(value), "Sub")
    if node is None or (source := node.inputs[0]) is None or (subtracted := node.inputs[1]) is None:
        return None
    average = mean(peel_casts(subtracted))
    if average is None or average.layout != "kept" or not _same(source, average.source):
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


def _without_sign(value: ir.Value | None) -> ir.Value | None:
    absolute = produced_by(value, "Abs")
    return value if absolute is None else absolute.inputs[0]


def _reduced_axes(node: ir.Node, source: ir.Value) -> Axes | None:
    if "axes" in node.attributes:
        axes = [int(axis) for axis in node.attributes.get_ints("axes", ())]
    else:
        operand = entries(node.inputs[1]) if len(node.inputs) > 1 else None
        axes = [] if operand is None else [int(axis) for axis in operand.reshape(-1)]
    if not axes:
        return None
    if source.shape is not None:
        axes = [axis % len(source.shape) for axis in axes] if len(source.shape) else []
    return tuple(sorted(axes)) or None
