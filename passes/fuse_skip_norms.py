"""Fuse a residual Add and the norm behind it to one of ONNX Runtime's skip-norms."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from graphopt.passes.constants import constant_tensor
from graphopt.passes.moments import orders, produced_by
from graphopt.passes.original_spelling import OriginalSkipNorm

__all__ = ["FuseSkipNorms", "fuse_skip_norm"]

_LAYER_NORMS = ("LayerNormalization",)
_RMS_NORMS = ("RMSNormalization", "SimplifiedLayerNormalization")
_Operands = tuple[ir.Value, ir.Value, ir.Value | None]
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
    last = produced_by(x, "Add")
    if last is None or last.graph is not graph:
        return False
    operands = _operands(last, original)
    if operands is None:
        return False
    first, second, bias = operands
    keeps_sum = len(x.uses()) > 1 or x.is_graph_output()
    fused = _fused_node(node, x, first, second, bias, keeps_sum=keeps_sum)
    graph.insert_before(last, fused)
    _take_over(node.outputs[0], fused.outputs[0])
    if keeps_sum:
        _take_over(x, fused.outputs[3])
    adds = [operand.producer() for operand in last.inputs if operand is not None]
    graph.remove(node, safe=True)
    graph.remove(last, safe=True)
    for add in adds:
        if add is not None and add.op_type == "Add" and not _is_read(add.outputs[0]):
            graph.remove(add, safe=True)
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
    return all(_is_vector(value, x) for value in parameters)


def _is_vector(value: ir.Value, x: ir.Value) -> bool:
    """True for a constant of one entry for each feature of ``x``."""
    tensor = constant_tensor(value)
    return tensor is not None and x.shape is not None and list(tensor.shape) == [x.shape[-1]]


def _operands(last: ir.Node, original: OriginalSkipNorm | None) -> _Operands | None:
    """The two full operands and the bias, if any, of the sum that ``last`` computes."""
    total = last.outputs[0]
    for first, second, bias in _readings(last):
        if original is not None:
            names = (first.name, second.name, None if bias is None else bias.name)
            if names == (original.first, original.second, original.bias):
                return first, second, bias
        elif bias is None or _is_vector(bias, total):
            pair = _full(first, second, total)
            if pair is not None:
                return (*pair, bias)
    return None


def _readings(last: ir.Node) -> Iterator[_Operands]:
    """The ways to read ``last`` as a sum of two operands and a bias, or of two operands alone."""
    for outer in orders(last):
        inner = produced_by(outer[0], "Add")
        if inner is None or inner.graph is not last.graph or outer[0].is_graph_output():
            continue
        if len(outer[0].uses()) == 1:
            for left, right in orders(inner):
                yield left, outer[1], right
                yield outer[1], left, right
                yield left, right, outer[1]
    for left, right in orders(last):
        yield left, right, None


def _full(first: ir.Value, second: ir.Value, total: ir.Value) -> tuple[ir.Value, ir.Value] | None:
    """Both operands, if their shapes are proved to be what the kernels take in this order."""
    expected, other = _dims(total), _dims(second)
    if expected is None or other is None or _dims(first) != expected:
        return None
    if other == expected or (len(expected) == 3 and other in (expected[1:], [1, *expected[1:]])):
        return first, second
    return None


def _dims(value: ir.Value) -> list[int | str] | None:
    """The dimensions of ``value`` if all are known numbers or symbols."""
    if value.shape is None:
        return None
    dims = [dim if isinstance(dim, int) else dim.value for dim in value.shape]
    known = [dim for dim in dims if dim is not None]
    return known if len(known) == len(dims) else None


def _fused_node(
    node: ir.Node,
    x: ir.Value,
    first: ir.Value,
    second: ir.Value,
    bias: ir.Value | None,
    *,
    keeps_sum: bool,
) -> ir.Node:
    gamma, beta = (*node.inputs[1:], None)[:2]
    inputs = [first, second, gamma, bias]
    if node.op_type in _LAYER_NORMS:
        inputs = [first, second, gamma, beta, bias]
    while inputs[-1] is None:
        inputs.pop()
    fused = ir.Node(
        "com.microsoft",
        _fused_type(node),
        inputs,
        [ir.AttrFloat32("epsilon", node.attributes.get_float("epsilon", 1e-5))],
        num_outputs=4 if keeps_sum else 1,
        name=node.name,
    )
    for unread in fused.outputs[1:3]:
        unread.name = ""
    return fused


def _take_over(old: ir.Value, new: ir.Value) -> None:
    """Give the readers, the name and the type of ``old`` to ``new``."""
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    new.name, new.type, new.shape = old.name, old.type, old.shape
    new.meta.update(old.meta)


def _is_read(value: ir.Value) -> bool:
    return bool(value.uses()) or value.is_graph_output()
