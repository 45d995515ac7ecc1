"""One small graph or more for each op of the table, on which its answers are proved by numbers."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

import numpy as np

__all__ = ["EXAMPLES", "Example"]


@dataclasses.dataclass(frozen=True)
class Example:
    """A node, or a few, that write y.

    Attributes:
        body: The nodes as text.
        operands: Its graph inputs with their sizes, such as ``x[2,4,8]``: float unless named in
            ``types``.
        opset: Version of the default domain.
        types: Element types of other operands, by name.
        results: Element types of the results, by name.
    """

    body: str
    operands: str = "x[2,4,8]"
    opset: int = 17
    types: tuple[tuple[str, str], ...] = ()
    results: Mapping[str, str] = dataclasses.field(default_factory=lambda: {"y": "float"})

    @property
    def inputs(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Element type and dimensions of each operand, by name."""
        kinds = dict(self.types)
        return {
            name: (kinds.get(name, "float"), tuple(int(dim) for dim in dims.split(",") if dim))
            for name, dims in re.findall(r"(\w+)\[([\d,]*)\]", self.operands)
        }


CONSTANTS = {
    name: np.array(entries, np.int64)
    for name, entries in {
        "i0": [0],
        "i1": [1],
        "i2": [2],
        "i4": [4],
        "i8": [8],
        "lengths": [2, 4],
        "pairs": [[0, 1], [1, 3]],
        "one": 1,
        "rows": [-1, 8],
        "grown": [3, 4, 8],
        "twice": [1, 2, 1],
        "halves": [2, 2],
        "places": [[0], [2], [1]],
        "around": [0, 1, 0, 0, 1, 0],
        "tall": [2, 8, 5, 5],
    }.items()
} | {
    "none": np.array([], np.float32),
    "columns": np.array([0, 3, 2, 1]).reshape(2, 2, 1).repeat(8, axis=2),
}

_TWO = "x[2,4,8] z[2,4,8]"
_OLD_SLICE = "y = Slice<axes = [1, -1], starts = [1, 0], ends = [3, 9]>(x)"
_PLACES = {"y": "int64"}
_PARTS = {"y": "float", "r": "float"}
_IMAGE = "x[2,8,3,3]"


def _each(*examples: Example | str) -> list[Example]:
    return [Example(e) if isinstance(e, str) else e for e in examples]


