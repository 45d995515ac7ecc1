"""Linear maps of features: which operands write the output features.

Such an operand absorbs a mean, op(.., W C) = op(.., W) C, and what is contracted reads raw.
"""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph import axes
from graphopt.passes.graph.axes import FeatureAxis
from graphopt.passes.streams.roles import (
    INERT,
    Carries,
    OperandRole,
    OperandRoles,
    Vanishes,
    addend,
    carries_only,
)

__all__ = [
    "contracts",
    "convolves",
    "deconvolves",
    "multiplies_and_adds",
    "multiplies_matrices",
    "multiplies_turned",
]


def multiplies_matrices(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """A (x C) = (A x) C on the right, features last; (C x) A = C (x A) on the left."""
    left, right = node.inputs
    left_rank, right_rank = axes.rank(left), axes.rank(right)
    if left_rank is None or right_rank is None:
        return None
    if right_rank >= 2 and axis.axis == (axes.rank(result) or 0) - 1:
        return carries_only(node, {1: axis.at(right_rank - 1)})
    last_row = (axes.rank(result) or 0) - (2 if right_rank >= 2 else 1)
    if left_rank >= 2 and axis.axis == last_row:
        return carries_only(node, {0: axis.at(left_rank - 2)})
    return None


def multiplies_turned(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """alpha A' B' with optional transposes of the last two axes."""
    if node.attributes.get_int("transBatchA", 0) or node.attributes.get_int("transBatchB", 0):
        return None
    left_rank, right_rank = axes.rank(node.inputs[0]), axes.rank(node.inputs[1])
    if left_rank is None or right_rank is None or min(left_rank, right_rank) < 2:
        return None
    count = axes.rank(result) or 0
    if axis.axis == count - 1:
        back = 2 if node.attributes.get_int("transB", 0) else 1
        return carries_only(node, {1: axis.at(right_rank - back)})
    if axis.axis == count - 2:
        back = 1 if node.attributes.get_int("transA", 0) else 2
        return carries_only(node, {0: axis.at(left_rank - back)})
    return None


def multiplies_and_adds(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """alpha A' B' + beta C: the columns come from B, the rows from A, and C is an addend."""
    if "activation" in node.attributes:  # FusedGemm
        return None
    if axis.axis == 1:
        source, own = 1, 0 if node.attributes.get_int("transB", 0) else 1
    else:
        source, own = 0, 1 if node.attributes.get_int("transA", 0) else 0
    roles: list[OperandRole] = [INERT] * len(node.inputs)
    roles[source] = Carries(axis.at(own))
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        added = addend(node.inputs[2], result, axis)
        if added is None:
            return None
        roles[2] = Vanishes(gives_shape=False) if isinstance(added, Vanishes) else added
    return tuple(roles)


def convolves(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """y[o] = sum w[o, i] * x[i] + b[o], group 1: the output channels come from w and b."""
    return _channels(node, axis, weight_axis=0)


def deconvolves(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """y[o] = sum w[i, o] * x[i] + b[o], group 1: the output channels come from w and b."""
    return _channels(node, axis, weight_axis=1)


def _channels(node: ir.Node, axis: FeatureAxis, weight_axis: int) -> OperandRoles | None:
    if axis.axis != 1 or node.attributes.get_int("group", 1) != 1:
        return None
    carried = {1: axis.at(weight_axis)}
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        carried[2] = axis.at(0)
    return carries_only(node, carried)


def contracts(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """A sum of products is linear in each operand: the feature letter is in one operand alone."""
    equation = node.attributes.get_string("equation", "").replace(" ", "")
    if "->" not in equation or "." in equation:
        return None
    terms, output = equation.split("->")
    operands = terms.split(",")
    letter = output[axis.axis]
    holders = [index for index, term in enumerate(operands) if letter in term]
    if len(holders) != 1 or operands[holders[0]].count(letter) != 1 or output.count(letter) != 1:
        return None
    return carries_only(node, {holders[0]: axis.at(operands[holders[0]].index(letter))})
