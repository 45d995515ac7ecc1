"""A graph without nested graphs: both branches of each If are computed, and a Where chooses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph.branches import branches_of

__all__ = ["every_condition", "flattened"]


def flattened(model: ir.Model) -> ir.Model:
    """A copy of ``model``, whose results have the sizes that both branches give them."""
    flat = model.clone()
    while found := [node for node in flat.graph if branches_of(node)]:
        for node in found:
            _flatten(flat.graph, node)
    return flat


def _flatten(graph: ir.Graph, node: ir.Node) -> None:
    given = []
    for branch in branches_of(node):
        given.append(list(branch.outputs))
        branch.outputs.clear()
        nodes = list(branch)
        branch.remove(nodes)
        graph.insert_before(node, nodes)
    for result, *values in zip(node.outputs, *given, strict=True):
        choice = ir.node("Where", [node.inputs[0], *values], name=f"{node.name}:{result.name}")
        name, chosen = result.name, choice.outputs[0]
        chosen.type, chosen.shape = result.type, result.shape
        graph.insert_before(node, choice)
        ir.convenience.replace_all_uses_with(result, chosen, replace_graph_outputs=True)
        result.name = f"{name}:flat"
        chosen.name = name
    graph.remove(node, safe=True)


def every_condition(
    model: ir.Model, feeds: Sequence[Mapping[str, np.ndarray]]
) -> Iterator[dict[str, np.ndarray]]:
    """``feeds`` in turn, for each way to choose the branches that the inputs choose."""
    names = [
        str(value.name)
        for value in model.graph.inputs
        if value.dtype == ir.DataType.BOOL and value.shape is not None and len(value.shape) == 0
    ]
    for index, chosen in enumerate(itertools.product([True, False], repeat=len(names))):
        conditions = {name: np.asarray(on) for name, on in zip(names, chosen, strict=True)}
        yield {**feeds[index % len(feeds)], **conditions}
