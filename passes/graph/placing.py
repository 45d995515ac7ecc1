"""Where a new node may stand in a graph."""

from __future__ import annotations

import onnx_ir as ir

__all__ = ["place"]


def place(node: ir.Node, graph: ir.Graph) -> None:
    """Insert ``node`` as early as it may stand: behind what makes its operands, or at the head.

    What several nodes are to read then stands before all of them, in whatever order the file has
    them.

    Args:
        node: A new node, whose operands ``graph`` or one around it makes.
        graph: One that has nodes.
    """
    makers = {value.producer() for value in node.inputs if value is not None}
    last = next((other for other in reversed(graph) if other in makers), None)
    if last is None:
        graph.insert_before(graph[0], node)
    else:
        graph.insert_after(last, node)
