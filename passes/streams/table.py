"""The table of ops: what each does to the mean of a stream of features, a row an op.

The fields of ``Op`` are the questions, and a row answers all of them. "Proved not to commute" is an
answer, ``never``; of an op without a row nothing is known, and both read raw. The functions that
answer stand in the files of their families, each with what it proves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import onnx_ir as ir

from graphopt.passes.crms.size_operands import (
    OF_EXPAND,
    OF_RESHAPE,
    OF_RESIZE,
    Sizes,
    SizesOperand,
)
from graphopt.passes.graph.axes import FeatureAxis, Stream
from graphopt.passes.streams import elementwise, layouts, linear, places, scatters, selections
from graphopt.passes.streams import linear_readers as read_by
from graphopt.passes.streams.landings import anywhere, nowhere, where_reshaped
from graphopt.passes.streams.linear_readers import LinearReader
from graphopt.passes.streams.readers import (
    mean_to_subtract,
    norm_over_features,
    nothing,
    only_sizes,
    only_type,
    place_of_greatest,
    places_of_greatest,
    softmax_over_features,
    subtraction_of_mean,
)
from graphopt.passes.streams.roles import OperandRoles, never

__all__ = ["OPS", "Op"]


@dataclasses.dataclass(frozen=True)
class Op:
    """What one op does to the mean of a stream. The last three answers may be no for want of proof.

    Attributes:
        equation: What the row rests on; C takes the mean over the features away.
        carries: What each operand is where a result is centred on an axis; None where the node does
            not commute with C for its attributes.
        lands: Where the features of an operand may lie in a result.
        tolerates: True where the results of the node are the same for an operand x and C x.
        linear: The node as a linear map that takes over the gamma and beta of what it reads; None
            for an op that never does.
        sizes: What names the sizes of the result, where a feature axis loses an entry.
        hands_on_beta: An addend of the operand that is the same for all tokens is, for all tokens,
            the same addend of the result; where several operands carry, if all of them have it.
        moves_entries: Each entry of the result is one of the first operand.
        keeps_count: The first result has as many entries as the first operand.
    """

    equation: str
    carries: Callable[[ir.Node, ir.Value, FeatureAxis], OperandRoles | None]
    lands: Callable[[ir.Value, ir.Value, FeatureAxis], Iterator[FeatureAxis]]
    tolerates: Callable[[ir.Node, int, FeatureAxis], bool]
    linear: Callable[[ir.Node, ir.Value, Stream], LinearReader | None] | None
    sizes: Sizes | SizesOperand
    hands_on_beta: bool
    moves_entries: bool
    keeps_count: bool


YES, NO = True, False
FOLLOW = Sizes.FOLLOW

# fmt: off
# The columns: carries, lands, tolerates, linear, sizes, hands_on_beta, moves_entries, keeps_count
_ONNX = {
    # entry by entry
    "Add": Op("C(x + y) = C x + C y; C(x + s 1) = C x",
        elementwise.sums, anywhere, nothing, None, FOLLOW, NO, NO, NO),
    "Sub": Op("C(x - y) = C x - C y; x - mean(x) = C x",
        elementwise.sums, anywhere, subtraction_of_mean, None, FOLLOW, NO, NO, NO),
    "Sum": Op("C(x + y + z) = C x + C y + C z",
        elementwise.sums, anywhere, nothing, None, FOLLOW, NO, NO, NO),
    "Mean": Op("C mean(x, y) = mean(C x, C y)",
        elementwise.sums, anywhere, nothing, None, FOLLOW, NO, NO, NO),
    "Mul": Op("C(m x) = m C x, m one number for each token",
        elementwise.multiplies, anywhere, nothing, None, FOLLOW, NO, NO, NO),
    "Div": Op("C(x / m) = (C x) / m, m one number for each token",
        elementwise.multiplies, anywhere, nothing, None, FOLLOW, NO, NO, NO),
    "Where": Op("C where(c, x, y) = where(c, C x, C y), c one for each token",
        elementwise.chooses, anywhere, nothing, None, FOLLOW, NO, NO, NO),
    "Identity": Op("y = x",
        elementwise.hands_on, anywhere, nothing, None, FOLLOW, YES, YES, YES),
    "Neg": Op("C(-x) = -C x",
        elementwise.hands_on, anywhere, nothing, None, FOLLOW, NO, NO, YES),
    "Dropout": Op("y = x where nothing is trained",
        elementwise.drops_out, anywhere, nothing, None, FOLLOW, NO, YES, YES),
    "Cast": Op("y = x between float types of 16 bits and more",
        elementwise.casts, anywhere, nothing, None, FOLLOW, NO, YES, YES),
    "CastLike": Op("y = x between float types of 16 bits and more; of z the type alone",
        elementwise.casts, anywhere, only_type, None, FOLLOW, NO, YES, YES),
    # laid out anew
    "Transpose": Op("y[i, j] = x[j, i]",
        layouts.transposes, anywhere, nothing, None, FOLLOW, YES, YES, YES),
    "Reshape": Op("the same entries in row-major order",
        layouts.reshapes, where_reshaped, nothing, None, OF_RESHAPE, YES, YES, YES),
    "Flatten": Op("the same entries in row-major order",
        layouts.reshapes, where_reshaped, nothing, None, FOLLOW, YES, YES, YES),
    "Squeeze": Op("y[i, j] = x[i, 0, j]",
        layouts.squeezes, anywhere, nothing, None, FOLLOW, YES, YES, YES),
    "Unsqueeze": Op("y[i, 0, j] = x[i, j]",
        layouts.unsqueezes, anywhere, nothing, None, FOLLOW, YES, YES, YES),
    "Expand": Op("y[t, f] = x[0, f]",
        layouts.expands, anywhere, nothing, None, OF_EXPAND, NO, YES, NO),
    "Tile": Op("y[t, f] = x[t mod n, f]",
        layouts.tiles, anywhere, nothing, None, FOLLOW, YES, YES, NO),
    # picked, dropped and joined
    "Slice": Op("y[t, f] = x[a + b t, f]; all features, or other axes",
        selections.slices, anywhere, nothing, None, FOLLOW, YES, YES, NO),
    "Gather": Op("y[t, f] = x[i[t], f]",
        selections.gathers, anywhere, nothing, None, FOLLOW, YES, YES, NO),
    "GatherND": Op("y[t, f] = x[i[t], f], i[t] several indices",
        selections.gathers_slices, anywhere, nothing, None, FOLLOW, YES, YES, NO),
    "Split": Op("y[t, f] = x[a + t, f]",
        selections.splits, anywhere, nothing, None, FOLLOW, YES, YES, NO),
    "Concat": Op("C [x; y] = [C x; C y], joined on another axis",
        selections.joins, anywhere, nothing, None, FOLLOW, YES, NO, NO),
    "Compress": Op("y[t, f] = x[i[t], f], i the places where a condition holds",
        selections.compresses, anywhere, nothing, None, FOLLOW, YES, YES, NO),
    "ReverseSequence": Op("y[t, f] = x[i[t], f], i a permutation",
        selections.reverses, anywhere, nothing, None, FOLLOW, YES, YES, YES),
    "ScatterND": Op("C (x with u at i) = C x with C u at i; C (x + u at i) = C x + C u at i",
        scatters.scatters_slices, anywhere, nothing, None, FOLLOW, NO, NO, YES),
    "ScatterElements": Op("C (x with u at i) = C x with C u at i, i the same for all features",
        scatters.scatters, anywhere, nothing, None, Sizes.FIXED, NO, NO, YES),
    "Pad": Op("C [x; 0] = [C x; 0], padded on another axis",
        selections.pads, anywhere, nothing, None, FOLLOW, NO, NO, NO),
    # averaged and interpolated over other axes
    "ReduceMean": Op("C A x = A C x, A over another axis; x - mean(x) = C x",
        places.reduces, anywhere, mean_to_subtract, None, FOLLOW, YES, NO, NO),
    "ReduceSum": Op("C A x = A C x, A over another axis",
        places.reduces, anywhere, nothing, None, FOLLOW, NO, NO, NO),
    "CumSum": Op("C L x = L C x, L over another axis",
        places.accumulates, anywhere, nothing, None, FOLLOW, NO, NO, YES),
    "Resize": Op("C A x = A C x, A over other axes",
        places.resizes, anywhere, nothing, None, OF_RESIZE, NO, NO, NO),
    "AveragePool": Op("C A x = A C x, A over places",
        places.pools, anywhere, nothing, None, FOLLOW, NO, NO, NO),
    "GlobalAveragePool": Op("C A x = A C x, A over places",
        places.pools, anywhere, nothing, None, FOLLOW, NO, NO, NO),
    # linear maps
    "MatMul": Op("A (W C) = (A W) C; (C W) A = C (W A)",
        linear.multiplies_matrices, anywhere, nothing, read_by.matmul, FOLLOW, NO, NO, NO),
    "Gemm": Op("a A (W C) + b (B C) = (a A W + b B) C",
        linear.multiplies_and_adds, anywhere, nothing, read_by.gemm, FOLLOW, NO, NO, NO),
    "Conv": Op("(C W) * x + C b = C (W * x + b) over output channels, group 1",
        linear.convolves, anywhere, nothing, read_by.conv, FOLLOW, NO, NO, NO),
    "ConvTranspose": Op("(C W) * x + C b = C (W * x + b) over output channels, group 1",
        linear.deconvolves, anywhere, nothing, None, FOLLOW, NO, NO, NO),
    "Einsum": Op("linear in the operand that has the features",
        linear.contracts, anywhere, nothing, None, FOLLOW, NO, NO, NO),
    # read without carrying on
    "LayerNormalization": Op("LN(x + s 1) = LN(x)",
        never, nowhere, norm_over_features, None, FOLLOW, NO, NO, NO),
    "Softmax": Op("softmax(x + s 1) = softmax(x)",
        never, nowhere, softmax_over_features, None, FOLLOW, NO, NO, YES),
    "LogSoftmax": Op("logsoftmax(x + s 1) = logsoftmax(x)",
        never, nowhere, softmax_over_features, None, FOLLOW, NO, NO, YES),
    "Hardmax": Op("hardmax(x + s 1) = hardmax(x)",
        never, nowhere, softmax_over_features, None, FOLLOW, NO, NO, YES),
    "ArgMax": Op("argmax(x + s 1) = argmax(x)",
        never, nowhere, place_of_greatest, None, FOLLOW, NO, NO, NO),
    "ArgMin": Op("argmin(x + s 1) = argmin(x)",
        never, nowhere, place_of_greatest, None, FOLLOW, NO, NO, NO),
    "TopK": Op("the indices of topk(x + s 1) are those of topk(x)",
        never, nowhere, places_of_greatest, None, FOLLOW, NO, NO, NO),
    "Shape": Op("shape(x + s 1) = shape(x)",
        never, nowhere, only_sizes, None, Sizes.TOLD, NO, NO, NO),
    "Size": Op("size(x + s 1) = size(x)",
        never, nowhere, only_sizes, None, Sizes.COUNTED, NO, NO, NO),
    **{
        bent: Op("not linear: the mean comes out changed",
            never, nowhere, nothing, None, FOLLOW, NO, NO, YES)
        for bent in ("Abs", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu",
            "Mish", "Reciprocal", "Relu", "Sigmoid", "Softplus", "Sqrt", "Tanh")
    },
    **{
        bent: Op("not linear: the mean comes out changed",
            never, nowhere, nothing, None, FOLLOW, NO, NO, NO)
        for bent in ("GlobalMaxPool", "Max", "MaxPool", "Min", "Pow", "ReduceMax", "ReduceMin")
    },
}
_MICROSOFT = {
    "BiasAdd": Op("C(x + b + y) = C x + C b + C y",
        elementwise.sums, anywhere, nothing, None, FOLLOW, NO, NO, NO),
    "FusedMatMul": Op("a A (W C) = a (A W) C",
        linear.multiplies_turned, anywhere, nothing, read_by.matmul, FOLLOW, NO, NO, NO),
    "FusedGemm": Op("a A (W C) + b (B C) = (a A W + b B) C, no activation",
        linear.multiplies_and_adds, anywhere, nothing, read_by.gemm, FOLLOW, NO, NO, NO),
    "Attention": Op("x W is linear, what follows is not",
        never, nowhere, nothing, read_by.attention, FOLLOW, NO, NO, NO),
}
# fmt: on

OPS = {
    **{("", name): op for name, op in _ONNX.items()},
    **{("com.microsoft", name): op for name, op in _MICROSOFT.items()},
}
"""The rows, by domain and op."""
