"""What an operand is to a result that is centred."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.axes import FeatureAxis

__all__ = [
    "INERT",
    "VANISHES",
    "Carries",
    "Inert",
    "OperandRole",
    "OperandRoles",
    "Vanishes",
    "addend",
    "carries_first",
    "carries_only",
    "factor",
    "never",
]


@dataclasses.dataclass(frozen=True)
class Carries:
    """The operand is centred on ``axis`` together with the result, op(C x) = C op(x).

    A constant weight is such an operand, too: it is recentred once, offline.
    """

    axis: FeatureAxis


@dataclasses.dataclass(frozen=True)
class Vanishes:
    """The operand is broadcast along the features, x + s 1.

    C(x + s 1) = C x, so that in a centred op the operand becomes zeros.

    Attributes:
        gives_shape: True where other axes of the operand may give the result its shape, so that
            the zeros need the shape of the operand.
    """

    gives_shape: bool


@dataclasses.dataclass(frozen=True)
class Inert:
    """The operand is a factor, condition, index or shape, and does not change."""


VANISHES = Vanishes(gives_shape=True)
INERT = Inert()

OperandRole = Carries | Vanishes | Inert
OperandRoles = tuple[OperandRole, ...]


def never(node: ir.Node, result: ir.Value, axis: FeatureAxis) -> OperandRoles | None:
    """Proved not to commute with C, whatever the attributes and the axis."""
    return None


def carries_only(node: ir.Node, carried: Mapping[int, FeatureAxis]) -> OperandRoles:
    """Operands at the positions of ``carried`` carry on the axis there, all others are inert."""
    return tuple(
        Carries(carried[index]) if index in carried else INERT for index in range(len(node.inputs))
    )


def carries_first(node: ir.Node, axis: FeatureAxis) -> OperandRoles:
    """The first operand carries on ``axis``, all others are inert."""
    return carries_only(node, {0: axis})


def addend(operand: ir.Value | None, result: ir.Value, axis: FeatureAxis) -> OperandRole | None:
    """An operand of a sum or a Where branch: full over the features, or broadcast on them."""
    if operand is None:
        return None
    own = axes.broadcast_axis(operand, axes.rank(result) or 0, axis.axis)
    if own is None:
        return None
    if own < 0 or axes.dimension(operand, own) == 1:
        return VANISHES if _may_be_finite(operand) else None
    same = axes.dimension(operand, own) == axes.dimension(result, axis.axis)
    return Carries(axis.at(own)) if same else None


def _may_be_finite(operand: ir.Value) -> bool:
    """False for a constant with an infinite or NaN entry: x + inf has no mean to take away."""
    tensor = constants.constant_tensor(operand)
    if tensor is None or not tensor.dtype.is_floating_point():
        return True
    return constants.is_finite(tensor)


def factor(operand: ir.Value | None, result: ir.Value, axis: FeatureAxis) -> OperandRole | None:
    """A factor or condition may scale tokens but not features: it is broadcast on the axis."""
    return INERT if addend(operand, result, axis) == VANISHES else None
