"""The one canonical form of a LayerNorm."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

__all__ = ["canonical_node", "epsilon_of", "keeps_epsilon"]

_DEFAULT_EPSILON = float(np.float32(1e-5))


def canonical_node(
    x: ir.Value, scale: ir.Value, bias: ir.Value | None, epsilon: float, stash_type: int
) -> ir.Node:
    """A LayerNormalization over the last axis of ``x`` with every attribute explicit."""
    axis = -1 if x.shape is None else len(x.shape) - 1
    return ir.node(
        "LayerNormalization",
        inputs=[x, scale] if bias is None else [x, scale, bias],
        attributes={"axis": axis, "epsilon": epsilon, "stash_type": stash_type},
    )


def epsilon_of(norm: ir.Node) -> float:
    """The epsilon of a norm of the ONNX domain; what stands for a missing one is a float32, too."""
    return norm.attributes.get_float("epsilon", _DEFAULT_EPSILON)


def keeps_epsilon(norm: ir.Node) -> bool:
    """True where an attribute, which is a float32, holds epsilon as exactly as its use asks.

    float64 files that spell a norm out have an epsilon with more digits. Where the variance is near
    it, a rounded one would show: an error of 3e-8, where the input had 1e-16.
    """
    epsilon = epsilon_of(norm)
    x = norm.inputs[0]
    is_double = x is None or x.dtype in (None, ir.DataType.DOUBLE)
    return not is_double or float(np.float32(epsilon)) == epsilon
