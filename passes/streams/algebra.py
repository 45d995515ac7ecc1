"""The op algebra: what the table of ops says about the nodes of a graph.

C = I - (1/d) 1 1^T removes the mean over the d features. For the feature axis of a *result* the row
of an op says what each operand is (roles.py): it carries the features, op(C x) = C op(x); it is
broadcast along them and vanishes; or it is inert. All answers are linear over the features, so they
hold for blocks of an axis as for a whole axis, unless they ask for a whole one.

An op without a row, and one whose row says no, reads raw and produces raw: soundness first.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator

import onnx_ir as ir

from graphopt.passes.crms.size_operands import Sizes, SizesOperand
from graphopt.passes.graph.axes import FeatureAxis, Stream
from graphopt.passes.streams.roles import Carries, OperandRoles, never
from graphopt.passes.streams.table import OPS, Op

__all__ = ["Raw", "op_of", "producers_roles", "results", "sizes_of", "tolerates"]


class Raw(enum.Enum):
    """Why a result is not centred together with operands."""

    NO_ROW = "nothing is known of the op"
    NEVER = "the op is proved not to commute with C"
    NOT_HERE = "the op is not proved to commute with C for these attributes, axes and sizes"


def op_of(node: ir.Node) -> Op | None:
    """The row of the node's op, or None where the table has none."""
    return OPS.get((node.domain, node.op_type))


def producers_roles(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | Raw:
    """The role of each operand of ``node`` when ``result`` is centred on ``axis``.

    Returns:
        One role for each operand position, or why the node does not commute with C.
    """
    op = op_of(node)
    if op is None:
        return Raw.NO_ROW
    if op.carries is never:
        return Raw.NEVER
    if result.shape is None or not axis.fits(result):
        return Raw.NOT_HERE
    roles = op.carries(node, result, axis)
    if roles is None or not any(isinstance(role, Carries) for role in roles):
        return Raw.NOT_HERE
    for operand, role in zip(node.inputs, roles, strict=True):
        if isinstance(role, Carries) and (operand is None or not role.axis.fits(operand)):
            return Raw.NOT_HERE
    return roles


def results(node: ir.Node, operand: int, axis: FeatureAxis) -> Iterator[Stream]:
    """The result streams of ``node`` that carry the features of one operand."""
    op, source = op_of(node), node.inputs[operand]
    if op is None or source is None:
        return
    for result in node.outputs:
        for candidate in op.lands(source, result, axis):
            roles = producers_roles(node, result, candidate)
            if not isinstance(roles, Raw) and roles[operand] == Carries(axis):
                yield Stream(result, candidate)


def tolerates(node: ir.Node, operand: int, axis: FeatureAxis) -> bool:
    """True where the results of ``node`` are the same for x and C x, x the operand."""
    op = op_of(node)
    return op is not None and node.inputs[operand] is not None and op.tolerates(node, operand, axis)


def sizes_of(node: ir.Node) -> Sizes | SizesOperand:
    """How the sizes of the node's result follow where a feature axis loses an entry."""
    op = op_of(node)
    return Sizes.FOLLOW if op is None else op.sizes
