"""Ops that work entry by entry: sums, products, choices, and what hands its operand on."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph import constants
from graphopt.passes.graph.axes import FeatureAxis
from graphopt.passes.streams.roles import (
    INERT,
    Carries,
    OperandRoles,
    Vanishes,
    addend,
    carries_first,
    factor,
)

__all__ = ["casts", "chooses", "drops_out", "hands_on", "multiplies", "sums"]

_LINEAR = (*constants.HALF, ir.DataType.FLOAT, ir.DataType.DOUBLE)
"""Types whose rounding is no step in what a stream carries."""


def hands_on(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """y = f(x), linear, entry by entry: the axis stays."""
    return carries_first(node, axis)


def drops_out(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """Inference: y = x. Not the mask output, and no training mode that may be true."""
    training = node.inputs[2] if len(node.inputs) > 2 else None
    if result is not node.outputs[0]:
        return None
    if training is not None and not _is_false(training):
        return None
    return carries_first(node, axis)


def _is_false(value: ir.Value) -> bool:
    flag = constants.entries(value)
    return flag is not None and not flag.any()


def casts(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """Between float types of 16 bits and more: whatever is shorter rounds, which is not linear."""
    source = node.inputs[0]
    if source is None or source.dtype not in _LINEAR or result.dtype not in _LINEAR:
        return None
    return carries_first(node, axis)


def sums(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """C(x + y) = C x + C y; C(x + s 1) = C x."""
    roles = [addend(operand, result, axis) for operand in node.inputs]
    return None if None in roles else tuple(role for role in roles if role is not None)


def multiplies(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """C(m x) = m C x for m constant over the features: one operand is full, the other a factor."""
    left, right = (addend(operand, result, axis) for operand in node.inputs)
    if isinstance(left, Carries) and isinstance(right, Vanishes):
        return (left, INERT)
    if isinstance(right, Carries) and isinstance(left, Vanishes) and node.op_type == "Mul":
        return (INERT, right)
    return None


def chooses(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """C where(c, x, y) = where(c, C x, C y) for c constant over the features."""
    condition = factor(node.inputs[0], result, axis)
    branches = [addend(operand, result, axis) for operand in node.inputs[1:]]
    if condition is None or None in branches:
        return None
    return (condition, *(branch for branch in branches if branch is not None))
