"""Ops that average, sum and interpolate over other axes than that of the features."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.axes import FeatureAxis
from graphopt.passes.streams.named_axes import named_axes
from graphopt.passes.streams.roles import OperandRoles, carries_first

__all__ = ["accumulates", "pools", "reduces", "resizes"]


def reduces(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """Mean or sum over other axes."""
    source = node.inputs[0]
    count = axes.rank(source)
    if source is None or count is None:
        return None
    reduced = named_axes(node, count)
    if not reduced:
        return None
    if node.attributes.get_int("keepdims", 1):
        return None if axis.axis in reduced else carries_first(node, axis)
    kept = [i for i in range(count) if i not in reduced]
    return carries_first(node, axis.at(kept[axis.axis]))


def accumulates(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """Running sums over another axis, which a constant names."""
    summed = named_axes(node, axes.rank(result))
    return None if summed is None or axis.axis in summed else carries_first(node, axis)


def resizes(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """Interpolates other axes: the scale of the feature axis is exactly 1.

    An equal size does not prove it: floor(1.1 * 8) is 8, too.
    """
    mode = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
    policy = node.attributes.get_string("keep_aspect_ratio_policy", "stretch")
    source = node.inputs[0]
    if source is None or mode == "tf_crop_and_resize" or policy != "stretch":
        return None
    if axes.dimension(source, axis.axis) != axes.dimension(result, axis.axis):
        return None
    resized = [i % (axes.rank(result) or 1) for i in node.attributes.get_ints("axes", ())]
    if resized and axis.axis not in resized:
        return carries_first(node, axis)
    scales = node.inputs[2 if len(node.inputs) > 2 else 1]
    if scales is not None and axes.dimension(scales, 0) != 0:
        found = constants.entries(scales)
        own = resized.index(axis.axis) if resized else axis.axis
        if found is None or float(found[own]) != 1.0:
            return None
    return carries_first(node, axis)


def pools(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """A mean over places, the same for each channel: features on axis 1."""
    return carries_first(node, axis) if axis.axis == 1 else None
