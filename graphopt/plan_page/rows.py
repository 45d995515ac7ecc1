"""What the picture of a stream shows, row by row, in words."""

from __future__ import annotations

__all__ = ["Rows"]

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence

from graphopt.errors import shortened
from graphopt.passes.report import NormDecision, Place, PlanSummary, ResidualStream
from graphopt.plan_page.folding import Repeated, common_name
from graphopt.plan_page.marks import Kind, Row
from graphopt.plan_page.steps import Norms, Step
from graphopt.printing.names import joined_names
from graphopt.printing.norm_table import becomes
from graphopt.printing.places import places

_LISTED = 8
_NAMED = 4
_POST_LN = "stays: what it reads adds up outputs of LayerNorms"


class Rows:
    """Makes the rows of a plan's streams.

    Args:
        plan: The plan.
        norms: Its norms by name.
    """

    def __init__(self, plan: PlanSummary, norms: Norms) -> None:
        self._plan, self._norms = plan, norms
        self._prefix = _shared_module(plan)

    def title(self, run: Repeated[Step]) -> str:
        """How often a block comes, and where its norms stand; "" of one that comes once."""
        if run.times == 1:
            return ""
        read = [step.place for block in run.blocks for step in block if not step.writes]
        found = [self._norms[name] for place in read for name in place.norms]
        return f"{run.times} times{f': {places(found)}' if found else ''}"

    def rows(self, run: Repeated[Step], stream: int) -> list[Row]:
        """The rows of a block, which stand for those of all its repetitions.

        Args:
            run: The block and its repetitions.
            stream: The number of the stream in the plan.
        """
        made: list[Row] = []
        for alike in run.alike:
            link = f"place-{stream}-{alike[0].index}"
            if alike[0].writes:
                rows = self._written(alike, self._plan.streams[stream])
            else:
                rows = self._read(alike)
            made += [dataclasses.replace(row, link=link) for row in rows]
        return made

    def _written(self, alike: Sequence[Step], stream: ResidualStream) -> Iterator[Row]:
        first, index = alike[0].place, alike[0].index
        begins = index > 0 and first.after != (index - 1,)
        if begins and first.after:
            above = ", ".join(stream.places[place].value for place in first.after)
            state = stream.places[first.after[0]].state
            yield Row(Kind.JOINS, f"goes on from {above}", state=state, on_line=True, begins=True)
            begins = False
        for kind, names in (
            (Kind.SOURCE, [step.place.sources for step in alike]),
            (Kind.WRITES, [step.place.others for step in alike]),
            (Kind.ABSORBS, [step.place.absorbing for step in alike]),
        ):
            if names[0]:
                tip = _listed(kind.value, _flat(names))
                label = self._label(names)
                yield Row(kind, label, "", tip, state=first.state, writes=True, begins=begins)
                begins = False

    def _read(self, alike: Sequence[Step]) -> Iterator[Row]:
        place = alike[0].place
        if place.recentrings:
            values = [step.place.recentrings for step in alike]
            label = f"mean subtracted at {self._label(values)}"
            tip = _listed(Kind.RECENTRED.value, _flat(values))
            yield Row(Kind.RECENTRED, label, "", tip, state=place.state)
        if place.basis_changes:
            values = [step.place.basis_changes for step in alike]
            label = f"{self._basis_change(place)} behind {self._label(values)}"
            tip = _listed(Kind.CHANGED.value, _flat(values))
            yield Row(Kind.CHANGED, label, "", tip, state=place.state)
        for number, name in enumerate(place.norms):
            decisions = [self._norms[step.place.norms[number]] for step in alike]
            outcome = common_name([self._outcome(norm) for norm in decisions])
            yield Row(
                _kind_of_norm(decisions[0], place),
                self._label([(_norm_label(norm),) for norm in decisions]),
                outcome,
                _listed(outcome, (norm.name for norm in decisions)),
                state=alike[0].goes_on.get(name, place.state),
                on_line=name in alike[0].goes_on,
            )
        if place.readers:
            readers = [step.place.readers for step in alike]
            tip = _listed(Kind.READER.value, _flat(readers))
            detail = "needs the mean" if len(place.readers) == 1 else "need the mean"
            yield Row(Kind.READER, self._label(readers), detail, tip, state=place.state)

    def _basis_change(self, place: Place) -> str:
        kinds = {change.value: change.kind for change in self._plan.basis_changes}
        return " and ".join(dict.fromkeys(kinds[value] for value in place.basis_changes))

    def _outcome(self, norm: NormDecision) -> str:
        if norm.cause == "norm output":
            return _POST_LN
        if not norm.converted:
            return f"stays: {shortened(norm.reason)}"
        size = f"{norm.size} to {norm.size - 1}" if norm.compressed and norm.size else norm.size
        affine = "without beta" if norm.affine == "no beta" else norm.affine
        return f"{becomes(norm, self._plan)} over {size}, {affine}"

    def _label(self, names: Sequence[Sequence[str]]) -> str:
        """The names of alike places, a star for each number that tells them apart."""
        first = [common_name(each) for each in zip(*names, strict=False)]
        shown = joined_names(name.removeprefix(self._prefix) for name in first[:_NAMED])
        more = len(first) - _NAMED
        return f"{shown} and {more} more" if more > 0 else shown


def _shared_module(plan: PlanSummary) -> str:
    """The module that the names of all norms and weights begin with, its dot included, or ""."""
    names = [norm.gamma for norm in plan.norms]
    places = [place for stream in plan.streams for place in stream.places]
    names += [name for place in places for name in (*place.absorbing, *place.others)]
    modules = [name.split(".")[:-1] for name in names if "." in name and "::" not in name]
    levels = zip(*modules, strict=False)
    shared = itertools.takewhile(lambda parts: len(set(parts)) == 1, levels)
    return "".join(f"{parts[0]}." for parts in shared)


def _kind_of_norm(norm: NormDecision, place: Place) -> Kind:
    if not norm.converted:
        return Kind.KEPT
    return Kind.COPIED if place.state == "raw" else Kind.CONVERTED


def _norm_label(norm: NormDecision) -> str:
    """The module of a norm, where its gamma tells it; else its node."""
    return norm.gamma.rpartition(".")[0] or norm.name


def _flat(names: Iterable[Iterable[str]]) -> Iterator[str]:
    return (name for each in names for name in each)


def _listed(what: str, names: Iterable[str]) -> str:
    found = list(dict.fromkeys(names))
    more = len(found) - _LISTED
    return f"{what}: {', '.join(found[:_LISTED])}{f' and {more} more' if more > 0 else ''}"
