"""Infer the shapes that the analysis needs, and take back what the file did not declare."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import numpy as np
import onnx
import onnx.reference
import onnx_ir as ir
from onnx_shape_inference import (
    SYM_DATA_KEY,
    ShapeInferenceContext,
    ShapeInferenceError,
    infer_symbolic_shapes,
    registry,
)

from graphopt.errors import ModelError
from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.shapes import DECLARED
from graphopt.passes.operators.custom_ops import (
    CRMS_NORM,
    DOMAIN,
    RMS_NORM,
    SKIP_CRMS_NORM,
    SKIP_RMS_NORM,
)
from graphopt.passes.rewrite import Rewrite

__all__ = ["ForgetShapes", "InferShapes"]

_ROUNDS = 4
_FEW = 16
_LONGEST_EXPRESSION = 100
_TERM = r"[A-Za-z_][A-Za-z_0-9]*"
_EXPRESSION = re.compile(rf"{_TERM}( *[+*] *({_TERM}|[1-9][0-9]{{0,8}}))*")
_INTEGER_ARITHMETIC = frozenset(
    {"Add", "Cast", "Concat", "Div", "Mod", "Mul", "Neg", "Reshape", "Squeeze", "Sub", "Unsqueeze"}
)


class InferShapes(Rewrite):
    """Symbolic shape inference for every value, com.microsoft operators included.

    1. onnx-shape-inference does the work. Where the sizes that Expand, Reshape or ConstantOfShape
       receive cannot be followed but their number is known, the result gets that many unknown
       dimensions, and inference goes on behind it.
    2. Integer arithmetic on constants, of which exporters compute sizes, is worked out beforehand.
    3. The shape that the file declares for a value is remembered for ForgetShapes; meanwhile a
       dimension whose name is not an expression of identifiers (``batch size``) has another one.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Infer in place."""
        values = list(_values(model))
        for value in values:
            value.meta.setdefault(DECLARED, None if value.shape is None else value.shape.copy())
        _name_dimensions(values)
        const_values = {value: value.const_value for value in values}
        for node in model.graph.all_nodes():
            _work_out_integers(node, model.opset_imports.get("", 18))
        fresh = (f"graphopt_unknown_{number}" for number in itertools.count())
        for _ in range(_ROUNDS):
            _infer(model)
            if not sum(_rank_from_sizes(node, fresh) for node in model.graph.all_nodes()):
                break
        for value in values:
            value.metadata_props.pop(SYM_DATA_KEY, None)
            if value.producer() is not None:
                value.const_value = const_values[value]
        return ir.passes.PassResult(model, modified=True)


def _infer(model: ir.Model) -> None:
    try:
        infer_symbolic_shapes(model, warn_on_missing=False)
    except (ShapeInferenceError, ValueError, TypeError, IndexError, ZeroDivisionError) as error:
        raise ModelError(f"the shapes of the graph contradict each other: {error}") from error


class ForgetShapes(Rewrite):
    """Give every value the shape that the file declared for it; inferred shapes are not saved."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Forget in place; a value that is new to the model loses its shape, unless it is constant
        or a graph output.
        """
        for value in _values(model):
            if DECLARED in value.meta:
                value.shape = value.meta.pop(DECLARED)
            elif value.producer() is not None and not value.is_graph_output():
                value.shape = None
        return ir.passes.PassResult(model, modified=False)


def _infer_norm(ctx: ShapeInferenceContext, node: ir.Node) -> None:
    """The result of a norm, and the sum of a fused one, has the type and the shape of X.

    Below opset 17 ONNX has no LayerNormalization, but ONNX Runtime's optimizer writes it; its other
    results are not needed. RMSNormalization and CRMSNormalization are internal at any opset.
    """
    value = node.inputs[0]
    for result in node.outputs if node.domain else node.outputs[:1]:
        if value is not None and value.dtype is not None:
            ctx.set_dtype(result, value.dtype)
        if value is not None and value.shape is not None:
            ctx.set_shape(result, value.shape)


def _infer_fused_matmul(ctx: ShapeInferenceContext, node: ir.Node) -> None:
    """The library refuses transposed batch axes, which ONNX Runtime writes: leave them unknown."""
    if any(node.attributes.get_int(name, 0) for name in ("transBatchA", "transBatchB")):
        return
    _INFER_PLAIN_FUSED_MATMUL(ctx, node)


def _infer_loop(ctx: ShapeInferenceContext, node: ir.Node) -> None:
    """The library refuses a Loop without a condition, which exporters write, and takes a sequence
    that a Loop carries for a tensor: leave the results unknown, and a sequence a sequence.
    """
    carried = {index: value.type for index, value in enumerate(node.inputs) if value is not None}
    sequences = {i: kind for i, kind in carried.items() if isinstance(kind, ir.SequenceType)}
    body = node.attributes["body"].as_graph()
    for index, kind in sequences.items():
        for value in (body.inputs[index], body.outputs[index - 1], node.outputs[index - 2]):
            value.type = kind
    if 1 in carried and not sequences:
        _INFER_TENSOR_LOOP(ctx, node)


registry.collect()
_INFER_PLAIN_FUSED_MATMUL = registry.get("com.microsoft", "FusedMatMul", version=1)
_INFER_TENSOR_LOOP = registry.get("", "Loop", version=1)
for _name in ("LayerNormalization", "RMSNormalization", "CRMSNormalization"):
    registry.register("", _name, since_version=1)(_infer_norm)
for _name in (RMS_NORM, CRMS_NORM, SKIP_RMS_NORM, SKIP_CRMS_NORM):
    registry.register(DOMAIN, _name, since_version=1)(_infer_norm)
registry.register("com.microsoft", "FusedMatMul", since_version=1)(_infer_fused_matmul)
registry.register("", "Loop", since_version=1)(_infer_loop)


def _values(model: ir.Model) -> Iterator[ir.Value]:
    graphs = [model.graph, *model.graph.subgraphs()]
    inputs = itertools.chain.from_iterable(graph.inputs for graph in graphs)
    results = (value for node in model.graph.all_nodes() for value in node.outputs)
    return itertools.chain(inputs, results)


def _name_dimensions(values: list[ir.Value]) -> None:
    """Give dimensions with a name that no expression can hold a name that one can."""
    renamed: dict[str, str] = {}
    for value in values:
        if value.shape is None:
            continue
        dims = [dim if isinstance(dim, int) else dim.value for dim in value.shape]
        odd = {dim for dim in dims if isinstance(dim, str) and not _is_expression(dim)}
        for dim in sorted(odd):
            renamed.setdefault(dim, f"graphopt_dimension_{len(renamed)}")
        if odd:
            named = [renamed.get(dim, dim) if isinstance(dim, str) else dim for dim in dims]
            value.shape = ir.Shape(named)


def _is_expression(dim: str) -> bool:
    """True for a short sum or product; anything else is never given to who works it out."""
    return len(dim) <= _LONGEST_EXPRESSION and _EXPRESSION.fullmatch(dim) is not None


def _work_out_integers(node: ir.Node, opset: int) -> None:
    """Attach the results of a node that computes a few integers from constants."""
    inputs = [None if value is None else constants.constant_tensor(value) for value in node.inputs]
    known = [
        tensor or (None if value is None else value.const_value)
        for value, tensor in zip(node.inputs, inputs, strict=True)
    ]
    if node.domain or not known or node.op_type not in _INTEGER_ARITHMETIC:
        return
    if any(t is None or t.size > _FEW or not t.dtype.is_integer() for t in known):
        return
    feeds = {str(v.name): t.numpy() for v, t in zip(node.inputs, known, strict=True) if v and t}
    graph = onnx.GraphProto(
        node=[ir.to_proto(node)],
        input=[onnx.ValueInfoProto(name=name) for name in feeds],
        output=[onnx.ValueInfoProto(name=value.name) for value in node.outputs],
    )
    evaluator = onnx.reference.ReferenceEvaluator(graph, opsets={"": opset})
    for value, result in zip(node.outputs, evaluator.run(None, feeds), strict=True):
        value.const_value = ir.tensor(np.asarray(result), name=value.name)


def _rank_from_sizes(node: ir.Node, fresh: Iterator[str]) -> bool:
    """Give a result of unknown shape as many dimensions as sizes were asked for.

    Expand keeps every dimension of its operand that is not 1; all else is unknown.
    """
    positions = {"Expand": 1, "Reshape": 1, "ConstantOfShape": 0}
    if node.domain or node.op_type not in positions or node.outputs[0].shape is not None:
        return False
    sizes, operand = node.inputs[positions[node.op_type]], node.inputs[0]
    count = None if sizes is None else axes.dimension(sizes, 0)
    if not isinstance(count, int) or operand is None:
        return False
    kept: dict[int, int] = {}
    if node.op_type == "Expand":
        own = axes.rank(operand)
        if own is None:
            return False
        count = max(count, own)
        dims = ((axis + count - own, axes.dimension(operand, axis)) for axis in range(own))
        kept = {axis: dim for axis, dim in dims if isinstance(dim, int) and dim != 1}
    node.outputs[0].shape = ir.Shape(
        [kept[axis] if axis in kept else next(fresh) for axis in range(count)]
    )
    return True
