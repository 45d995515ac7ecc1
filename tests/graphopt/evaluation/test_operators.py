"""Every kernel against ONNX Runtime's, operator by operator, form by form.

Each case is one node. ONNX Runtime runs it in float32; the evaluator runs it in float32 and, cast
to float64, in float64: both must agree with ONNX Runtime to float32 rounding.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from tests.onnx_runtime import OptimizedSession
from tests.versions.conditions import needs_onnxruntime, needs_opset

TOLERANCE = 2e-5  # relative to the largest output; float32 sums of up to a few hundred terms
RANDOM = np.random.default_rng(0)


def f(*shape: int) -> np.ndarray:
    """Normal float32 values."""
    return RANDOM.normal(size=shape).astype(np.float32)


def scalar(value: float) -> np.ndarray:
    return np.array(value, dtype=np.float32)


def positive(*shape: int) -> np.ndarray:
    return np.abs(f(*shape)) + np.float32(0.1)


def i64(*values: Any) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def i32(*values: Any) -> np.ndarray:
    return np.array(values, dtype=np.int32)


def below(bound: int, *shape: int) -> np.ndarray:
    return RANDOM.integers(0, bound, size=shape)


def flags(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 2, size=shape).astype(bool)


@dataclasses.dataclass
class Case:
    op: str
    inputs: list[np.ndarray | None]
    attributes: dict[str, Any] = dataclasses.field(default_factory=dict)
    opset: int = 17
    outputs: int = 1
    domain: str = ""
    unread: tuple[int, ...] = ()  # outputs that ONNX Runtime does not fill in
    since: str = "1.20"  # first ONNX Runtime with a right kernel for this form of the operator

    def __str__(self) -> str:
        shapes = "_".join("none" if x is None else "x".join(map(str, x.shape)) for x in self.inputs)
        attributes = "_".join(
            f"{k}={v}" for k, v in self.attributes.items() if not isinstance(v, onnx.TensorProto)
        )
        return f"{self.op}-{self.opset}-{shapes}-{attributes}"[:90]

    def model(self) -> ir.Model:
        names = ["" if x is None else f"x{i}" for i, x in enumerate(self.inputs)]
        outputs = ["" if i in self.unread else f"y{i}" for i in range(self.outputs)]
        node = onnx.helper.make_node(
            self.op, names, outputs, name="node", domain=self.domain, **self.attributes
        )
        declared = [
            onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(x.dtype), x.shape
            )
            for name, x in zip(names, self.inputs, strict=True)
            if x is not None
        ]
        graph = onnx.helper.make_graph(
            [node], "case", declared, [onnx.ValueInfoProto(name=name) for name in outputs if name]
        )
        imports = [onnx.helper.make_opsetid("", self.opset)]
        imports.append(onnx.helper.make_opsetid("com.microsoft", 1))
        return ir.from_proto(onnx.helper.make_model(graph, opset_imports=imports, ir_version=8))

    def feeds(self) -> dict[str, np.ndarray]:
        return {f"x{i}": x for i, x in enumerate(self.inputs) if x is not None}


def ms(
    op: str,
    inputs: list[np.ndarray | None],
    attributes: dict[str, Any] | None = None,
    outputs: int = 1,
    unread: tuple[int, ...] = (),
    since: str = "1.20",
) -> Case:
    return Case(op, inputs, attributes or {}, 17, outputs, "com.microsoft", unread, since)


UNARY = [
    Case(op, [f(3, 5)])
    for op in ("Abs", "Ceil", "Cos", "Elu", "Erf", "Exp", "Floor", "HardSigmoid", "HardSwish",
               "Identity", "LeakyRelu", "Neg", "Relu", "Round", "Sigmoid", "Sign", "Sin",
               "Softplus", "Softsign", "Tan", "Tanh", "Selu", "Celu", "ThresholdedRelu")
] + [
    Case("Erf", [f(40, 50) * 3]),
    Case("Log", [positive(4)]),
    Case("Sqrt", [positive(4)]),
    Case("Reciprocal", [positive(4)]),
    Case("Not", [flags(4)]),
    Case("Mish", [f(4, 4)], opset=18),
    Case("Gelu", [f(40, 50)], opset=20),
    Case("Gelu", [f(4, 5)], {"approximate": "tanh"}, opset=20),
    Case("LeakyRelu", [f(3, 5)], {"alpha": 0.3}),
    Case("Elu", [f(3, 5)], {"alpha": 0.3}),
    Case("HardSigmoid", [f(3, 5)], {"alpha": 0.3, "beta": 0.4}),
    Case("IsNaN", [np.array([1, np.nan, np.inf], dtype=np.float32)]),
    Case("IsInf", [np.array([1, np.nan, np.inf, -np.inf], dtype=np.float32)]),
    Case("IsInf", [np.array([1, np.nan, np.inf, -np.inf], dtype=np.float32)],
         {"detect_negative": 0}),
    Case("Clip", [f(9), scalar(-0.3), scalar(0.4)]),
    Case("Clip", [f(9), None, scalar(0.4)]),
    Case("Clip", [f(9)], {"min": -0.3, "max": 0.4}, opset=10),
]  # fmt: skip

BINARY = [
    *(Case(op, [f(2, 3, 4), f(3, 1)]) for op in ("Add", "Sub", "Mul", "Div")),
    *(Case(op, [f(2, 3), f(3), f(1, 3)]) for op in ("Max", "Min", "Sum", "Mean")),
    *(Case(op, [below(3, 20), below(3, 20)])
      for op in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")),
    *(Case(op, [flags(8), flags(8)]) for op in ("And", "Or", "Xor")),
    Case("Div", [i64(7, -7, 7, -7, 6), i64(2, 2, -2, -2, 3)]),
    Case("Mod", [i64(7, -7, 7, -7), i64(2, 3, -2, -3)]),
    Case("Mod", [f(9), positive(9)], {"fmod": 1}),
    Case("Pow", [positive(3, 4), scalar(2.5)]),
    Case("Pow", [f(3, 4), i64(2)]),
    Case("Pow", [i64(2, 3), i64(3, 2)]),
    Case("PRelu", [f(2, 3, 4), f(3, 1)]),
    Case("Where", [flags(2, 3, 1), f(3, 4), f(2, 1, 4)]),
    Case("BitShift", [np.array([1, 2], np.uint8), np.array([1, 2], np.uint8)],
         {"direction": "LEFT"}),
]  # fmt: skip

MOVEMENT = [
    Case("Reshape", [f(2, 3, 4), i64(0, -1)]),
    Case("Reshape", [f(2, 3, 4), i64(4, 0, -1)]),
    Case("Reshape", [f(0, 3), i64(3, 0)], {"allowzero": 1}),
    Case("Flatten", [f(2, 3, 4)]),
    Case("Flatten", [f(2, 3, 4)], {"axis": 0}),
    Case("Flatten", [f(2, 3, 4)], {"axis": -1}),
    Case("Squeeze", [f(1, 3, 1)]),
    Case("Squeeze", [f(1, 3, 1), i64(-1)]),
    Case("Squeeze", [f(1, 3, 1)], {"axes": [0]}, opset=11),
    Case("Unsqueeze", [f(3, 4), i64(0, -1)]),
    Case("Unsqueeze", [f(3, 4)], {"axes": [1, 3]}, opset=11),
    Case("Transpose", [f(2, 3, 4)]),
    Case("Transpose", [f(2, 3, 4)], {"perm": [1, 2, 0]}),
    Case("Expand", [f(3, 1), i64(2, 1, 4)]),
    Case("Expand", [f(3, 4), i64(1)]),
    Case("Concat", [f(2, 3), f(2, 1)], {"axis": -1}),
    Case("Split", [f(6, 2)], outputs=3),
    Case("Split", [f(2, 7), i64(3, 4)], {"axis": 1}, outputs=2),
    Case("Split", [f(2, 7)], {"axis": 1, "split": [3, 4]}, opset=11, outputs=2),
    Case("Split", [f(2, 7)], {"axis": -1, "num_outputs": 3}, opset=18, outputs=3),
    Case("Slice", [f(5, 6), i64(1, -3), i64(4, 100)]),
    Case("Slice", [f(5, 6), i64(4), i64(-100), i64(0), i64(-2)]),
    Case("Slice", [f(5, 6), i64(-1), i64(-4), i64(-1), i64(-1)]),
    Case("Slice", [f(5, 6)], {"starts": [1], "ends": [-1], "axes": [1]}, opset=9),
    Case("Gather", [f(5, 6), below(5, 2, 3)]),
    Case("Gather", [f(5, 6), i64(-1, 0)], {"axis": 1}),
    Case("Gather", [f(5, 6), np.array(2)], {"axis": -1}),
    Case("GatherElements", [f(4, 5), below(4, 2, 5)]),
    Case("GatherElements", [f(4, 5), i64([-1, 0], [1, 2], [0, 0])], {"axis": 1}),
    Case("GatherND", [f(4, 5, 6), below(4, 3, 2)]),
    Case("GatherND", [f(2, 5, 6), below(5, 2, 3, 1)], {"batch_dims": 1}),
    Case("GatherND", [f(2, 5, 6), below(5, 2, 1)], {"batch_dims": 1}),
    Case("Pad", [f(3, 4), i64(1, 0, 2, 1)]),
    Case("Pad", [f(3, 4), i64(1, 0, 2, 1), scalar(0.5)]),
    Case("Pad", [f(3, 4), i64(1, -1, 0, 2)]),
    Case("Pad", [f(4, 5), i64(1, 2, 1, 1)], {"mode": "reflect"}),
    Case("Pad", [f(4, 5), i64(1, 2, 1, 1)], {"mode": "edge"}),
    Case("Pad", [f(3, 4), i64(1, 2), None, i64(1)], opset=18),
    Case("Pad", [f(3, 4)], {"pads": [1, 0, 2, 1], "value": 0.5}, opset=10),
    Case("Tile", [f(2, 3), i64(2, 1)]),
    Case("Shape", [f(2, 3, 4)]),
    Case("Shape", [f(2, 3, 4)], {"start": 1, "end": -1}),
    Case("Size", [f(2, 3, 4)]),
    Case("Trilu", [f(4, 5)]),
    Case("Trilu", [f(4, 5), np.array(-1)], {"upper": 0}),
    Case("Cast", [f(5) * 3], {"to": onnx.TensorProto.INT64}),
    Case("Cast", [f(5)], {"to": onnx.TensorProto.BOOL}),
    Case("Cast", [flags(5)], {"to": onnx.TensorProto.FLOAT}),
    Case("CastLike", [below(9, 4), f(1)]),
    Case("ConstantOfShape", [i64(2, 3)]),
    Case("ConstantOfShape", [i64(2, 3)],
         {"value": onnx.helper.make_tensor("v", onnx.TensorProto.INT64, [1], [7])}),
    Case("Constant", [], {"value_float": 0.5}),
    Case("Constant", [], {"value_floats": [0.5, 1.5]}),
    Case("Constant", [], {"value_int": 3}),
    Case("Constant", [], {"value_ints": [3, 4]}),
    Case("Constant", [],
         {"value": onnx.helper.make_tensor("v", onnx.TensorProto.FLOAT, [2], [0.5, 2])}),
    Case("Range", [np.array(2), np.array(9), np.array(3)]),
    Case("Dropout", [f(3, 4)]),
    Case("OneHot", [below(4, 3), np.array(4), f(2)]),
    Case("ScatterND", [f(5, 3), i64([1], [3]), f(2, 3)]),
    Case("CumSum", [f(3, 4), np.array(1)]),
    Case("NonZero", [i64([1, 0], [2, 0])]),
    Case("TopK", [f(3, 6), i64(2)], outputs=2),
    Case("DepthToSpace", [f(1, 8, 2, 3)], {"blocksize": 2}),
    Case("SpaceToDepth", [f(1, 2, 4, 6)], {"blocksize": 2}),
]  # fmt: skip

REDUCTIONS = [
    *(Case(op, [positive(3, 4, 5)], attributes)
      for op in ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
                 "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSumSquare")
      for attributes in ({}, {"axes": [1], "keepdims": 0}, {"axes": [0, -1]})),
    Case("ReduceSum", [f(3, 4, 5), i64(-1)]),
    Case("ReduceSum", [f(3, 4, 5), i64()], {"noop_with_empty_axes": 1}),
    Case("ReduceSum", [f(3, 4, 5)], {"keepdims": 0}),
    Case("ReduceSum", [f(3, 4, 5)], {"axes": [1]}, opset=11),
    Case("ReduceMean", [f(3, 4, 5), i64(1, 2)], {"keepdims": 0}, opset=18),
    Case("ReduceMean", [f(3, 4, 5)], opset=18),
    Case("ArgMax", [f(3, 4)]),
    Case("ArgMax", [below(2, 3, 8).astype(np.float32)], {"axis": -1, "select_last_index": 1,
                                                       "keepdims": 0}),
    Case("ArgMin", [f(3, 4)], {"axis": 1}),
    *(Case(op, [f(3, 4, 5)], attributes, opset)
      for op in ("Softmax", "LogSoftmax")
      for opset, attributes in ((17, {}), (17, {"axis": 1}), (11, {}), (11, {"axis": -1}))),
    Case("Softmax", [np.array([[0, -np.inf, 1]], dtype=np.float32)]),
]  # fmt: skip

LINEAR = [
    Case("MatMul", [f(2, 1, 3, 4), f(5, 4, 6)]),
    Case("MatMul", [f(4), f(4, 6)]),
    Case("Gemm", [f(3, 4), f(4, 5)]),
    Case("Gemm", [f(4, 3), f(5, 4), f(5)], {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0}),
    Case("Einsum", [f(2, 3, 4), f(2, 4, 5)], {"equation": "bij, bjk -> bik"}),
]

CONVOLUTION = [
    Case("Conv", [f(2, 3, 9, 8), f(4, 3, 3, 2), f(4)]),
    Case("Conv", [f(2, 4, 9, 8), f(6, 2, 3, 3)],
         {"group": 2, "strides": [2, 1], "pads": [1, 0, 2, 1], "dilations": [1, 2]}),
    Case("Conv", [f(2, 4, 7, 7), f(4, 1, 7, 7), f(4)], {"group": 4, "pads": [3, 3, 3, 3]}),
    Case("Conv", [f(2, 3, 10), f(4, 3, 3)], {"strides": [2], "pads": [1, 1]}),
    Case("Conv", [f(1, 2, 5, 6, 4), f(3, 2, 2, 3, 2)], {"strides": [1, 2, 1]}),
    Case("Conv", [f(1, 2, 7, 6), f(3, 2, 3, 4)], {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    Case("Conv", [f(1, 2, 7, 6), f(3, 2, 3, 4)], {"auto_pad": "SAME_LOWER", "strides": [2, 1]}),
    Case("Conv", [f(1, 2, 7, 6), f(3, 2, 3, 4)], {"auto_pad": "VALID"}),
    Case("ConvTranspose", [f(2, 3, 4, 5), f(3, 2, 3, 2), f(2)]),
    Case("ConvTranspose", [f(2, 4, 4, 5), f(4, 2, 3, 3)],
         {"group": 2, "strides": [2, 3], "pads": [1, 0, 2, 1], "output_padding": [1, 0],
          "dilations": [2, 1]}),
    Case("ConvTranspose", [f(1, 2, 4, 4), f(2, 3, 3, 3)],
         {"strides": [2, 2], "output_shape": [8, 8]}),
    Case("ConvTranspose", [f(1, 2, 4, 4), f(2, 3, 3, 3)],
         {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    Case("ConvTranspose", [f(1, 2, 6), f(2, 3, 3)], {"strides": [2]}),
    Case("GlobalAveragePool", [f(2, 3, 4, 5)]),
    Case("AveragePool", [f(1, 2, 6, 6)], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    Case("MaxPool", [f(1, 2, 6, 6)], {"kernel_shape": [3, 3], "strides": [2, 2]}),
    Case("Resize", [f(1, 2, 4, 4), None, np.array([1, 1, 2, 2], np.float32)], {"mode": "linear"}),
]  # fmt: skip

NORMS = [
    Case("LayerNormalization", [f(2, 3, 8), f(8), f(8)], outputs=3),
    Case("LayerNormalization", [f(2, 3, 8), f(8)], {"epsilon": 0.1}),
    Case("LayerNormalization", [f(2, 3, 8), f(3, 8), f(3, 8)], {"axis": 1}),
    Case("RMSNormalization", [f(2, 3, 8), f(8)], {"epsilon": 0.1}, opset=23),
    Case("RMSNormalization", [f(2, 3, 8), f(3, 8)], {"axis": -2}, opset=23),
    Case("SimplifiedLayerNormalization", [f(2, 3, 8), f(8)], {"epsilon": 0.1}, outputs=2),
    Case("InstanceNormalization", [f(2, 3, 4, 5), f(3), f(3)], {"epsilon": 0.1}),
    Case("GroupNormalization", [f(2, 6, 4, 5), f(2), f(2)], {"num_groups": 2}, opset=18),
    Case("GroupNormalization", [f(2, 6, 4, 5), f(6), f(6)], {"num_groups": 2}, opset=21),
    Case("BatchNormalization", [f(2, 3, 4), f(3), f(3), f(3), positive(3)]),
    Case("LpNormalization", [f(3, 4)]),
    Case("LpNormalization", [f(3, 4)], {"p": 1, "axis": 0}),
    ms("SkipLayerNormalization", [f(2, 3, 8), f(2, 3, 8), f(8), f(8), f(8)], outputs=4,
       unread=(1, 2)),
    ms("SkipLayerNormalization", [f(2, 3, 8), f(3, 8), f(8)], {"epsilon": 0.1}),
    ms("SkipLayerNormalization", [f(6, 8), f(6, 8), f(8), f(8)]),
    ms("SkipSimplifiedLayerNormalization", [f(2, 3, 8), f(2, 3, 8), f(8), f(8)], outputs=4,
       unread=(1, 2)),
    ms("SkipSimplifiedLayerNormalization", [f(2, 3, 8), f(2, 3, 8), f(8)], {"epsilon": 0.1}),
    ms("EmbedLayerNormalization",
       [i32([1, 2, 0], [3, 1, 1]), i32([0, 1, 0], [1, 1, 0]), f(5, 8), f(4, 8), f(2, 8), f(8),
        f(8), i32([1, 1, 0], [1, 1, 1])], {"epsilon": 0.1}, outputs=3),
    ms("EmbedLayerNormalization",
       [i32([1, 2, 0], [3, 1, 1]), None, f(5, 8), f(4, 8), None, f(8), f(8), None,
        i32([2, 0, 1])], outputs=2),
]  # fmt: skip

MICROSOFT = [
    ms("BiasGelu", [f(2, 3, 8), f(8)]),
    ms("FastGelu", [f(2, 3, 8), f(8)]),
    ms("FastGelu", [f(2, 3, 8)]),
    ms("Gelu", [f(2, 3, 8)]),
    ms("QuickGelu", [f(2, 3, 8)], {"alpha": 1.5}),
    ms("FusedMatMul", [f(2, 4, 3), f(2, 5, 4)], {"transA": 1, "transB": 1, "alpha": 0.5}),
    ms("FusedMatMul", [f(3, 2, 4), f(3, 2, 5)], {"transBatchA": 1, "transBatchB": 1, "transA": 1}),
    ms("FusedGemm", [f(3, 4), f(4, 5), f(5)], {"activation": "Relu", "alpha": 0.5}),
    ms("FusedConv", [f(1, 3, 5, 5), f(4, 3, 3, 3), f(4)], {"activation": "Relu"}),
    ms("FusedConv", [f(1, 3, 5, 5), f(4, 3, 3, 3), f(4), f(1, 4, 3, 3)], {"activation": "Tanh"}),
    ms("FusedConv", [f(1, 3, 5, 5), f(4, 3, 3, 3)],
       {"activation": "LeakyRelu", "activation_params": [0.3]}),
    ms("Trilu", [f(4, 5)]),
]  # fmt: skip

_COS, _SIN = np.cos(f(16, 4)), np.sin(f(16, 4))
_COS8, _SIN8 = np.cos(f(16, 8)), np.sin(f(16, 8))

ATTENTION = [
    Case("Attention", [f(2, 3, 5, 8), f(2, 3, 6, 8), f(2, 3, 6, 8)], opset=23),
    Case("Attention", [f(2, 5, 24), f(2, 6, 24), f(2, 6, 24), f(5, 6)],
         {"q_num_heads": 3, "kv_num_heads": 3, "scale": 0.3}, opset=23),
    Case("Attention", [f(2, 4, 5, 8), f(2, 2, 5, 8), f(2, 2, 5, 8)], {"is_causal": 1}, opset=23),
    Case("RotaryEmbedding", [f(2, 3, 5, 8), _COS, _SIN, below(16, 2, 5)], opset=23),
    Case("RotaryEmbedding", [f(2, 5, 24), _COS, _SIN, below(16, 2, 5)],
         {"num_heads": 3, "interleaved": 1}, opset=23),
    Case("RotaryEmbedding", [f(2, 3, 5, 8), f(2, 5, 2), f(2, 5, 2)],
         {"rotary_embedding_dim": 4}, opset=23, since="1.24"),
    ms("RotaryEmbedding", [f(2, 5, 24), below(11, 2, 5), _COS, _SIN]),
    ms("RotaryEmbedding", [f(2, 5, 24), i64(3), _COS, _SIN], {"interleaved": 1}),
    ms("RotaryEmbedding", [f(2, 3, 5, 16), below(11, 2, 5), _COS, _SIN],
       {"rotary_embedding_dim": 8, "num_heads": 3}),
    ms("Attention", [f(2, 5, 12), f(12, 36), f(36)], {"num_heads": 3}),
    ms("Attention", [f(2, 5, 12), f(12, 36), f(36), i32([1, 1, 1, 0, 0], [1, 1, 1, 1, 1])],
       {"num_heads": 3, "unidirectional": 1}),
    ms("Attention", [f(2, 5, 12), f(12, 36), f(36), i32(3, 5)], {"num_heads": 3}),
    ms("Attention", [f(2, 5, 12), f(12, 36), f(36), i32(3, 5, 1, 0)], {"num_heads": 3}),
    ms("Attention", [f(2, 5, 12), f(12, 36), f(36), None, f(2, 2, 3, 4, 4)],
       {"num_heads": 3, "unidirectional": 1}, outputs=2),
    ms("Attention", [f(2, 5, 12), f(12, 30), f(30), None, None, f(1, 3, 5, 5)],
       {"num_heads": 3, "qkv_hidden_sizes": [12, 12, 6], "scale": 0.2}),
    ms("MultiHeadAttention", [f(2, 5, 12), f(2, 6, 12), f(2, 6, 12), f(36)], {"num_heads": 3}),
    ms("MultiHeadAttention",
       [f(2, 5, 12), f(2, 5, 12), f(2, 5, 12), None, i32([1, 1, 1, 0, 0], [1, 1, 1, 1, 1]),
        f(1, 3, 5, 5)], {"num_heads": 3, "scale": 0.2}),
    ms("MultiHeadAttention",
       [f(2, 2, 12), f(2, 2, 12), f(2, 2, 12), None, None, None, f(2, 3, 4, 4), f(2, 3, 4, 4)],
       {"num_heads": 3, "unidirectional": 1}, outputs=3),
    ms("MultiHeadAttention", [f(2, 5, 12), f(2, 3, 6, 4), f(2, 3, 6, 4)], {"num_heads": 3}),
    ms("GroupQueryAttention",
       [f(2, 5, 32), f(2, 5, 16), f(2, 5, 16), None, None, i32(4, 4), i32(5)],
       {"num_heads": 4, "kv_num_heads": 2}, outputs=3),
    ms("GroupQueryAttention",
       [f(2, 1, 64), f(2, 1, 32), f(2, 1, 32), f(2, 2, 6, 16), f(2, 2, 6, 16), i32(6, 6), i32(7),
        _COS8, _SIN8],
       {"num_heads": 4, "kv_num_heads": 2, "do_rotary": 1}, outputs=3),
    ms("GroupQueryAttention",
       [f(1, 5, 128), None, None, None, None, i32(4), i32(5), _COS8, _SIN8],
       {"num_heads": 4, "kv_num_heads": 2, "do_rotary": 1, "rotary_interleaved": 1,
        "local_window_size": 2, "softcap": 1.5}, outputs=3, since="1.24"),
]  # fmt: skip


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            marks=[needs_onnxruntime(case.since, "a right kernel"), *needs_opset(case.opset)],
            id=str(case),
        )
        for table in (UNARY, BINARY, MOVEMENT, REDUCTIONS, LINEAR, CONVOLUTION, NORMS, MICROSOFT,
                      ATTENTION)
        for case in table
    ],
)  # fmt: skip
def test_a_node_gives_what_onnx_runtime_gives(case: Case) -> None:
    model = case.model()
    expected = OptimizedSession(model).run(case.feeds())
    wide = {
        name: x.astype(np.float64) if x.dtype == np.float32 else x
        for name, x in case.feeds().items()
    }
    for actual, as_float64 in (
        (evaluate(model, case.feeds()), False),
        (evaluate(cast_to_float64(model), wide), True),
    ):
        for name, want in expected.items():
            got = actual[name]
            dtype = np.float64 if as_float64 and want.dtype == np.float32 else want.dtype
            assert (got.dtype, got.shape) == (dtype, want.shape)
            if want.dtype == np.float32 and want.size:
                scale = np.max(np.abs(want), where=np.isfinite(want), initial=1e-30)
                np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE * scale)
            else:
                np.testing.assert_array_equal(got, want)
