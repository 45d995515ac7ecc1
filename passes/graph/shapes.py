"""The shape of a value, and the one that its file declared for it."""

from __future__ import annotations

import onnx_ir as ir

__all__ = ["DECLARED", "resize"]

DECLARED = "graphopt.declared_shape"
"""Key of a value's ``meta``: the shape that the file declared, or None."""


def resize(value: ir.Value, axis: int, size: int) -> None:
    """Change one dimension of ``value``, in the shape that its file declared, too."""
    declared = value.meta.get(DECLARED)
    if value.shape is not None:
        value.shape = _resized(value.shape, axis, size)
    if isinstance(declared, ir.Shape):
        value.meta[DECLARED] = _resized(declared, axis, size)


def _resized(shape: ir.Shape, axis: int, size: int) -> ir.Shape:
    return ir.Shape([size if i == axis else dim for i, dim in enumerate(shape)])
