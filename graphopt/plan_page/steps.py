"""A residual stream as steps: it is written, it is read, it is written again."""

from __future__ import annotations

__all__ = ["Step", "folded_steps", "kind_of_stream"]

import dataclasses
from collections.abc import Hashable, Iterable, Mapping

from graphopt.passes.report import NormDecision, Place, ResidualStream
from graphopt.plan_page.folding import Repeated, folded, without_numbers

Norms = Mapping[str, NormDecision]


@dataclasses.dataclass(frozen=True)
class Step:
    """What happens at a place: ``place`` is written, or else read.

    Attributes:
        index: Which place of its stream it is.
        place: The place.
        writes: True where this is about what is added up to it; False for who reads it.
        goes_on: Names of the norms of the place behind which the stream goes on.
    """

    index: int
    place: Place
    writes: bool
    goes_on: frozenset[str] = frozenset()

    def kind(self, norms: Norms) -> Hashable:
        """What it has in common with the steps that may be drawn as one with it."""
        place = self.place
        if self.writes:
            jumps = tuple(self.index - above for above in place.after)
            names = (place.absorbing, place.others, place.sources)
            return (True, place.state, jumps, *map(_alike, names), len(place.norm_outputs))
        readers = tuple(_kind_of_norm(norms[name], name in self.goes_on) for name in place.norms)
        inserted = (len(place.recentrings), len(place.basis_changes))
        return (False, place.state, readers, _alike(place.readers), inserted)


def _alike(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(without_numbers, names))


def _kind_of_norm(norm: NormDecision, goes_on: bool) -> Hashable:
    said = (norm.name, norm.gamma, norm.affine, norm.reason, norm.uncompressed)
    outcome = (norm.converted, norm.compressed, len(norm.recentrings), norm.cause)
    return (*_alike(said), *outcome, norm.size, goes_on)


def folded_steps(stream: ResidualStream, norms: Norms) -> list[Repeated[Step]]:
    """The steps of a stream, equal blocks folded."""
    steps = _steps(stream)
    return folded(steps, [step.kind(norms) for step in steps])


def kind_of_stream(stream: ResidualStream, norms: Norms) -> Hashable:
    """What it has in common with the streams that may be drawn as one with it."""
    return (stream.size, *(step.kind(norms) for step in _steps(stream)))


def _steps(stream: ResidualStream) -> list[Step]:
    goes_on = frozenset(name for place in stream.places for name in place.norm_outputs)
    steps = []
    for index, place in enumerate(stream.places):
        steps.append(Step(index, place, writes=True))
        if place.norms or place.readers or place.recentrings or place.basis_changes:
            steps.append(Step(index, place, False, goes_on.intersection(place.norms)))
    return steps
