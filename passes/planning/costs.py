"""What things cost, in nanoseconds per element: the one table by which the plan weighs choices.

The CPU row was measured on one thread of an AVX-512 machine with ONNX Runtime 1.31.1, 197 rows of
768 features: LayerNormalization 71 to 76 us, RMSNorm 35 to 39 us, RMSNorm with a beta Add 53 us,
ReduceMean and Sub 32 to 33 us, an encoder 51 us and a decoder 67 us (basis orthonormal). The CUDA
row is an estimate, not a measurement: bytes moved at 2.5 TB/s, and 2.5 us for each launch.
"""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from graphopt.passes.graph import axes
from graphopt.passes.graph.axes import Stream
from graphopt.passes.streams import algebra

__all__ = ["Costs", "RowCounts", "provider_costs"]

_REFERENCE_ROWS = 128
"""Rows that a symbolic dimension stands for (the batch dimension stands for 1)."""


@dataclasses.dataclass(frozen=True)
class Costs:
    """Nanoseconds per element, and for each node that runs.

    Attributes:
        layer_norm: LayerNormalization.
        rms_norm: RMSNorm with gamma.
        add: An Add of a vector (beta, or a bias).
        recentring: ReduceMean and Sub. It carries a margin of 15%, so that one recentring never
            pays for one norm: that would be a tie within what can be measured.
        launch: Nanoseconds for each node, whatever its size.
        nanoseconds_per_byte: Exchange rate for a weight that is held twice: a copy must save one
            nanosecond a run for each so many bytes.
        encoding: From d centred features to d - 1.
        decoding: From d - 1 features back to d.
    """

    layer_norm: float
    rms_norm: float
    add: float
    recentring: float
    launch: float
    nanoseconds_per_byte: float
    encoding: float
    decoding: float


_CPU = Costs(0.486, 0.245, 0.106, 0.215 * 1.15, 0.0, 2e-4, 0.34, 0.44)
_CUDA = Costs(0.0040, 0.0032, 0.0032, 0.0050 * 1.15, 2500.0, 2e-4, 0.0096, 0.0128)


def provider_costs(provider: str) -> Costs:
    """The row of the table for an execution provider, ``"cpu"`` or ``"cuda"``."""
    return _CUDA if provider == "cuda" else _CPU


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
