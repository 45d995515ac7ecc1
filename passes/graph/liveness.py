"""What of a model nothing reads."""

from __future__ import annotations

import onnx_ir as ir

__all__ = ["remove_unused"]


def remove_unused(model: ir.Model) -> None:
    """Remove the nodes, and the constants of the main graph, whose results nothing reads.

    The inputs and outputs of what stays keep their positions: an operator of another domain may
    count them, those that are left out included. Of ONNX's own operators inputs that are left out
    at the end go, which say nothing.
    """
    _remove_unused_nodes(model.graph)
    for function in model.functions.values():
        _remove_unused_nodes(function)
    constants = model.graph.initializers
    for name, value in list(constants.items()):
        if not (value.uses() or value.is_graph_output() or value.is_graph_input()):
            del constants[name]


def _remove_unused_nodes(body: ir.Graph | ir.Function) -> None:
    outputs = set(body.outputs)
    for node in reversed(body):
        if not any(value.uses() or value in outputs for value in node.outputs):
            body.remove(node, safe=True)
            continue
        if not node.domain:
            _trim_inputs(node)
        for attribute in node.attributes.values():
            if attribute.is_ref():
                continue
            if attribute.type == ir.AttributeType.GRAPH:
                _remove_unused_nodes(attribute.as_graph())
            elif attribute.type == ir.AttributeType.GRAPHS:
                for graph in attribute.as_graphs():
                    _remove_unused_nodes(graph)


def _trim_inputs(node: ir.Node) -> None:
    count = len(node.inputs)
    while count and node.inputs[count - 1] is None:
        count -= 1
    if count < len(node.inputs):
        node.resize_inputs(count)
