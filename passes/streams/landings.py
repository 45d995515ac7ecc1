"""Where the features of an operand may lie in a result: candidates, which the algebra judges."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from graphopt.passes.graph import axes
from graphopt.passes.graph.axes import FeatureAxis

__all__ = ["anywhere", "nowhere", "where_reshaped"]


def anywhere(source: ir.Value, result: ir.Value, axis: FeatureAxis) -> Iterator[FeatureAxis]:
    """On any axis, as the same block."""
    for index in range(axes.rank(result) or 0):
        yield axis.at(index)


def where_reshaped(source: ir.Value, result: ir.Value, axis: FeatureAxis) -> Iterator[FeatureAxis]:
    """On the one axis to which row-major order moves them, perhaps as another block."""
    moved = axes.move_through_reshape(axis, source, result)
    if moved is not None:
        yield moved


def nowhere(source: ir.Value, result: ir.Value, axis: FeatureAxis) -> Iterator[FeatureAxis]:
    """The result has no features of its operands."""
    yield from ()
