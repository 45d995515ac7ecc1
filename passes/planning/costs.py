"""What the plan weighs: the costs of a provider, and how many elements they are for."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph import axes
from graphopt.passes.graph.axes import Stream
from graphopt.passes.streams import algebra
from graphopt.passes.targets import Costs, provider_named

__all__ = ["Costs", "RowCounts", "provider_costs"]

_REFERENCE_ROWS = 128
"""Rows that a symbolic dimension stands for (the batch dimension stands for 1)."""


def provider_costs(provider: str) -> Costs:
    """What things cost on an execution provider."""
    return provider_named(provider).costs


class RowCounts:
    """Elements of a value, with reference sizes where its dimensions are symbolic.

    A symbol that is the first dimension of a graph input is a batch and counts 1; all other symbols
    of one shape together count 128, so that [batch, height, width, d] and its Reshape to [batch,
    height * width, d] count the same. Behind ops that keep the number of elements the best known
    shape counts.
    """

    def __init__(self, model: ir.Model) -> None:
        self._batch: set[str | None] = set()
        for value in model.graph.inputs:
            first = axes.dimension(value, 0)
            if isinstance(first, ir.SymbolicDim) and (axes.rank(value) or 0) > 1:
                self._batch.add(first.value)

    def elements(self, stream: Stream) -> int:
        """Number of elements of the stream's value."""
        value: ir.Value | None = stream.value
        counts = []
        while value is not None and value.shape is not None:
            counts.append(self._count(value))
            node = value.producer()
            op = None if node is None else algebra.op_of(node)
            value = node.inputs[0] if node and op and op.keeps_count else None
        return min(counts, default=(0, 1))[1]

    def count(self, value: ir.Value) -> int:
        """Number of elements of a value of known rank."""
        return self._count(value)[1]

    def size(self, value: ir.Value, axis: int) -> int:
        """Number of elements on one axis."""
        dim = axes.dimension(value, axis)
        if isinstance(dim, int):
            return max(1, dim)
        return 1 if dim is not None and dim.value in self._batch else _REFERENCE_ROWS

    def _count(self, value: ir.Value) -> tuple[int, int]:
        """Number of symbolic dimensions beside the batch, and of elements."""
        count, unknown = 1, 0
        for axis in range(axes.rank(value) or 0):
            dim = axes.dimension(value, axis)
            if isinstance(dim, int):
                count *= max(1, dim)
            elif dim is None or dim.value not in self._batch:
                unknown += 1
        return unknown, count * (_REFERENCE_ROWS if unknown else 1)
