"""The table of rules: which op proves what of the sizes of its results.

onnx-shape-inference has a rule for most ops. It is used for the ops listed here, each of which the
tests hold against ONNX Runtime under several sizes of every symbol; where it claims more than is
true, a rule of ours stands in its place. An op in neither table proves nothing.
"""

from __future__ import annotations

import onnx_ir as ir
from onnx_shape_inference import registry

from graphopt.passes.facts import attention, broadcasting, control_flow, movement
from graphopt.passes.facts.context import Facts, Rule
from graphopt.passes.operators.custom_ops import (
    CRMS_NORM,
    DOMAIN,
    LAYER_NORM,
    RMS_NORM,
    SKIP_CRMS_NORM,
    SKIP_LAYER_NORM,
    SKIP_RMS_NORM,
)

__all__ = ["BROADCAST", "LIBRARY", "RULES", "rule_of", "type_rule_of"]


def _named(domain: str, names: str) -> frozenset[tuple[str, str]]:
    return frozenset((domain, name) for name in names.split())


BROADCAST = _named(
    "",
    """Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less
    LessOrEqual Max Mean Min Mod Mul Or PRelu Pow Sub Sum Where Xor""",
)
"""Ops whose result has the sizes of all operands, broadcast."""

LIBRARY = _named(
    "",
    """Abs Acos Acosh ArgMax ArgMin Asin Asinh Atan Atanh BatchNormalization BitwiseNot Cast
    CastLike Ceil Celu Clip Compress Concat Constant Conv ConvTranspose Cos Cosh CumSum DepthToSpace
    DequantizeLinear Dropout DynamicQuantizeLinear Elu Erf Exp Flatten Floor GRU Gather
    GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool GroupNormalization HardSigmoid
    HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LRN LSTM LeakyRelu Log LogSoftmax
    LpNormalization MatMulInteger MeanVarianceNormalization Mish Neg Not OneHot
    QuantizeLinear RNN Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax
    ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu ReverseSequence Round
    ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Softmax Softplus Softsign
    SpaceToDepth Sqrt Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze""",
) | _named(
    "com.microsoft",
    """Attention BiasGelu EmbedLayerNormalization FastGelu Gelu MultiHeadAttention QuickGelu
    RotaryEmbedding""",
)
"""Ops whose rule is the library's."""

_LIKE = {("com.microsoft", "FusedConv"): "Conv", ("com.microsoft", "FusedGemm"): "Gemm"}
"""ONNX Runtime's ops with the operands of an ONNX op."""


def _pool(facts: Facts, node: ir.Node) -> None:
    """The library does not know that a last window may not begin in the padding."""
    known = _of_library(facts, "", node.op_type)
    assert known is not None
    known(facts, node)
    if node.attributes.get_int("ceil_mode", 0):
        for result in node.outputs:
            if result.shape is not None:
                spatial = [facts.fresh() for _ in result.shape[2:]]
                facts.set_shape(result, [*result.shape[:2], *spatial])


def _non_zero(facts: Facts, node: ir.Node) -> None:
    """A row of indices for each axis; the library does not know that a scalar has one, too."""
    facts.set_dtype(node.outputs[0], ir.DataType.INT64)
    value = node.inputs[0]
    if value is not None and value.shape is not None:
        facts.set_shape(node.outputs[0], [max(1, len(value.shape)), facts.fresh()])


def _norm(facts: Facts, node: ir.Node) -> None:
    """The type of gamma and the sizes of X; gamma, which never widens X, proves the last one.

    Below opset 17 ONNX has no LayerNormalization, but ONNX Runtime's optimizer writes it, and lets
    the type of gamma differ from that of X.
    """
    value, gamma = node.inputs[0], node.inputs[1] if len(node.inputs) > 1 else None
    _like_first(facts, node, [node.outputs[0]], value, gamma)


def _biased(facts: Facts, node: ir.Node) -> None:
    """com.microsoft.BiasAdd: X plus a vector and a value of its sizes."""
    _like_first(facts, node, [node.outputs[0]], node.inputs[0], None)


def _skip_norm(facts: Facts, node: ir.Node) -> None:
    """A norm of X + skip; the sum has the type and the sizes of X."""
    gamma = node.inputs[2] if len(node.inputs) > 2 else None
    results = [node.outputs[0], *node.outputs[1 if node.domain == DOMAIN else 3 :]]
    _like_first(facts, node, results, node.inputs[0], gamma)


