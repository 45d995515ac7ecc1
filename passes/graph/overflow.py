"""Bounds of folded weights: what could leave the range of its type is not folded.

Weights are folded when they are written, long after the plan is made. So the plan asks here, by
bounds that cost no more than a look at the largest entry.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph import constants

__all__ = ["beta_overflows", "obstacle_to_folding", "scaling_leaves_range"]

_LARGEST = {
    ir.DataType.FLOAT16: 65504.0,
    ir.DataType.BFLOAT16: (2 - 2.0**-7) * 2.0**127,
    ir.DataType.FLOAT: (2 - 2.0**-23) * 2.0**127,
    ir.DataType.DOUBLE: (2 - 2.0**-52) * 2.0**1023,
}
_SMALLEST_NORMAL = {
    ir.DataType.FLOAT: 2.0**-126,
    ir.DataType.DOUBLE: 2.0**-1022,
}
_DIGITS = 2.0**32
"""An entry this much smaller than the largest adds nothing that shows in a sum with it."""
_RECENTRED = 2.0
"""No entry minus the mean of some is larger than twice the largest: |w - m| <= |w| + |m|."""


def obstacle_to_folding(
    tensor: ir.TensorProtocol, growth: float = _RECENTRED, once: str = "recentred"
) -> str:
    """Why a constant cannot be folded in its own type, or "".

    Args:
        tensor: The constant.
        growth: How many times its largest entry its new entries may be.
        once: What it will be then, in a word.
    """
    magnitude = constants.largest(tensor)
    if not math.isfinite(magnitude):
        return "is not finite in every entry"
    if _overflows(tensor.dtype, growth * magnitude):
        kind = tensor.dtype.name.lower()
        return f"has entries up to {magnitude:.3g}, which could overflow {kind} once {once}"
    return ""


def scaling_leaves_range(tensor: ir.TensorProtocol, factors: np.ndarray) -> bool:
    """Whether W diag(f) could overflow its type, or lose digits below its normal numbers.

    Digits of 16 bits are not asked for: what scales such weights has rules of its own for them.

    Args:
        tensor: The constant W.
        factors: f, finite.
    """
    magnitude = constants.largest(tensor)
    sizes = np.abs(factors[factors != 0])
    if magnitude == 0.0 or not sizes.size:
        return False
    if _overflows(tensor.dtype, _RECENTRED * magnitude * float(sizes.max())):
        return True
    lowest = _SMALLEST_NORMAL.get(tensor.dtype, 0.0) * _DIGITS
    return magnitude * float(sizes.min()) < lowest


def beta_overflows(
    weight: ir.TensorProtocol,
    beta: np.ndarray,
    bias: ir.TensorProtocol | None,
    factor: float,
    bias_factor: float,
) -> bool:
    """Whether bias_factor bias + factor W beta could leave the type of the weight.

    |sum_i w_ij beta_i| <= max |w| sum |beta_i|, once for each place of a convolution.
    """
    places = math.prod(weight.shape.numpy()[2:])
    bound = _RECENTRED * constants.largest(weight) * places * float(np.abs(beta).sum())
    rest = 0.0 if bias is None else _RECENTRED * constants.largest(bias)
    return _overflows(weight.dtype, abs(factor) * bound + abs(bias_factor) * rest)


def _overflows(dtype: ir.DataType, bound: float) -> bool:
    return not bound <= _LARGEST.get(dtype, math.inf)
