"""Ops that pick, drop and join entries of other axes than that of the features."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.axes import FeatureAxis
from graphopt.passes.streams.roles import Carries, OperandRoles, carries_first

__all__ = [
    "compresses",
    "gathers",
    "gathers_slices",
    "joins",
    "pads",
    "reverses",
    "slices",
    "splits",
]


def slices(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """Keeps or drops entries of other axes, or keeps every feature in its place."""
    bounds = _bounds(node, axes.rank(result) or 0)
    if bounds is None or (axis.axis in bounds and not _is_whole_range(node, result, axis, bounds)):
        return None
    return carries_first(node, axis)


def _bounds(node: ir.Node, count: int) -> dict[int, int] | None:
    """The place of each sliced axis among the bounds, or None where the axes are not constant."""
    named = _numbers(node, "axes", 3)
    if named is None and (len(node.inputs) < 4 or node.inputs[3] is None):
        starts = _numbers(node, "starts", 1)
        named = None if starts is None else list(range(len(starts)))
    return None if named is None else {axis % count: place for place, axis in enumerate(named)}


def _is_whole_range(
    node: ir.Node, result: ir.Value, axis: FeatureAxis, bounds: dict[int, int]
) -> bool:
    """From the first entry to the last, in steps of 1; the result has the size of the operand."""
    place, source = bounds[axis.axis], node.inputs[0]
    starts, ends = _numbers(node, "starts", 1), _numbers(node, "ends", 2)
    has_steps = len(node.inputs) > 4 and node.inputs[4] is not None
    steps = _numbers(node, "steps", 4) if has_steps else [1] * len(bounds)
    size = None if source is None else axes.dimension(source, axis.axis)
    if starts is None or ends is None or steps is None or not isinstance(size, int):
        return False
    first = starts[place] == 0 or starts[place] <= -size
    return first and ends[place] >= size and steps[place] == 1


def _numbers(node: ir.Node, attribute: str, position: int) -> list[int] | None:
    """The constants of an attribute or an operand, or None."""
    if attribute in node.attributes:
        return list(node.attributes.get_ints(attribute, ()))
    found = constants.entries(node.inputs[position]) if len(node.inputs) > position else None
    return None if found is None else [int(entry) for entry in found.reshape(-1)]


def compresses(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """Keeps the entries of another axis for which a condition holds; without one it flattens."""
    count = axes.rank(result)
    if "axis" not in node.attributes or not count:
        return None
    kept = node.attributes.get_int("axis", 0) % count
    return None if kept == axis.axis else carries_first(node, axis)


def reverses(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """Reverses the first entries of one axis, as many as another says; neither has the features."""
    turned = node.attributes.get_int("time_axis", 0), node.attributes.get_int("batch_axis", 1)
    return None if axis.axis in turned else carries_first(node, axis)


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
