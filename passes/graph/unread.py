"""Take nodes out of the graph that nobody reads any more."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

__all__ = ["remove_unread", "replace"]


def replace(result: ir.Value, by: ir.Value) -> None:
    """Let all that read ``result`` read ``by``, and remove what was computed for it alone."""
    ir.convenience.replace_all_uses_with(result, by)
    remove_unread([result])


def remove_unread(values: Iterable[ir.Value | None]) -> None:
    """Remove the nodes of ``values`` that nothing reads, and what was computed for them alone.

    A reader that itself is not read would keep a rewrite from what is read only once.
    """
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        node = None if value is None else value.producer()
        if node is None or node.graph is None:
            continue
        if any(result.uses() or result.is_graph_output() for result in node.outputs):
            continue
        operands = list(node.inputs)
        node.graph.remove(node, safe=True)
        waiting.extend(operands)
