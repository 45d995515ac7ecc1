"""A small graph for every op of which something is proved, with what may trip its rule."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.facts import rules
from tests.passes.facts.made_models import model_from

__all__ = ["GRAPHS", "believed", "covered", "model_of"]

_UNARY = """
Abs Acos Acosh Asin Asinh Atan Atanh Ceil Celu Clip Cos Cosh Elu Erf Exp Floor HardSigmoid
HardSwish Hardmax Identity IsInf IsNaN LeakyRelu Log LogSoftmax LpNormalization Mish Neg
Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Tan Tanh
ThresholdedRelu Trilu Dropout
"""
_PAIRS = """
Add Div Max Mean Min Mul PRelu Pow Sub Sum
"""
_REDUCTIONS = """
ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd
ReduceSum ReduceSumSquare
"""
_ARITHMETIC = "h = Shape(x) l = Shape(z)"
_SINK = " y = ConstantOfShape(r)"

GRAPHS: dict[str, str | tuple[str, int]] = {
    **{op: f"y = {op}(x)" for op in _UNARY.split()},
    **{
        op: f"y = {op}(x, z) o = {op}(x, u) a = {op}(x, row) d = {op}(f, x) r = {op}(q, f)"
        for op in _PAIRS.split()
    },
    **{
        op: f"a = {op}<keepdims = 0>(x, minus) y = {op}(x, axes01) d = {op}(x) "
        f"o = {op}<noop_with_empty_axes = 1>(x) r = {op}(x, n0)"
        for op in _REDUCTIONS.split()
    },
    "Gelu": ("y = Gelu(x)", 20),
    "BitwiseNot": "y = BitwiseNot(g)",
    "And": "y = And(b, p) a = And(b, k)",
    "Or": "y = Or(b, p)",
    "Xor": "y = Xor(p, b)",
    "Not": "y = Not(b)",
    "Equal": "y = Equal(x, z)",
    "Greater": "y = Greater(x, z)",
    "GreaterOrEqual": "y = GreaterOrEqual(x, z)",
    "Less": "y = Less(x, z)",
    "LessOrEqual": "y = LessOrEqual(x, z)",
    "BitShift": 'y = BitShift<direction = "LEFT">(g, g)',
    "BitwiseAnd": "y = BitwiseAnd(g, g)",
    "BitwiseOr": "y = BitwiseOr(g, g)",
    "BitwiseXor": "y = BitwiseXor(g, g)",
    "Mod": "y = Mod(e, s8) r = Mod(e, eight) a = Mod<fmod = 1>(x, z)",
    "Where": "y = Where(p, x, z) a = Where(k, x, u) d = Where(b, f, q)",
    "Cast": "y = Cast<to = 10>(x) a = Cast<to = 7>(j)",
    "CastLike": "y = CastLike(x, j)",
    "Cast of a size to bool": "h = Shape(x) o = Cast<to = 9>(h) r = Cast<to = 7>(o)" + _SINK,
    "Cast of a size to float": "h = Shape(x) d = Cast<to = 1>(h) o = Mul(d, one) a = Ceil(o) "
    "r = Cast<to = 7>(a)" + _SINK,
    "Constant": "a = Constant<value = float[2] {1, 2}>() y = Add(x, one)",
    "CumSum": "y = CumSum(x, s1)",
    "ReverseSequence": "y = ReverseSequence<batch_axis = 0, time_axis = 1>(x, d) "
    "h = Shape(x) l = Gather(h, zero) d = Expand(first, l)",
    "ArgMax": "y = ArgMax<axis = 1>(x) a = ArgMax<keepdims = 0>(x)",
    "ArgMin": "y = ArgMin<axis = -1, keepdims = 0>(x)",
    "TopK": "y, a = TopK(x, three) d, o = TopK<axis = 1>(x, n0)",
    "TopK of a size": "h = Shape(x) r = Gather(h, first) y, a = TopK<axis = 1>(x, r)",
    "OneHot": "y = OneHot(j, s3_, d) d = Constant<value = float[2] {0, 1}>()",
    "NonZero": "y = NonZero(x) r = Transpose(y) a = NonZero(u)",
    "Compress": "d = Constant<value = bool[2] {1, 0}>() y = Compress<axis = 1>(x, d) "
    "a = Compress(x, d)",
    "Concat": "y = Concat<axis = 1>(x, t) a = Concat<axis = 0>(x, z) d = Concat<axis = -1>(x, f)",
    "Concat of sizes": "h = Shape(x) l = Gather(h, zero) r = Concat<axis = 0>(l, n0, eight)"
    + _SINK,
    "Flatten": "y = Flatten(x) a = Flatten<axis = 2>(x) d = Flatten<axis = 0>(c)",
    "Transpose": "y = Transpose(x) a = Transpose<perm = [2, 0, 1]>(x)",
    "Shape": "h = Shape(x) a = Shape<start = 1>(c) r = Shape<start = -2, end = -1>(x)" + _SINK,
    "Size": "r = Size(x) d = Reshape(r, minus) y = ConstantOfShape(d)",
    "Unsqueeze": "y = Unsqueeze(x, axes12) a = Unsqueeze(x, minus) d = Unsqueeze(x, n0)",
    "Squeeze": "a = Unsqueeze(x, axes12) y = Squeeze(a, axes12) d = Squeeze(a) o = Squeeze(x, n0) "
    "r = Squeeze(u)",
    "Squeeze before opset 13": ("y = Squeeze<axes = [0]>(x) a = Squeeze(x)", 11),
    "Gather": "y = Gather<axis = 1>(x, i) a = Gather(x, s0) d = Gather<axis = -1>(x, zeros)",
    "Gather of sizes": "h = Shape(x) r = Gather(h, axes12)" + _SINK,
    "Gather of unknown sizes": "h = Shape(x) r = Gather(h, i)" + _SINK,
    "GatherElements": "y = GatherElements<axis = 1>(x, a) a = Sub(e, e)",
    "GatherND": "a = Unsqueeze(j, minus) d = Sub(a, a) y = GatherND(x, d)",
    "ScatterElements": "a = Sub(e, e) y = ScatterElements(x, a, x)",
    "ScatterND": "a = Constant<value = int64[1, 1] {0}>() d = Slice(x, zero, first, zero) "
    "y = ScatterND(x, a, d)",
    "Expand": "y = Expand(x, sizes) h = Shape(z) a = Expand(x, h) d = Expand(x, s3) "
    "o = Expand(u, h) sizes = Identity(ones) r = Expand(x, wide)",
    "Expand to one size": "y = Expand(x, eight) a = Expand(u, n0) d = Expand(q, n0)",
    "Reshape": "y = Reshape(x, rest) a = Reshape(x, flat) d = Reshape(x, heads) "
    "h = Shape(x) r = Reshape(a, h) o = Reshape(x, s3)",
    "Reshape to what another has": "h = Shape(x) l = Gather(h, zero) r = Concat<axis = 0>(l, minus)"
    " y = Reshape(z, r) a = Shape(f) d = Reshape(x, a)",
    "Reshape to a difference": f"{_ARITHMETIC} d = Sub(h, l) a = Gather(d, zero) "
    "r = Concat<axis = 0>(a, minus, eight) y = Reshape(x, r) o = Reshape(z, r)",
    "Reshape to what a caller says": "r = Concat<axis = 0>(n0, n1, eight) y = Reshape(x, r) "
    "a = Reshape(z, r)",
    "ConstantOfShape": "h = Shape(x) y = ConstantOfShape(h) a = ConstantOfShape(s3)",
    "sums of sizes": f"{_ARITHMETIC} r = Add(h, l)" + _SINK,
    "products of sizes": f"{_ARITHMETIC} r = Mul(h, l)" + _SINK,
    "differences of sizes": f"{_ARITHMETIC} d = Sub(h, l) r = Abs(d)" + _SINK,
    "quotients of sizes": f"{_ARITHMETIC} r = Div(h, two)" + _SINK,
    "remainders of sizes": f"{_ARITHMETIC} r = Mod(h, two)" + _SINK,
    "extremes of sizes": f"{_ARITHMETIC} a = Max(h, l) o = Min(h, l) d = Sub(a, o) "
    "y = ConstantOfShape(d) r = ConstantOfShape(a)",
    "chosen sizes": f"{_ARITHMETIC} a = Equal(h, l) r = Where(a, h, l)" + _SINK,
    "sizes that are not -1": f"{_ARITHMETIC} d = Sub(ones, two) o = Sub(h, l) a = Equal(h, d) "
    "r = Where(a, ones, h) n = Equal(o, d) q1 = Where(n, ones, h)" + _SINK + " r1 = Expand(u, q1)",
    "all but the last": "y = Slice(x, zero, minus, first)",
    "negated sizes": "h = Shape(x) d = Neg(h) r = Neg(d)" + _SINK,
    "squared sizes": "h = Shape(x) l = Unsqueeze(h, zero) o = Unsqueeze(h, first) d = Mul(l, o) "
    "a = Add(d, d) r = ReduceMax<keepdims = 0>(a, zero)" + _SINK,
    "sliced sizes": "h = Shape(x) r = Slice(h, minus, back, zero, minus)" + _SINK,
    "the first sizes": "h = Shape(x) r = Slice(h, zero, two)" + _SINK,
    "split sizes": "h = Shape(x) r, o = Split(h, d) d = Identity(pads2)" + _SINK,
    "squeezed sizes": "h = Shape(x) a = Gather(h, zero) l = Squeeze(a) r = Unsqueeze(l, zero)"
    + _SINK,
    "Range": "h = Shape(x) a = Gather(h, s1) y = Range(s0, a, s1) d = Range(a, trip, s1) "
    "r = Range(s0, a, s2) o = Range(a, s0, s1)",
    "Range of floats": "a = Constant<value_float = 0.1>() d = Constant<value_float = 1.0>() "
    "o = Constant<value_float = 0.0>() y = Range(o, d, a)",
    "Slice": "y = Slice(x, zero, first, first) a = Slice(x, zero, last, first) "
    "d = Slice(x, first, last, zero) o = Slice(x, minus, last, first) r = Slice(x, zero, two)",
    "Slice backwards": "y = Slice(x, minus, back, first, minus) "
    "a = Slice(x, zero, last, minus, two)",
    "Slice backwards from before the first": "a = Slice(x, far, farther, two, minus) h = Shape(x) "
    "r = Slice(h, far, farther, zero, minus) d = Slice(x, far, farther, two)" + _SINK,
    "Slice of numbers": "a = Slice(x, two, minus, minus) y = Slice(x, minus, back, minus, minus)",
    "Slice by run-time bounds": "y = Slice(x, n0, last, first) a = Slice(x, zero, n1, zero) "
    "d = Slice(x, n0, n1)",
    "Slice by run-time axes": "y = Slice(x, zero, first, n1)",
    "Slice by run-time steps": "y = Slice(x, zero, last, first, n1)",
    "Slice to the size of another": "h = Shape(x) a = Gather(h, first) y = Slice(z, zero, a, first)"
    " d = Slice(x, zero, a, first)",
    "Slice to a size that is added": "h = Shape(x) a = Gather(h, first) "
    "d = Slice(z, zero, a, first) y = Add(x, d) o = Slice(words, zero, a, zero) "
    "r = Add(x, o) l = Add(z, o)",
    "Split": "y, a = Split<axis = 2>(x, parts) d, o = Split<axis = -1, num_outputs = 2>(x) "
    "r, l = Split<axis = 1, num_outputs = 2>(x)",
    "Split unevenly": "y, a, d = Split<axis = 2, num_outputs = 3>(x)",
    "Split by run-time sizes": "y, a = Split<axis = 2>(x, d) d = Concat<axis = 0>(n1, o) "
    "o = Sub(eight, n1)",
    "Split before opset 13": ("y, a = Split<axis = 2>(x) d, o = Split<axis = 2, split = [3, 5]>(x)",
    11),
    "Pad": "y = Pad(x, pads) a = Pad(x, crop)",
    "Pad of some axes": 'y = Pad(x, pads2, "", minus) a = Pad(x, pads2, "", n1)',
    "Pad before opset 11": ("y = Pad<pads = [0, 0, 1, 0, 0, 1]>(x)", 10),
    "Tile": "y = Tile(x, repeats) a = Tile(x, s3)",
    "Resize": 'y = Resize(x, "", doubled) a = Resize(x, "", shrunk) d = Resize(x, "", same) '
    'o = Resize(x, "", "", sizes) sizes = Identity(wide)',
    "Resize some axes": 'y = Resize<axes = [1]>(x, "", "", three)',
    "Resize to sizes that are computed": 'h = Shape(z) y = Resize(x, "", "", h)',
    "Resize within": 'y = Resize<keep_aspect_ratio_policy = "not_larger">(x, "", "", sizes) '
    'sizes = Identity(wide) a = Resize<keep_aspect_ratio_policy = "not_smaller">(x, "", "", sizes)',
    "Upsample": ("y = Upsample(x, doubled)", 9),
    "MatMul": "y = MatMul(x, m) a = MatMul(x, w) o = Transpose<perm = [0, 2, 1]>(z) "
    "d = MatMul(x, o) r = MatMul(x, row) l = MatMul(row, m)",
    "MatMulInteger": "y = MatMulInteger(g, a) a = Transpose<perm = [0, 2, 1]>(g)",
    "Gemm": "a = Reshape(x, flat) y = Gemm(a, w, row) d = Gemm<transB = 1>(a, w) "
    "o = Gemm<transA = 1>(a, a)",
    "Einsum": 'y = Einsum<equation = "nsd,msd->nm">(x, z) '
    'a = Einsum<equation = "nsd,dp->snp">(x, m) '
    'd = Einsum<equation = "nsd,nsd->nsd">(x, z) o = Einsum<equation = "...d->d...">(x) '
    'h = Einsum<equation = "...d,...d">(x, z) l = Einsum<equation = "n...,dp">(x, m)'
    ' r = Einsum<equation = "nsd,nsd->nsd">(f, x)',
    "Conv": "y = Conv(c, kernel) a = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(c, kernel) "
    'd = Conv<auto_pad = "SAME_UPPER", strides = [2, 2]>(c, kernel) '
    'o = Conv<auto_pad = "VALID", dilations = [2, 1]>(c, kernel)',
    "ConvTranspose": "y = ConvTranspose(c, turned) a = ConvTranspose<strides = [2, 2], "
    "pads = [1, 1, 0, 0], output_padding = [1, 0]>(c, turned) "
    'd = ConvTranspose<auto_pad = "SAME_UPPER", strides = [2, 2]>(c, turned)',
    "ConvTranspose to a shape": "o = ConvTranspose<output_shape = [24, 25], "
    "strides = [3, 3]>(c, turned)",
    "AveragePool": "y = AveragePool<kernel_shape = [2, 2]>(c) "
    "a = AveragePool<kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1>(c) "
    'd = AveragePool<auto_pad = "SAME_LOWER", kernel_shape = [3, 3], strides = [2, 2]>(c)',
    "MaxPool": "y = MaxPool<kernel_shape = [3, 2], strides = [2, 2], ceil_mode = 1, "
    "pads = [1, 1, 1, 1]>(c) a, d = MaxPool<kernel_shape = [2, 2], dilations = [2, 2]>(c)",
    "GlobalAveragePool": "y = GlobalAveragePool(c)",
    "GlobalMaxPool": "y = GlobalMaxPool(c)",
    "BatchNormalization": "y = BatchNormalization(c, channels, channels, channels, o) "
    "o = Abs(channels)",
    "InstanceNormalization": "y = InstanceNormalization(c, channels, channels)",
    "GroupNormalization": ("y = GroupNormalization<num_groups = 2>(c, channels, channels)", 21),
    "LRN": "y = LRN<size = 3>(c)",
    "MeanVarianceNormalization": "y = MeanVarianceNormalization(c)",
    "DepthToSpace": "y = DepthToSpace<blocksize = 2>(c)",
    "SpaceToDepth": "y = SpaceToDepth<blocksize = 2>(c)",
    "LayerNormalization": "y, a, d = LayerNormalization(x, row) o = LayerNormalization(f, row) "
    "l = Relu(o) r = Add(x, f)",
    "LayerNormalization in a branch": "y = If(go) <then_branch = q1 () => (float[] p1) "
    "{ p1 = LayerNormalization(f, row) }, else_branch = q2 () => (float[] p2) { p2 = Neg(f) }>",
    "LayerNormalization behind a Reshape": "a = Reshape(x, s3) y = LayerNormalization(a, row)",
    "RMSNormalization": ("y = RMSNormalization(x, row) o = RMSNormalization(f, row)", 23),
    "SimplifiedLayerNormalization": "y = SimplifiedLayerNormalization(x, row)",
    "LSTM": "y, a, d = LSTM<hidden_size = 3>(x, cell, state)",
    "GRU": "y, a = GRU<hidden_size = 3>(x, gru, hidden)",
    "RNN": "y, a = RNN<hidden_size = 3>(x, plain, loop)",
    "QuantizeLinear": "d = Constant<value = float {0.1}>() y = QuantizeLinear(x, d) "
    "a = DequantizeLinear(y, d)",
    "DequantizeLinear": "d = Constant<value = float {0.1}>() a = DequantizeLinear(g, d)",
    "DynamicQuantizeLinear": "y, a, d = DynamicQuantizeLinear(x)",
    "If": "y = If(go) <then_branch = q1 () => (float[] p1) { p1 = Relu(x) }, "
    "else_branch = q2 () => (float[] p2) { p2 = Relu(z) }> "
    "a = If(go) <then_branch = q3 () => (float[] p3) { p3 = Flatten(x) }, "
    "else_branch = q4 () => (float[] p4) { p4 = Relu(z) }>",
    "If of a value of unknown rank": "y = If(go) <then_branch = q1 () => (float[] p1) "
    "{ p1 = Squeeze(z) }, else_branch = q2 () => (float[] p2) { p2 = Relu(x) }>",
    "Loop": "y, a = Loop(trip, go, x) <body = b1 (int64 i1, bool c1, float[] s1) => "
    "(bool d1, float[] e1, float[] f1) { d1 = Identity(c1) e1 = Concat<axis = 1>(s1, s1) "
    "f1 = Relu(x) }>",
    "Loop that swaps": "y, a = Loop(trip, go, x, z) <body = b1 (int64 i1, bool c1, float[] s1, "
    "float[] t1) => (bool d1, float[] e1, float[] f1) "
    "{ d1 = Identity(c1) e1 = Relu(t1) f1 = Relu(s1) }>",
    "Loop that flattens": "y = Loop(trip, go, x) <body = b1 (int64 i1, bool c1, float[] s1) => "
    "(bool d1, float[] e1) { d1 = Identity(c1) e1 = Flatten(s1) }> r = Relu(y)",
    "Loop that keeps": "y = Loop(trip, go, x) <body = b1 (int64 i1, bool c1, float[] s1) => "
    "(bool d1, float[] e1) { d1 = Identity(c1) e1 = MatMul(s1, w) }>",
    "Loop in a Loop": "y = Loop(trip, go, x) <body = b1 (int64 i1, bool c1, float[] s1) => "
    "(bool d1, float[] e1) { d1 = Identity(c1) e1 = Loop(trip, go, s1) <body = b2 (int64 i2, "
    "bool c2, float[] s2) => (bool d2, float[] e2) { d2 = Identity(c2) "
    "e2 = Concat<axis = 0>(s2, z) }> }>",
    "Scan": "y, a = Scan<num_scan_inputs = 1, body = b1 (float[] s1, float[] t1) => "
    "(float[] e1, float[] f1) { e1 = Relu(s1) f1 = Relu(t1) }>(row, x) "
    "r, o = Scan<num_scan_inputs = 1, scan_input_axes = [1], body = b2 (float[] s2, float[] t2) => "
    "(float[] e2, float[] f2) { e2 = Identity(s2) f2 = Add(t2, s2) }>(row, x)",
    "FusedMatMul": "a = MatMul(x, w) y = com.microsoft.FusedMatMul<transB = 1>(x, z) "
    "d = com.microsoft.FusedMatMul<transA = 1>(x, z)",
    "FusedGemm": 'a = Reshape(x, flat) y = com.microsoft.FusedGemm<activation = "Relu">'
    "(a, w, row)",
    "FusedConv": 'y = com.microsoft.FusedConv<activation = "Relu">(c, kernel)',
    "BiasGelu": "y = com.microsoft.BiasGelu(x, row)",
    "FastGelu": "y = com.microsoft.FastGelu(x)",
    "com.microsoft Gelu": "y = com.microsoft.Gelu(x)",
    "QuickGelu": "y = com.microsoft.QuickGelu(x)",
    "SkipLayerNormalization": 'y, "", "", a = com.microsoft.SkipLayerNormalization(x, x, row)',
    "SkipSimplifiedLayerNormalization": 'y, "", "", a = '
    "com.microsoft.SkipSimplifiedLayerNormalization(x, x, row)",
    "EmbedLayerNormalization": "l = Cast<to = 6>(j) y, a = com.microsoft.EmbedLayerNormalization"
    '(l, "", words, words, "", row, row)',
    "Attention": "y = com.microsoft.Attention<num_heads = 2>(x, qkv, eights) "
    'a, d = com.microsoft.Attention<num_heads = 2>(x, qkv, eights, "", o) '
    "l = Unsqueeze(x, zero) r = Reshape(l, shape5) shape5 = Constant<value = int64[5] "
    "{1, 0, 0, 2, 4}>() h = Concat<axis = 0>(r, r) o = Transpose<perm = [0, 1, 3, 2, 4]>(h)",
    "Attention of fewer values": "y = com.microsoft.Attention<num_heads = 2, "
    "qkv_hidden_sizes = [8, 8, 4]>(x, narrow, twenties)",
    "MultiHeadAttention: fewer values": "r = MatMul(t, m) "
    "y = com.microsoft.MultiHeadAttention<num_heads = 2>(x, t, r)",
    "MultiHeadAttention: four axes": "r = Reshape(t, heads) l = Transpose<perm = [0, 2, 1, 3]>(r) "
    "y = com.microsoft.MultiHeadAttention<num_heads = 2>(x, l, l)",
    "MultiHeadAttention": "y = com.microsoft.MultiHeadAttention<num_heads = 2>(x, t, t) "
    'a, d, o = com.microsoft.MultiHeadAttention<num_heads = 2>(x, t, t, "", "", "", l, l) '
    "r = Reshape(t, heads) l = Transpose<perm = [0, 2, 1, 3]>(r)",
    "Attention of ONNX": (
        "y = Attention<q_num_heads = 2, kv_num_heads = 2>(x, t, r) r = MatMul(t, narrow) "
        "o = MatMul(x, qkv) a = Attention<q_num_heads = 6, kv_num_heads = 2>(o, t, r) "
        "h = Reshape(x, heads) l = Transpose<perm = [0, 2, 1, 3]>(h) e = Reshape(t, heads) "
        "g = Transpose<perm = [0, 2, 1, 3]>(e) d, i, j = Attention(l, g, g)",
        23,
    ),
    "GroupQueryAttention": "a = Equal(j, j) d = Cast<to = 6>(a) "
    "h = ReduceSum<keepdims = 0>(d, first) l = Sub(h, less) less = Constant<value = int32 {1}>() "
    "r = ReduceMax<keepdims = 0>(h) o = MatMul(x, qkv) y = com.microsoft.GroupQueryAttention"
    '<num_heads = 1, kv_num_heads = 1>(o, "", "", "", "", l, r) own = com.microsoft.'
    'GroupQueryAttention<num_heads = 1, kv_num_heads = 1>(x, x, x, "", "", l, r)',
    "RotaryEmbedding": "y = com.microsoft.RotaryEmbedding<num_heads = 2>(x, j, cache, cache)",
    "LayerNormalization below opset 17": ("y = LayerNormalization(x, row) a = Relu(y)", 13),
    "a value that a run-time Reshape makes": "a = Reshape(x, s3) d = Reshape(x, s3) y = Add(a, d)",
}  # fmt: skip


def model_of(name: str) -> ir.Model:
    """The graph of this name."""
    entry = GRAPHS[name]
    return model_from(entry) if isinstance(entry, str) else model_from(*entry)


def covered() -> set[tuple[str, str]]:
    """Every op that stands in some graph."""
    found = set()
    for name in GRAPHS:
        found |= {(node.domain, node.op_type) for node in model_of(name).graph.all_nodes()}
    return found


def believed() -> set[tuple[str, str]]:
    """Every op that a rule speaks of, but graphopt's own, and what no CPU kernel can refute."""
    own = rules.BROADCAST | rules.LIBRARY | set(rules.RULES)
    apart = {("", "CRMSNormalization"), ("com.microsoft", "BiasAdd")}
    return {key for key in own - apart if key[0] != "graphopt"}
