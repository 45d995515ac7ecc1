"""Refuses references to a function's attributes that nothing can follow."""

from __future__ import annotations

__all__ = ["check_references"]

from collections.abc import Iterable, Iterator

import onnx

from graphopt.errors import ModelError
from graphopt.files import check_names

_GRAPHS = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)


def check_references(model: onnx.ModelProto) -> None:
    """Check each attribute that a node takes from the call of the function it is in.

    Raises:
        ModelError: The node is in no function, or the attribute is a graph.
    """
    for node, attribute in _references(model.graph.node):
        raise ModelError(
            f"{check_names.describe(node)} takes its {attribute.name!r} from the call of a "
            "function, and is in none: export the model again"
        )
    for function in model.functions:
        for node, attribute in _references(function.node):
            if attribute.type in _GRAPHS:
                raise ModelError(
                    f"{check_names.describe(node)} of function {function.name!r} takes the graph "
                    f"{attribute.name!r} from its call, which is not supported: inline the "
                    "function first"
                )


def _references(
    nodes: Iterable[onnx.NodeProto],
) -> Iterator[tuple[onnx.NodeProto, onnx.AttributeProto]]:
    """The attributes that are references, of ``nodes`` and of those in their graphs."""
    for node in nodes:
        for attribute in node.attribute:
            if attribute.ref_attr_name:
                yield node, attribute
        for graph in check_names.subgraphs([node]):
            yield from _references(graph.node)
