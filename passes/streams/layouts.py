"""Ops that lay the same entries out anew: transposing, reshaping, unit axes, repeating."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.axes import FeatureAxis
from graphopt.passes.streams.named_axes import named_axes
from graphopt.passes.streams.roles import (
    INERT,
    Carries,
    OperandRoles,
    addend,
    carries_first,
)

__all__ = ["expands", "reshapes", "squeezes", "tiles", "transposes", "unsqueezes"]


def transposes(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """y[i, j] = x[j, i]: the axis moves with the permutation."""
    count = axes.rank(result) or 0
    permutation = node.attributes.get_ints("perm", tuple(reversed(range(count))))
    return carries_first(node, axis.at(permutation[axis.axis]))


def reshapes(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """The same entries in row-major order: the axis moves where its block is kept whole."""
    source = node.inputs[0]
    moved = None if source is None else axes.move_through_reshape(axis, result, source)
    return None if moved is None else carries_first(node, moved)


def squeezes(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """Axes of size 1 go: the others keep their order."""
    kept = _kept_axes(node, longer=node.inputs[0], shorter=result)
    return None if kept is None else carries_first(node, axis.at(kept[axis.axis]))


def unsqueezes(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """Axes of size 1 come: the others keep their order."""
    kept = _kept_axes(node, longer=result, shorter=node.inputs[0])
    if kept is None or axis.axis not in kept:
        return None
    return carries_first(node, axis.at(kept.index(axis.axis)))


def _kept_axes(
    node: ir.Node, longer: ir.Value | None, shorter: ir.Value | None
) -> list[int] | None:
    """The axes of the longer value that the shorter one has, too, in order."""
    if longer is None or shorter is None or axes.rank(shorter) is None:
        return None
    count = axes.rank(longer) or 0
    moved = named_axes(node, axes.rank(longer))
    if moved is None and len(node.inputs) < 2 and "axes" not in node.attributes:
        dims = [axes.dimension(longer, i) for i in range(count)]
        static = all(isinstance(dim, int) for dim in dims)
        moved = {i for i, dim in enumerate(dims) if dim == 1} if static else None
    if moved is None:
        return None
    kept = [i for i in range(count) if i not in moved]
    return kept if len(kept) == axes.rank(shorter) else None


def expands(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """Repeats other axes; an operand of feature size 1 does not carry the features."""
    role = addend(node.inputs[0], result, axis)
    return (role, INERT) if isinstance(role, Carries) else None


def tiles(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """Repeats of other axes."""
    repeats = constants.entries(node.inputs[1])
    if repeats is None or repeats.shape != (axes.rank(result),) or int(repeats[axis.axis]) != 1:
        return None
    return carries_first(node, axis)
