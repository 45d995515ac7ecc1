"""Refuses quantized models: rounding to integers does not commute with recentring a weight."""

from __future__ import annotations

__all__ = ["refuse_quantized"]

import onnx_ir as ir

from graphopt.errors import QuantizedModel

# Operators of ONNX and of com.microsoft that compute with quantized tensors.
_PREFIXES = ("Dequantize", "DynamicQuantize", "QLinear", "QOrdered", "Quantize")
_OPERATORS = frozenset(
    {
        "BlockQuantizedMatMul",
        "ConvInteger",
        "GatherBlockQuantized",
        "MatMulBnb4",
        "MatMulFpQ4",
        "MatMulInteger",
        "MatMulInteger16",
        "MatMulIntegerToFloat",
        "MatMulNBits",
        "QAttention",
        "QEmbedLayerNormalization",
        "QGemm",
        "QMoE",
    }
)

# Types that nothing but quantized weights have.
_TYPES = frozenset(
    {
        ir.DataType.INT4,
        ir.DataType.UINT4,
        ir.DataType.FLOAT8E4M3FN,
        ir.DataType.FLOAT8E4M3FNUZ,
        ir.DataType.FLOAT8E5M2,
        ir.DataType.FLOAT8E5M2FNUZ,
        ir.DataType.FLOAT4E2M1,
    }
)


def refuse_quantized(model: ir.Model) -> None:
    """Raise where ``model`` holds a quantized operator or weight.

    Raises:
        QuantizedModel: Names the first one.
    """
    bodies = [model.graph.all_nodes(), *(body.all_nodes() for body in model.functions.values())]
    for nodes in bodies:
        for node in nodes:
            if node.op_type in _OPERATORS or node.op_type.startswith(_PREFIXES):
                name = node.name or node.outputs[0].name
                raise QuantizedModel(
                    f"the model is quantized ({node.op_type} {name!r}): optimize before quantizing"
                )
    for subgraph in model.graphs():
        for name, value in subgraph.initializers.items():
            tensor = value.const_value
            if tensor is not None and tensor.dtype in _TYPES:
                raise QuantizedModel(
                    f"the model is quantized (weight {name!r} is {tensor.dtype.name}): "
                    "optimize before quantizing"
                )
