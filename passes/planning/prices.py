"""What a plan weighs: the gain of each norm, and the cost of a centred copy of each stream."""

from __future__ import annotations

import dataclasses

from graphopt.passes.graph import constants
from graphopt.passes.graph.axes import Stream
from graphopt.passes.norms.original_spelling import spelling_of
from graphopt.passes.planning.costs import Costs, RowCounts
from graphopt.passes.streams.affine import Affine
from graphopt.passes.streams.trace import Norm, Trace

__all__ = ["Prices", "constant_bytes", "prices_of"]


@dataclasses.dataclass(frozen=True)
class Prices:
    """Gains and costs in nanoseconds.

    Attributes:
        gains: What converting each norm is worth.
        copies: What a centred copy of each stream costs.
        growth: What the wide form of a constant costs that is stored in a shorter type.
    """

    gains: dict[Norm, float]
    copies: dict[Stream, float]
    growth: dict[Stream, float]


def prices_of(
    found: Trace, affines: dict[Norm, Affine], costs: Costs, rows: RowCounts, rate: float
) -> Prices:
    """The prices on a provider, where a copied byte of a constant costs ``rate`` nanoseconds."""
    gains = {}
    for norm, part in affines.items():
        elements = rows.elements(norm.stream)
        gain = elements * (costs.layer_norm - costs.rms_norm)
        if part.beta == "stays":
            gain -= elements * costs.add
        elif part.beta == "folds":
            gain -= elements * costs.add * part.added / norm.stream.axis.size
        if part.beta == "stays" or (part.beta == "folds" and part.added):
            gain -= _launch(norm, costs)
        gains[norm] = gain
    copies, growth = {}, {}
    for stream, facts in found.streams.items():
        if facts.constant:
            wider = constants.widening(stream.value)
            growth[stream] = rate * wider if wider else 0.0
            copies[stream] = rate * max(1, constant_bytes(stream) - wider) + 1.0
        elif stream.is_whole and stream.value.dtype is not None:
            copies[stream] = costs.recentring * rows.elements(stream) + 2 * costs.launch + 1.0
        else:
            copies[stream] = float("inf")
    return Prices(gains, copies, growth)


def _launch(norm: Norm, costs: Costs) -> float:
    """What one node more costs; nothing where the norm is written in many, which become fewer."""
    return 0.0 if spelling_of(norm.node) == "decomposed" else costs.launch


def constant_bytes(stream: Stream) -> int:
    """The size of a constant; 0 for any other stream."""
    tensor = constants.constant_tensor(stream.value)
    return 0 if tensor is None else tensor.nbytes