def _like_first(
    facts: Facts,
    node: ir.Node,
    results: list[ir.Value],
    value: ir.Value | None,
    gamma: ir.Value | None,
) -> None:
    if value is None:
        return
    sizes = None if gamma is None or gamma.shape is None else list(gamma.shape)
    is_last = node.attributes.get_int("axis", -1) in (-1, len(value.shape or ()) - 1)
    producer = value.producer()
    here = node.graph is (value.graph if producer is None else producer.graph)
    if here and is_last and sizes and isinstance(sizes[-1], int) and sizes[-1] > 1:
        facts.learn_last(value, sizes[-1])
    dtype = value.dtype if gamma is None else gamma.dtype
    for result in results:
        if dtype is not None:
            facts.set_dtype(result, dtype)
        facts.set_shape(result, value.shape)


RULES: dict[tuple[str, str], Rule] = {
    ("", "If"): control_flow.if_else,
    ("", "Loop"): control_flow.loop,
    ("", "Scan"): control_flow.scan,
    ("", "Attention"): attention.attention,
    ("", "MatMul"): broadcasting.matmul,
    ("", "Einsum"): broadcasting.einsum,
    ("com.microsoft", "FusedMatMul"): broadcasting.matmul_fused,
    ("", "Reshape"): movement.reshape,
    ("", "Expand"): movement.expand,
    ("", "ConstantOfShape"): movement.constant_of_shape,
    ("", "Slice"): movement.slice_,
    ("", "Squeeze"): movement.squeeze,
    ("", "Split"): movement.split,
    ("", "Pad"): movement.pad,
    ("", "Resize"): movement.resize,
    ("", "Upsample"): movement.resize,
    ("", "NonZero"): _non_zero,
    ("", "AveragePool"): _pool,
    ("", "MaxPool"): _pool,
    ("", "LayerNormalization"): _norm,
    ("", "RMSNormalization"): _norm,
    ("", "CRMSNormalization"): _norm,
    ("", "SimplifiedLayerNormalization"): _norm,
    ("com.microsoft", "BiasAdd"): _biased,
    ("com.microsoft", "GroupQueryAttention"): attention.group_query_attention,
    ("com.microsoft", "SkipLayerNormalization"): _skip_norm,
    ("com.microsoft", "SkipSimplifiedLayerNormalization"): _skip_norm,
    (DOMAIN, RMS_NORM): _norm,
    (DOMAIN, CRMS_NORM): _norm,
    (DOMAIN, SKIP_RMS_NORM): _skip_norm,
    (DOMAIN, SKIP_CRMS_NORM): _skip_norm,
    (DOMAIN, LAYER_NORM): _norm,
    (DOMAIN, SKIP_LAYER_NORM): _skip_norm,
}
"""Rules of ours."""


def rule_of(facts: Facts, node: ir.Node) -> Rule | None:
    """The rule for ``node``; None where nothing is proved of its results but their types."""
    key = (node.domain, node.op_type)
    if key in RULES:
        return RULES[key]
    if key in BROADCAST:
        return _broadcast
    if any(attribute.type == ir.AttributeType.GRAPH for attribute in node.attributes.values()):
        return control_flow.opaque
    if key in LIBRARY or key in _LIKE:
        return _of_library(facts, "" if key in _LIKE else node.domain, _LIKE.get(key, key[1]))
    return None


def type_rule_of(facts: Facts, node: ir.Node) -> Rule | None:
    """The library's rule for an op whose sizes are not believed: the types are."""
    return _of_library(facts, node.domain, node.op_type)


def _of_library(facts: Facts, domain: str, name: str) -> Rule | None:
    registry.collect()
    found: Rule | None = registry.get(domain, name, version=facts.get_opset_version(domain))
    return found


def _broadcast(facts: Facts, node: ir.Node) -> None:
    """The library knows the type and the entries of the result, and we its sizes."""
    known = _of_library(facts, "", node.op_type)
    if known is not None:
        known(facts, node)
    shapes = [None if v is None or v.shape is None else list(v.shape) for v in node.inputs]
    facts.set_shape(node.outputs[0], broadcasting.broadcast(facts, shapes))
    if node.op_type == "Where":
        _choose(facts, node)


def _choose(facts: Facts, node: ir.Node) -> None:
    """Where(sizes == -1, ones, sizes), as exporters guard an Expand: a size is not -1."""
    condition = node.inputs[0]
    equal = None if condition is None else condition.producer()
    if equal is None or equal.op_type != "Equal" or equal.domain:
        return
    values = (*equal.inputs, *node.inputs[1:])
    left, right, same, other = [facts.get_symbolic_value(value) or [] for value in values]
    if not len(left) == len(right) == len(same) == len(other):
        return
    chosen = []
    for a, b, x, y in zip(left, right, same, other, strict=True):
        if isinstance(a, int) and isinstance(b, int):
            chosen.append(x if a == b else y)
        else:
            unequal = isinstance(b, int) and b < 0 and facts.is_size(a)
            chosen.append(y if unequal else facts.fresh())
    facts.set_symbolic_value(node.outputs[0], chosen)
