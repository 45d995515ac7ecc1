"""The axes that an op names, by an attribute or a constant operand."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph import constants

__all__ = ["named_axes"]


def named_axes(node: ir.Node, count: int | None, position: int = 1) -> set[int] | None:
    """The named axes of a value of rank ``count``, non-negative.

    Returns:
        The axes, or None where the op names none, or names them by a value that is not constant.
    """
    named: list[int] | None = None
    if "axes" in node.attributes:
        named = list(node.attributes.get_ints("axes", ()))
    elif len(node.inputs) > position and node.inputs[position] is not None:
        found = constants.entries(node.inputs[position])
        named = None if found is None else [int(entry) for entry in found.reshape(-1)]
    if named is None or count is None:
        return None
    return {entry % count for entry in named}