_ONNX = {
    "Abs": _each("y = Abs(x)"),
    "Add": _each(
        Example("y = Add(x, z)", _TWO),
        Example("y = Add(x, z)", "x[2,4,8] z[8]"),
        Example("y = Add(t, x)", "t[4,1] x[2,4,8]"),
    ),
    "ArgMax": _each(Example("y = ArgMax<axis = 2>(x)", results=_PLACES)),
    "ArgMin": _each(Example("y = ArgMin<axis = -1, keepdims = 0>(x)", results=_PLACES)),
    "AveragePool": _each(Example("y = AveragePool<kernel_shape = [2, 2]>(x)", _IMAGE)),
    "Cast": _each("y = Cast<to = 11>(x)"),
    "CastLike": _each(Example("y = CastLike(x, z)", "x[2,4,8] z[3,5]")),
    "Compress": _each(
        Example("y = Compress<axis = 1>(x, m)", "x[2,4,8] m[4]", types=(("m", "bool"),)),
        Example("y = Compress<axis = -2>(x, m)", "x[2,4,8] m[3]", types=(("m", "bool"),)),
    ),
    "Concat": _each(Example("y = Concat<axis = 1>(x, z)", "x[2,4,8] z[2,3,8]")),
    "Conv": _each(
        Example("y = Conv(x, w, b)", "x[2,5,4,4] w[8,5,2,2] b[8]"),
        Example("y = Conv<pads = [1, 1, 1, 1]>(x, w)", "x[2,5,4,4] w[8,5,2,2]"),
    ),
    "ConvTranspose": _each(Example("y = ConvTranspose(x, w, b)", "x[2,5,4,4] w[5,8,2,2] b[8]")),
    "CumSum": _each("y = CumSum(x, one)", "y = CumSum<exclusive = 1, reverse = 1>(x, one)"),
    "Div": _each(Example("y = Div(x, t)", "x[2,4,8] t[4,1]")),
    "Dropout": _each("y = Dropout(x)"),
    "Einsum": _each(Example('y = Einsum<equation = "bsk,kd->bsd">(x, w)', "x[2,4,5] w[5,8]")),
    "Elu": _each("y = Elu(x)"),
    "Erf": _each("y = Erf(x)"),
    "Exp": _each("y = Exp(x)"),
    "Expand": _each(Example("y = Expand(x, grown)", "x[1,8]")),
    "Flatten": _each("y = Flatten<axis = 2>(x)"),
    "Gather": _each("y = Gather<axis = 1>(x, i2)", Example("y = Gather(x, places)", "x[5,8]")),
    "GatherND": _each(Example("y = GatherND(x, places)", "x[3,4,8]")),
    "Gelu": _each(Example("y = Gelu(x)", opset=20)),
    "Gemm": _each(
        Example("y = Gemm<alpha = 0.5, beta = 2.0>(x, w, b)", "x[4,5] w[5,8] b[8]"),
        Example("y = Gemm<transA = 1, transB = 1>(x, w, b)", "x[5,4] w[8,5] b[4,1]"),
        Example("y = Gemm<transB = 1, alpha = 0.5, beta = 3.0>(x, w)", "x[4,5] w[8,5]"),
    ),
    "GlobalAveragePool": _each(Example("y = GlobalAveragePool(x)", _IMAGE)),
    "GlobalMaxPool": _each(Example("y = GlobalMaxPool(x)", _IMAGE)),
    "Hardmax": _each("y = Hardmax(x)"),
    "HardSigmoid": _each("y = HardSigmoid(x)"),
    "HardSwish": _each("y = HardSwish(x)"),
    "Identity": _each("y = Identity(x)"),
    "LayerNormalization": _each(Example("y = LayerNormalization(x, g, c)", "x[2,4,8] g[8] c[8]")),
    "LeakyRelu": _each("y = LeakyRelu(x)"),
    "LogSoftmax": _each("y = LogSoftmax<axis = 1>(x)"),
    "MatMul": _each(
        Example("y = MatMul(x, w)", "x[2,4,5] w[5,8]"),
        Example("y = MatMul(w, x)", "w[8,5] x[2,5,4]"),
    ),
    "Max": _each(Example("y = Max(x, z)", _TWO)),
    "MaxPool": _each(Example("y = MaxPool<kernel_shape = [2, 2]>(x)", _IMAGE)),
    "Mean": _each(Example("y = Mean(x, z, t)", "x[2,4,8] z[8] t[4,1]")),
    "Min": _each(Example("y = Min(x, z)", _TWO)),
    "Mish": _each(Example("y = Mish(x)", opset=18)),
    "Mul": _each(
        Example("y = Mul(x, t)", "x[2,4,8] t[4,1]"), Example("y = Mul(t, x)", "t[4,1] x[2,4,8]")
    ),
    "Neg": _each("y = Neg(x)"),
    "Pad": _each("y = Pad(x, around)"),
    "Pow": _each(Example("y = Pow(x, s)", "x[2,4,8] s[]")),
    "Reciprocal": _each("y = Reciprocal(x)"),
    "ReduceMax": _each("y = ReduceMax<axes = [1]>(x)"),
    "ReduceMean": _each(
        "y = ReduceMean<axes = [1]>(x)",
        "y = ReduceMean<axes = [0], keepdims = 0>(x)",
        "m = ReduceMean<axes = [2]>(x) y = Sub(x, m)",
    ),
    "ReduceMin": _each("y = ReduceMin<axes = [1]>(x)"),
    "ReduceSum": _each("y = ReduceSum(x, i1)", "y = ReduceSum<keepdims = 0>(x, i0)"),
    "Relu": _each("y = Relu(x)"),
    "Reshape": _each("y = Reshape(x, rows)"),
    "Resize": _each(Example('y = Resize<mode = "linear">(x, none, none, tall)', _IMAGE)),
    "ReverseSequence": _each(
        "y = ReverseSequence<time_axis = 1, batch_axis = 0>(x, lengths)",
        Example("y = ReverseSequence(x, lengths)", "x[4,2,8]"),
    ),
    "ScatterElements": _each(
        Example("y = ScatterElements<axis = 1>(x, columns, u)", "x[2,4,8] u[2,2,8]"),
        Example(
            'y = ScatterElements<axis = -2, reduction = "add">(x, columns, u)',
            "x[2,4,8] u[2,2,8]",
            opset=18,
        ),
    ),
    "ScatterND": _each(
        Example("y = ScatterND(x, places, u)", "x[5,4,8] u[3,4,8]"),
        Example("y = ScatterND(x, pairs, u)", "x[2,4,8] u[2,8]"),
        Example('y = ScatterND<reduction = "add">(x, pairs, u)', "x[2,4,8] u[2,8]", opset=18),
    ),
    "Shape": _each(Example("y = Shape(x)", results={"y": "int64"})),
    "Sigmoid": _each("y = Sigmoid(x)"),
    "Size": _each(Example("y = Size(x)", results={"y": "int64"})),
    "Slice": _each(
        "y = Slice(x, i1, i4, i1, i2)",
        "y = Slice(x, i0, i8, i2)",
        Example(_OLD_SLICE, opset=9),
    ),
    "Softmax": _each("y = Softmax(x)"),
    "Softplus": _each("y = Softplus(x)"),
    "Split": _each(Example("y, r = Split<axis = 1>(x, halves)", results=_PARTS)),
    "Sqrt": _each("y = Sqrt(x)"),
    "Squeeze": _each(Example("y = Squeeze(x, i1)", "x[4,1,8]")),
    "Sub": _each(
        Example("y = Sub(x, z)", _TWO),
        Example("y = Sub(t, x)", "t[4,1] x[2,4,8]"),
        "m = ReduceMean<axes = [1]>(x) y = Sub(x, m)",
    ),
    "Sum": _each(Example("y = Sum(x, z, t)", "x[2,4,8] z[8] t[4,1]")),
    "Tanh": _each("y = Tanh(x)"),
    "Tile": _each("y = Tile(x, twice)"),
    "TopK": _each(Example("v, y = TopK(x, i2)", results=_PLACES)),
    "Transpose": _each("y = Transpose<perm = [2, 0, 1]>(x)"),
    "Unsqueeze": _each("y = Unsqueeze(x, i1)"),
    "Where": _each(
        Example("y = Where(m, x, z)", "m[4,1] x[2,4,8] z[8]", types=(("m", "bool"),)),
        Example("y = Where(m, x, t)", "m[4,1] x[2,4,8] t[]", types=(("m", "bool"),)),
    ),
}
_MICROSOFT = {
    "Attention": _each(
        Example("y = com.microsoft.Attention<num_heads = 2>(x, w, b)", "x[2,3,5] w[5,24] b[24]")
    ),
    "BiasAdd": _each(Example("y = com.microsoft.BiasAdd(x, b, z)", "x[2,4,8] b[8] z[2,4,8]")),
    "FusedGemm": _each(
        Example("y = com.microsoft.FusedGemm<beta = 2.0>(x, w, b)", "x[4,5] w[5,8] b[8]")
    ),
    "FusedMatMul": _each(
        Example("y = com.microsoft.FusedMatMul<alpha = 0.5>(x, w)", "x[2,4,5] w[5,8]"),
        Example("y = com.microsoft.FusedMatMul<transB = 1>(x, w)", "x[2,4,5] w[8,5]"),
    ),
}
EXAMPLES = {
    **{("", name): found for name, found in _ONNX.items()},
    **{("com.microsoft", name): found for name, found in _MICROSOFT.items()},
}
"""The examples by domain and op."""
