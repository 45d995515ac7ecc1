"""Masks of attention: what is added to scores, so that some keys are not seen."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.walking import produced_by

__all__ = ["Mask", "mask_of"]


@dataclasses.dataclass(frozen=True)
class Mask:
    """Where(seen, 0, fill), Where(hidden, fill, 0) or Where(hidden, fill, x).

    Of the last, hidden is x, cast to bool: so x is zero where it is chosen.

    Attributes:
        value: The mask.
        condition: Which keys are seen, or which are hidden.
        hides: The condition says which are hidden.
        fill: What is added to the scores of hidden keys: a negative number, or -Inf.
    """

    value: ir.Value
    condition: ir.Value
    hides: bool
    fill: float

    @property
    def is_for_all_heads(self) -> bool:
        """True for one of [B, 1, S, T]."""
        return axes.rank(self.condition) == 4 and axes.dimension(self.condition, 1) == 1


def mask_of(value: ir.Value | None) -> Mask | None:
    """The mask that ``value`` is, of the shape of its condition; None where it is none."""
    node = produced_by(value, "Where")
    if node is None or value is None or node.inputs[0] is None:
        return None
    condition = node.inputs[0]
    rank = axes.rank(condition)
    if not rank:
        return None
    numbers = [_number(operand, rank) for operand in node.inputs[1:]]
    test = produced_by(condition, "Cast")
    if test is not None and test.inputs[0] is node.inputs[2]:
        numbers[1] = 0.0
    for hides, (seen, hidden) in enumerate((numbers, numbers[::-1])):
        if seen == 0 and hidden is not None and hidden < 0:
            return Mask(value, condition, bool(hides), hidden)
    return None


def _number(value: ir.Value | None, most_axes: int) -> float | None:
    """A constant of one entry and not more axes than these."""
    tensor = constants.constant_tensor(value)
    if tensor is None or tensor.size != 1 or len(tensor.shape) > most_axes:
        return None
    return float(np.asarray(tensor.numpy(), dtype=np.float64).reshape(-1)[0])
