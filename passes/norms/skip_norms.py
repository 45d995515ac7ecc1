"""ONNX Runtime's operators that fuse a residual Add and a norm."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.norms.canonical import epsilon_of
from graphopt.passes.norms.original_spelling import OriginalSkipNorm
from graphopt.passes.norms.residual_sums import (
    ResidualSum,
    dims,
    is_vector,
    put_fused,
    residual_sums,
)

__all__ = ["fuse_skip_norm", "fused_type"]

_LAYER_NORMS = ("LayerNormalization",)
_RMS_NORMS = ("RMSNormalization", "SimplifiedLayerNormalization")
_TYPES = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


def fuse_skip_norm(
    model: ir.Model, node: ir.Node, original: OriginalSkipNorm | None = None
) -> bool:
    """Fuse the norm ``node`` with the Add that computes its input; False where that cannot be.

    Args:
        model: Gets the opset import of the fused operator.
        node: A LayerNormalization, RMSNormalization or SimplifiedLayerNormalization.
        original: What the norm read when it was fused before. The same operands need no proof of
            their shapes.
    """
    if node.domain or node.op_type not in (*_LAYER_NORMS, *_RMS_NORMS) or len(node.outputs) != 1:
        return False
    x, graph = node.inputs[0], node.graph
    if x is None or graph is None or (original is None and not _takes(node, x)):
        return False
    read = _reading(x, graph, original)
    if read is None:
        return False
    fused = _fused_node(node, read)
    put_fused(fused, node, read, fused.outputs[3] if read.is_kept else None)
    model.graph.opset_imports.setdefault("com.microsoft", 1)
    return True


def fused_type(node: ir.Node) -> str:
    """The operator that fuses the norm ``node`` and an Add."""
    if node.op_type in _LAYER_NORMS:
        return "SkipLayerNormalization"
    return "SkipSimplifiedLayerNormalization"


def _takes(node: ir.Node, x: ir.Value) -> bool:
    """True where the fused kernels take type, rank, epsilon and parameters of the norm."""
    if x.dtype not in _TYPES or x.shape is None or len(x.shape) not in (2, 3):
        return False
    if node.attributes.get_int("axis", -1) not in (-1, len(x.shape) - 1) or epsilon_of(node) < 0:
        return False
    parameters = [value for value in node.inputs[1:] if value is not None]
    return all(is_vector(value, x) and value.dtype == x.dtype for value in parameters)


def _reading(
    x: ir.Value, graph: ir.Graph | ir.Function, original: OriginalSkipNorm | None
) -> ResidualSum | None:
    """``x`` as the sum of two full operands, in the kernels' order, and of a bias if any."""
    for read in residual_sums(x, graph):
        if original is not None:
            bias_name = None if read.bias is None else read.bias.name
            names = (read.first.name, read.second.name, bias_name)
            if names == (original.first, original.second, original.bias):
                return read
        elif (read.bias is None or is_vector(read.bias, x)) and _is_full(read):
            return read
    return None


def _is_full(read: ResidualSum) -> bool:
    """True where the shapes are proved to be what the kernels take in this order."""
    expected, other = dims(read.total), dims(read.second)
    if expected is None or other is None or dims(read.first) != expected:
        return False
    if other == expected:
        return True
    return len(expected) == 3 and other in (expected[1:], [1, *expected[1:]])


def _fused_node(node: ir.Node, read: ResidualSum) -> ir.Node:
    gamma, beta = (*node.inputs[1:], None)[:2]
    inputs = [read.first, read.second, gamma, read.bias]
    if node.op_type in _LAYER_NORMS:
        inputs = [read.first, read.second, gamma, beta, read.bias]
    while inputs[-1] is None:
        inputs.pop()
    fused = ir.Node(
        "com.microsoft",
        fused_type(node),
        inputs,
        [ir.AttrFloat32("epsilon", epsilon_of(node))],
        num_outputs=4 if read.is_kept else 1,
        name=node.name,
    )
    for unread in fused.outputs[1:3]:
        unread.name = ""
    return fused
