"""Infers the facts of a model from its operands and attributes alone."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Iterator

import numpy as np
import onnx
import onnx.reference
import onnx_ir as ir

from graphopt.passes.facts import rules
from graphopt.passes.facts.context import Facts
from graphopt.passes.graph import constants

__all__ = ["infer", "values_of"]

_LOGGER = logging.getLogger(__name__)
_NAME = re.compile(r"(?!_d\d)[A-Za-z_][A-Za-z0-9_.]{0,63}")
_FEW = 16
_INTEGER_ARITHMETIC = frozenset(
    {"Add", "Cast", "Concat", "Div", "Mod", "Mul", "Neg", "Reshape", "Squeeze", "Sub", "Unsqueeze"}
)


def infer(model: ir.Model) -> None:
    """Write into ``value.shape`` what is proved, and forget what was declared.

    1. Of declarations the ranks and sizes of graph inputs are true of every run, because the
       runtime refuses other ones. One name on two graph inputs is one size; "" is no name, a
       negative size is none, and a name means itself, also where it is spelled as an expression.
    2. An initializer that a caller may replace is no constant.
    3. A rule that fails, as it may on a graph that no runtime takes, proves nothing.
    4. Nothing but shapes and missing types is changed.
    """
    values = list(values_of(model))
    outer = list(model.graph.inputs)
    kept = {value: value.const_value for value in values}
    overridable = {
        value
        for value in values
        if value.is_graph_input() and constants.constant_tensor(value) is None
    }
    inputs = {value: value.shape for value in outer}

    def walk(facts: Facts, graph: ir.Graph) -> None:
        before, facts.nested = facts.nested, graph is not model.graph
        _walk(facts, graph, kept)
        facts.nested = before

    names = {dim for shape in inputs.values() for dim in _names(shape)}
    facts = Facts(dict(model.opset_imports), names, walk)
    renamed: dict[str, ir.SymbolicDim] = {}
    for value in values:
        value.shape = None
        if value in overridable:
            value.const_value = None
    for value, shape in inputs.items():
        facts.set_shape(value, None if shape is None else _proved(facts, shape, renamed))
    walk(facts, model.graph)
    if facts.learned:
        walk(facts, model.graph)
    for value, tensor in kept.items():
        value.const_value = tensor


def values_of(model: ir.Model) -> Iterator[ir.Value]:
    """The inputs of every graph and the results of every node."""
    graphs = [model.graph, *model.graph.subgraphs()]
    inputs = itertools.chain.from_iterable(graph.inputs for graph in graphs)
    results = (value for node in model.graph.all_nodes() for value in node.outputs)
    return itertools.chain(inputs, results)


def _names(shape: ir.Shape | None) -> list[str]:
    dims = [] if shape is None else [dim.value for dim in shape if not isinstance(dim, int)]
    return [dim for dim in dims if dim is not None and _NAME.fullmatch(dim)]


def _proved(
    facts: Facts, shape: ir.Shape, renamed: dict[str, ir.SymbolicDim]
) -> list[int | ir.SymbolicDim]:
    """The sizes of a graph input; a name that is no identifier gets another one."""
    dims: list[int | ir.SymbolicDim] = []
    for dim in shape:
        if isinstance(dim, int):
            dims.append(dim if dim >= 0 else facts.fresh())
        elif not dim.value:
            dims.append(facts.fresh())
        elif _NAME.fullmatch(dim.value):
            dims.append(dim)
        else:
            dims.append(renamed.setdefault(dim.value, facts.fresh()))
    return dims


def _walk(facts: Facts, graph: ir.Graph, kept: dict[ir.Value, ir.TensorProtocol | None]) -> None:
    for value in graph.initializers.values():
        tensor = constants.constant_tensor(value)
        if tensor is not None:
            value.shape = ir.Shape(tensor.shape.numpy())
    for node in graph:
        for value in node.outputs:
            facts.forget(value)
            value.const_value = kept[value]
        _apply(facts, node)


def _apply(facts: Facts, node: ir.Node) -> None:
    rule = rules.rule_of(facts, node)
    believed = rule is not None
    try:
        _work_out_integers(node, facts.opset)
        if rule is None:
            rule = rules.type_rule_of(facts, node)
        if rule is not None:
            rule(facts, node)
    except Exception as error:  # a rule meets whatever a file may hold
        _LOGGER.debug("%s %s: nothing is proved: %s", node.op_type, node.name, error)
        believed = False
    if not believed:
        for value in node.outputs:
            facts.forget(value)


def _work_out_integers(node: ir.Node, opset: int) -> None:
    """Attach the results of a node that computes a few integers from constants."""
    if node.domain or not node.inputs or node.op_type not in _INTEGER_ARITHMETIC:
        return
    known = [
        None if value is None else constants.constant_tensor(value) or value.const_value
        for value in node.inputs
    ]
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
