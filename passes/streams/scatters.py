"""Ops that write entries of one value into another, at places that all features share."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.axes import FeatureAxis
from graphopt.passes.streams.roles import OperandRoles, carries_only

__all__ = ["scatters", "scatters_slices"]

_LINEAR = ("none", "add")  # mul, max and min are not linear in both operands


def scatters_slices(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """ScatterND writes whole slices: the features lie behind the indexed axes."""
    indices = node.inputs[1]
    index_rank = axes.rank(indices)
    if indices is None or not index_rank or not _is_linear(node):
        return None
    depth = axes.dimension(indices, index_rank - 1)
    if not isinstance(depth, int) or axis.axis < depth:
        return None
    return carries_only(node, {0: axis, 2: axis.at(index_rank - 1 + axis.axis - depth)})


def scatters(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """ScatterElements on another axis, to places that are proved the same for all features.

    The updates have all features: else some would keep what they were.
    """
    indices, count = node.inputs[1], axes.rank(result)
    if indices is None or not count or not _is_linear(node):
        return None
    if node.attributes.get_int("axis", 0) % count == axis.axis:
        return None
    if axes.dimension(indices, axis.axis) != axes.dimension(result, axis.axis):
        return None
    return carries_only(node, {0: axis, 2: axis}) if _is_repeated(indices, axis.axis) else None


def _is_linear(node: ir.Node) -> bool:
    return node.attributes.get_string("reduction", "none") in _LINEAR


def _is_repeated(value: ir.Value, axis: int) -> bool:
    """True where the entries along ``axis`` are proved equal: a constant, or an Expand of one."""
    found = constants.entries(value)
    if found is not None:
        return bool((found == found.take([0], axis)).all())
    node = value.producer()
    if node is None or (node.domain, node.op_type) != ("", "Expand") or node.inputs[0] is None:
        return False
    own = axes.broadcast_axis(node.inputs[0], axes.rank(value) or 0, axis)
    return own is not None and (own < 0 or axes.dimension(node.inputs[0], own) == 1)
