"""What is stored in a shorter type than the one that computes with it."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph import constants

__all__ = ["widens_stored"]

_MOVES = frozenset(
    {
        "Cast",
        "Concat",
        "Expand",
        "Flatten",
        "Gather",
        "GatherElements",
        "GatherND",
        "Identity",
        "Pad",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
        "Where",
    }
)
"""Ops that round nothing: each entry of the result is one of an operand."""


def widens_stored(node: ir.Node) -> bool:
    """True for a Cast to a wider type of entries that are stored constants.

    Such entries are exact. A recentred constant is rounded to its own type, here the short one: an
    error that the original has not, and many times that of the type that computes. Where the short
    type computes on the way, the original rounds to it, too.
    """
    source, result = node.inputs[0], node.outputs[0]
    if node.op_type != "Cast" or source is None or source.dtype is None or result.dtype is None:
        return False
    return constants.is_wider(result.dtype, source.dtype) and _is_stored(source, source.dtype)


def _is_stored(value: ir.Value, dtype: ir.DataType) -> bool:
    seen: set[ir.Value] = set()
    queue: list[ir.Value | None] = [value]
    while queue:
        current = queue.pop()
        if current is None or current in seen or current.dtype != dtype:
            continue
        seen.add(current)
        if constants.constant_tensor(current) is not None:
            return True
        node = current.producer()
        if node is not None and not node.domain and node.op_type in _MOVES:
            queue.extend(node.inputs)
    return False
