"""How the numbers lie that a reduction gives, one for each row of what it reads."""

from __future__ import annotations

import math
from typing import Literal

import onnx_ir as ir

from graphopt.passes.graph.walking import produced_by

__all__ = ["Axes", "Layout", "entry_count", "has_same_dims", "layout_of", "strip_reshapes"]

Axes = tuple[int, ...]
"""Reduced axes in ascending order: non-negative where the rank is known."""

Layout = Literal["kept", "dropped", "moved"]
"""``kept``: the reduced axes have size 1, so that the numbers broadcast along the rows.
``dropped``: they are gone. ``moved``: something else, in the same order."""

_RESHAPES = ("Reshape", "Unsqueeze", "Squeeze", "Expand")


def strip_reshapes(value: ir.Value) -> tuple[ir.Value, bool]:
    """``value`` before what changes its shape alone, and whether there was any.

    Each of these keeps the order of the entries; where the result has as many as the operand, all
    of them did.
    """
    is_moved = False
    while (node := produced_by(value, *_RESHAPES)) is not None and node.inputs[0] is not None:
        value, is_moved = node.inputs[0], True
    return value, is_moved


def layout_of(value: ir.Value, source: ir.Value, axes: Axes) -> Layout:
    """The layout of ``value``, which is reshaped from the numbers of the rows of ``source``."""
    return "kept" if _has_kept_shape(value, source, axes) else "moved"


def entry_count(source: ir.Value, axes: Axes) -> int | None:
    """The number of entries of a row."""
    if source.shape is None:
        return None
    sizes = [size for axis in axes if isinstance(size := source.shape[axis], int)]
    return math.prod(sizes) if len(sizes) == len(axes) else None


def has_same_dims(value: ir.Value, other: ir.Value) -> bool:
    """True where both are proved to have one shape."""
    return _has_kept_shape(value, other, ())


def _has_kept_shape(value: ir.Value, source: ir.Value, axes: Axes) -> bool:
    """True where ``value`` is proved to have the shape of ``source`` with size 1 on ``axes``."""
    if value.shape is None or source.shape is None or len(value.shape) != len(source.shape):
        return False
    for axis, (kept, full) in enumerate(zip(value.shape, source.shape, strict=True)):
        if axis in axes:
            if kept != 1:
                return False
        elif kept != full or (isinstance(kept, ir.SymbolicDim) and kept.value is None):
            return False
    return True
