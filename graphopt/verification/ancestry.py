"""The nodes that a value depends on, through nested graphs too."""

from __future__ import annotations

__all__ = ["ancestors"]

from collections.abc import Collection, Iterable

import onnx_ir as ir


def ancestors(values: Iterable[ir.Value], ran: Collection[ir.Graph] | None = None) -> set[ir.Node]:
    """The nodes that compute some of the values, or what these are computed from.

    Of a node with a nested graph these are the nodes that its outputs depend on, too, and so on
    outward through the values that the nested graph captures.

    Args:
        values: The values.
        ran: The nested graphs that are followed; None follows all.
    """
    found: set[ir.Node] = set()
    pending = [node for value in values if (node := value.producer()) is not None]
    while pending:
        node = pending.pop()
        if node in found:
            continue
        found.add(node)
        sources = [value for value in node.inputs if value is not None]
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH and not attribute.is_ref():
                graph = attribute.as_graph()
                if ran is None or graph in ran:
                    sources.extend(tuple(graph.outputs))
        producers = (value.producer() for value in sources)
        pending += [producer for producer in producers if producer is not None]
    return found
