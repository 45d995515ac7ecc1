"""Fuse a residual Add and the norm behind it to one of ONNX Runtime's skip-norms."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.original_spelling import OriginalSkipNorm
from graphopt.passes.residual_sums import (
    ResidualSum,
    dims,
    is_vector,
    put_fused,
    residual_sums,
)

__all__ = ["FuseSkipNorms", "fuse_skip_norm"]

_LAYER_NORMS = ("LayerNormalization",)
_RMS_NORMS = ("RMSNormalization", "SimplifiedLayerNormalization")
_TYPES = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


class FuseSkipNorms(ir.passes.InPlacePass):
    """Add and the norm behind it become SkipLayerNormalization or SkipSimplifiedLayerNormalization.

    For the CUDA execution provider of ONNX Runtime only: its CPU kernels are scalar code. The
    session itself fuses Add and LayerNormalization only where the Add has one reader, and RMSNorms
    never.

    1. The sum becomes the fourth output where it has other readers (the residual stream).
    2. A second Add of a constant bias [d] before or after the residual Add is taken in; it must
       have one reader.
    3. Rank 2 or 3; operands of the same, proved shape (the second may be [S, d] or [1, S, d] beside
       [B, S, d]); constant gamma [d] and beta [d]; float32, float16 or bfloat16.
    4. Epsilon is always written: the defaults differ from those of the unfused norms.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fuse in place; ``record`` counts the fused nodes by operator."""
        self.record = {"SkipLayerNormalization": 0, "SkipSimplifiedLayerNormalization": 0}
        for graph in model.graphs():
            for node in list(graph):
                if fuse_skip_norm(model, node):
                    self.record[_fused_type(node)] += 1
        return ir.passes.PassResult(model, modified=any(self.record.values()))


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


def _fused_type(node: ir.Node) -> str:
    if node.op_type in _LAYER_NORMS:
        return "SkipLayerNormalization"
    return "SkipSimplifiedLayerNormalization"


def _takes(node: ir.Node, x: ir.Value) -> bool:
    """True where the fused kernels take the type, the rank and the parameters of the norm."""
    if x.dtype not in _TYPES or x.shape is None or len(x.shape) not in (2, 3):
        return False
    if node.attributes.get_int("axis", -1) not in (-1, len(x.shape) - 1):
        return False
    parameters = [value for value in node.inputs[1:] if value is not None]
    return all(is_vector(value, x) for value in parameters)


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
        _fused_type(node),
        inputs,
        [ir.AttrFloat32("epsilon", node.attributes.get_float("epsilon", 1e-5))],
        num_outputs=4 if read.is_kept else 1,
        name=node.name,
    )
    for unread in fused.outputs[1:3]:
        unread.name = ""
    return fused
