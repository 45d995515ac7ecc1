"""A residual stream as steps: it is written, it is read, it is written again."""

from __future__ import annotations

__all__ = ["Step", "folded_steps", "kind_of_stream"]

import dataclasses
from collections.abc import Hashable, Iterable, Mapping

from graphopt.passes.report import NormDecision, Place, ResidualStream, StreamState
from graphopt.plan_page.folding import Repeated, folded, kind_of_name
from graphopt.printing.places import block_in

Norms = Mapping[str, NormDecision]


@dataclasses.dataclass(frozen=True)
class Step:
    """What happens at a place: it is written, or else read.

    Attributes:
        index: Which place of its stream it is.
        place: The place.
        writes: True where this is about what is added up to it; False for who reads it.
        goes_on: The norms of the place behind which the stream goes on, by name, and how it is
            computed there.
    """

    index: int
    place: Place
    writes: bool
    goes_on: Mapping[str, StreamState] = dataclasses.field(default_factory=dict)

    def kind(self, norms: Norms) -> Hashable:
        """What it has in common with the steps that may be drawn as one with it."""
        place = self.place
        if self.writes:
            jumps = tuple(self.index - above for above in place.after)
            names = (place.absorbing, place.others, place.sources)
            return (True, place.state, jumps, *map(_alike, names), len(place.norm_outputs))
        readers = tuple(
            _kind_of_norm(norms[name], self.goes_on.get(name, "")) for name in place.norms
        )
        inserted = (len(place.recentrings), len(place.basis_changes))
        return (False, place.state, readers, _alike(place.readers), inserted)

    def block(self, norms: Norms) -> int | None:
        """The number of the block of the model that it is of, where names tell it."""
        if self.writes:
            return block_in(*self.place.absorbing, *self.place.others)
        read = [norms[name] for name in self.place.norms]
        return block_in(*(name for norm in read for name in (norm.name, norm.gamma)))


def _alike(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(kind_of_name, names))


def _kind_of_norm(norm: NormDecision, goes_on: str) -> Hashable:
    reason = "" if norm.cause == "norm output" else norm.reason  # the cause says as much
    said = (norm.gamma or norm.name, norm.affine, reason, norm.uncompressed)
    outcome = (norm.converted, norm.compressed, len(norm.recentrings), norm.cause)
    return (*_alike(said), *outcome, norm.size, goes_on)


def folded_steps(stream: ResidualStream, norms: Norms) -> list[Repeated[Step]]:
    """The steps of a stream, equal blocks folded."""
    steps = _steps(stream)
    return folded(
        steps, [step.kind(norms) for step in steps], [step.block(norms) for step in steps]
    )


def kind_of_stream(stream: ResidualStream, norms: Norms) -> Hashable:
    """What it has in common with the streams that may be drawn as one with it."""
    return (stream.size, *(step.kind(norms) for step in _steps(stream)))


def _steps(stream: ResidualStream) -> list[Step]:
    """All steps, without those of mere outputs of norms: the norm itself says so.

    Who reads such an output reads the norm's beta in it, and keeps nothing from being converted.
    """
    outputs = {name: place.state for place in stream.places for name in place.norm_outputs}
    steps = []
    for index, place in enumerate(stream.places):
        if place.norm_outputs and not (place.norms or place.absorbing or place.others):
            continue
        steps.append(Step(index, place, writes=True))
        if place.norms or place.readers or place.recentrings or place.basis_changes:
            goes_on = {name: outputs[name] for name in place.norms if name in outputs}
            steps.append(Step(index, place, False, goes_on))
    return steps
