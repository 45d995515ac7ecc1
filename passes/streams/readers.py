"""What reads a stream without carrying it on: the norms, and the readers that no mean disturbs."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.axes import FeatureAxis, Stream

__all__ = [
    "is_centred",
    "is_feature_vector",
    "is_norm",
    "mean_to_subtract",
    "norm_axis",
    "norm_over_features",
    "nothing",
    "only_sizes",
    "only_type",
    "place_of_greatest",
    "places_of_greatest",
    "softmax_over_features",
    "subtraction_of_mean",
]


def is_norm(node: ir.Node) -> bool:
    """True for a canonical LayerNormalization."""
    return node.op_type == "LayerNormalization" and not node.domain


def norm_axis(node: ir.Node) -> FeatureAxis | None:
    """The single last axis that a LayerNormalization normalizes, or None.

    None where the axis is not the last one, or its size is unknown or below 3 (with d = 2 the
    normalized value is a sign).
    """
    value = node.inputs[0]
    count = axes.rank(value)
    if value is None or not count:
        return None
    axis = node.attributes.get_int("axis", -1) % count
    size = axes.dimension(value, axis)
    if axis != count - 1 or not isinstance(size, int) or size < 3:
        return None
    return FeatureAxis(axis, size)


def is_feature_vector(value: ir.Value | None, node: ir.Node) -> bool:
    """True where gamma or beta of a LayerNormalization is absent, a number, or one of [.., 1, d].

    Both may be of any shape that broadcasts to x, so that they differ from token to token.
    """
    axis = norm_axis(node)
    if value is None:
        return True
    if value.shape is None or axis is None:
        return False
    dims = list(value.shape)
    return all(dim == 1 for dim in dims[:-1]) and dims[-1:] in ([], [1], [axis.size])


def nothing(node: ir.Node, operand: int, axis: FeatureAxis) -> bool:
    """Each operand is read with its mean."""
    return False


def only_sizes(node: ir.Node, operand: int, axis: FeatureAxis) -> bool:
    """Shape and Size look at no entry."""
    return operand == 0


def norm_over_features(node: ir.Node, operand: int, axis: FeatureAxis) -> bool:
    """LN(x + s 1) = LN(x) over exactly this axis; its Mean output is used by nobody."""
    value = node.inputs[0]
    if operand != 0 or value is None or not axis.is_whole(value) or norm_axis(node) != axis:
        return False
    return len(node.outputs) < 2 or not _is_used(node.outputs[1])


def only_type(node: ir.Node, operand: int, axis: FeatureAxis) -> bool:
    """CastLike looks at no entry of its second operand."""
    return operand == 1


def place_of_greatest(node: ir.Node, operand: int, axis: FeatureAxis) -> bool:
    """argmax(x + s 1) = argmax(x) over exactly this axis."""
    value = node.inputs[0]
    if operand != 0 or value is None or not axis.is_whole(value):
        return False
    return node.attributes.get_int("axis", 0) % (axes.rank(value) or 1) == axis.axis


def places_of_greatest(node: ir.Node, operand: int, axis: FeatureAxis) -> bool:
    """The indices of TopK over exactly this axis; its values are used by nobody."""
    value = node.inputs[0]
    if operand != 0 or value is None or not axis.is_whole(value):
        return False
    count = axes.rank(value) or 1
    return node.attributes.get_int("axis", -1) % count == axis.axis and not _is_used(
        node.outputs[0]
    )


def softmax_over_features(node: ir.Node, operand: int, axis: FeatureAxis) -> bool:
    """softmax(x + s 1) = softmax(x) over exactly this axis."""
    value = node.inputs[0]
    if operand != 0 or value is None:
        return False
    return axis.is_whole(value) and _softmax_axes(node, value) == {axis.axis}


def mean_to_subtract(node: ir.Node, operand: int, axis: FeatureAxis) -> bool:
    """The ReduceMean of x - ReduceMean(x), which nobody else reads."""
    mean = node.outputs[0]
    return (
        operand == 0
        and _is_mean_over(node, axis)
        and all(_subtracts_mean(use.node, axis) and use.idx == 1 for use in mean.uses())
        and not mean.is_graph_output()
    )


def subtraction_of_mean(node: ir.Node, operand: int, axis: FeatureAxis) -> bool:
    """The Sub of x - ReduceMean(x)."""
    return operand == 0 and _subtracts_mean(node, axis)


def _softmax_axes(node: ir.Node, value: ir.Value) -> set[int]:
    """Axes over which Softmax normalizes: one from opset 13 on, a flattened tail before.

    A nested graph does not say its opset, and is read as an old one: behind the named axis only
    axes of size 1 may follow, over which a Softmax says nothing anyway.
    """
    count = axes.rank(value) or 0
    version = node.graph.opset_imports.get("", 0) if node.graph is not None else 0
    first = node.attributes.get_int("axis", -1 if version >= 13 else 1) % count
    if version >= 13:
        return {first}
    return {first} | {i for i in range(first, count) if axes.dimension(value, i) != 1}


def _is_used(value: ir.Value) -> bool:
    return bool(value.uses()) or value.is_graph_output()


def _is_mean_over(node: ir.Node, axis: FeatureAxis) -> bool:
    """ReduceMean over exactly the feature axis, which it keeps with size 1."""
    value = node.inputs[0]
    if value is None or node.op_type != "ReduceMean" or not axis.is_whole(value):
        return False
    if not node.attributes.get_int("keepdims", 1):
        return False
    named: list[int] = list(node.attributes.get_ints("axes", ()))
    if len(node.inputs) > 1:
        found = constants.entries(node.inputs[1])
        named = [] if found is None else [int(entry) for entry in found.reshape(-1)]
    return {entry % (axes.rank(value) or 1) for entry in named} == {axis.axis}


def _subtracts_mean(node: ir.Node, axis: FeatureAxis) -> bool:
    """node = x - ReduceMean(x) over ``axis``."""
    if node.op_type != "Sub" or node.domain:
        return False
    minuend, mean = node.inputs
    producer = None if mean is None else mean.producer()
    return (
        producer is not None
        and producer.inputs[:1] == (minuend,)
        and producer.op_type == "ReduceMean"
        and not producer.domain
        and _is_mean_over(producer, axis)
    )


def is_centred(stream: Stream) -> bool:
    """True where C v = v already: v has zero mean at no cost, so raw readers may read it, too.

    x - ReduceMean(x); a LayerNormalization over this axis whose gamma is one number and whose beta
    has zero mean or is absent; a constant of zeros.
    """
    value, axis = stream.value, stream.axis
    if constants.constant_tensor(value) is not None:
        return constants.uniform_value(value) == 0.0
    node = value.producer()
    if node is None or not axis.is_whole(value):
        return False
    if _subtracts_mean(node, axis):
        return True
    if not is_norm(node) or value is not node.outputs[0] or norm_axis(node) != axis:
        return False
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if not is_feature_vector(bias, node):
        return False
    return constants.uniform_value(node.inputs[1]) is not None and (
        bias is None or _sums_to_zero(bias)
    )


def _sums_to_zero(bias: ir.Value) -> bool:
    found = constants.entries(bias)
    if found is None:
        return False
    exact = found.astype("float64")
    return bool(abs(exact.sum()) <= 1e-15 * abs(exact).sum())
