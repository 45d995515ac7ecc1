"""Names of nested graphs, which hide those of the graphs around them."""

from __future__ import annotations

import itertools

import onnx_ir as ir

from graphopt.passes.graph.naming import Names

__all__ = ["separate"]


def separate(model: ir.Model) -> int:
    """Give each value of a nested graph another name where one around it has the same.

    A node in a nested graph reads a value of the graph around it by name. ONNX Runtime lets an
    input of a loop body hide such a value, and a rewrite may let a node inside read the hidden one.

    Returns:
        How many values have another name.
    """
    return _separate(model.graph, set(), Names(model))


def _separate(graph: ir.Graph, around: set[str | None], names: Names) -> int:
    results = itertools.chain.from_iterable(node.outputs for node in graph)
    own = dict.fromkeys([*graph.inputs, *graph.initializers.values(), *results])
    hiding = [value for value in own if value.name and value.name in around]
    for value in hiding:
        value.name = names.fresh(value.name or "")
    here = {value.name for value in own if value.name}
    around |= here
    inside = [
        nested
        for node in graph
        for attribute in node.attributes.values()
        for nested in _graphs_of(attribute)
    ]
    count = len(hiding) + sum(_separate(nested, around, names) for nested in inside)
    around -= here
    return count


def _graphs_of(attribute: ir.Attr) -> tuple[ir.Graph, ...]:
    if attribute.type == ir.AttributeType.GRAPH:
        return (attribute.as_graph(),)
    return tuple(attribute.as_graphs()) if attribute.type == ir.AttributeType.GRAPHS else ()
