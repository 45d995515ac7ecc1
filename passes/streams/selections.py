"""Ops that pick, drop and join entries of other axes than that of the features."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.axes import FeatureAxis
from graphopt.passes.streams.named_axes import named_axes
from graphopt.passes.streams.roles import Carries, OperandRoles, carries_first

__all__ = ["gathers", "gathers_slices", "joins", "pads", "slices", "splits"]


def slices(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """Keeps or drops entries of other axes."""
    position = 3
    sliced = named_axes(node, axes.rank(result), position)
    if sliced is None and "axes" not in node.attributes:
        if len(node.inputs) > position and node.inputs[position] is not None:
            return None
        starts = (
            node.attributes.get_ints("starts")
            if "starts" in node.attributes
            else constants.entries(node.inputs[1])
        )
        sliced = None if starts is None else set(range(len(starts)))
    if sliced is None or axis.axis in sliced:
        return None
    return carries_first(node, axis)


def gathers(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """Picks entries of another axis; an embedding table [vocabulary, d] is such an operand."""
    data, indices = node.inputs[0], node.inputs[1]
    data_rank, index_rank = axes.rank(data), axes.rank(indices)
    if data_rank is None or index_rank is None:
        return None
    gathered = node.attributes.get_int("axis", 0) % data_rank
    if axis.axis < gathered:
        return carries_first(node, axis)
    if axis.axis < gathered + index_rank:
        return None
    return carries_first(node, axis.at(axis.axis - index_rank + 1))


def gathers_slices(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """GatherND picks whole slices: the features lie behind the indexed axes."""
    data, indices = node.inputs[0], node.inputs[1]
    data_rank, index_rank = axes.rank(data), axes.rank(indices)
    if data_rank is None or indices is None or not index_rank:
        return None
    depth = axes.dimension(indices, index_rank - 1)
    if not isinstance(depth, int):
        return None
    indexed = node.attributes.get_int("batch_dims", 0) + depth
    own = axis.axis - (index_rank - 1 - node.attributes.get_int("batch_dims", 0)) + depth
    first = index_rank - 1
    if axis.axis < first or not indexed <= own < data_rank:
        return None
    return carries_first(node, axis.at(own))


def splits(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """Parts of another axis; all parts share one state."""
    count = axes.rank(result) or 0
    if node.attributes.get_int("axis", 0) % count == axis.axis:
        return None
    return carries_first(node, axis)


def joins(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """Joins on another axis: every operand is full over the features."""
    count = axes.rank(result) or 0
    joined = node.attributes.get_int("axis", 0) % count
    return None if joined == axis.axis else tuple(Carries(axis) for _ in node.inputs)


def pads(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """Zeros, or entries of the operand itself, on other axes: C 0 = 0."""
    amounts = _pads(node, axes.rank(result) or 0)
    if amounts is None or amounts.get(axis.axis, (0, 0)) != (0, 0):
        return None
    if node.attributes.get_string("mode", "constant") == "constant":
        fill = node.inputs[2] if len(node.inputs) > 2 else None
        if fill is not None and constants.uniform_value(fill) != 0.0:
            return None
        if node.attributes.get_float("value", 0.0) != 0.0:
            return None
    return carries_first(node, axis)


def _pads(node: ir.Node, count: int) -> dict[int, tuple[int, int]] | None:
    """Entries before and behind each padded axis, or None where they are not constant."""
    if "pads" in node.attributes:
        amounts = list(node.attributes.get_ints("pads", ()))
    else:
        found = constants.entries(node.inputs[1]) if len(node.inputs) > 1 else None
        if found is None:
            return None
        amounts = [int(entry) for entry in found]
    order = list(range(count))
    if len(node.inputs) > 3 and node.inputs[3] is not None:
        named = constants.entries(node.inputs[3])
        if named is None:
            return None
        order = [int(entry) % count for entry in named]
    half = len(amounts) // 2
    return dict(zip(order, zip(amounts[:half], amounts[half:], strict=True), strict=True))
