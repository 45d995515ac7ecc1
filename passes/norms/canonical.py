"""The one canonical form of a LayerNorm."""

from __future__ import annotations

import onnx_ir as ir

__all__ = ["canonical_node"]


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
