"""What the picture of a stream shows, row by row, in words: no coordinates, no colours."""

from __future__ import annotations

__all__ = ["LEGEND", "Kind", "Row", "title_of", "write_and_read"]

import dataclasses
import enum
from collections.abc import Iterable, Iterator, Sequence

from graphopt.errors import shortened
from graphopt.passes.report import NormDecision, PlanSummary, StreamState
from graphopt.plan_page.folding import Repeated, without_numbers
from graphopt.plan_page.steps import Norms, Step
from graphopt.printing.norm_table import becomes, joined_names
from graphopt.printing.places import places

_LISTED = 8
_NAMED = 4


@enum.unique
class Kind(enum.Enum):
    """What a mark stands for."""

    ABSORBS = "weights that write to it and absorb the mean"
    WRITES = "weights that write to it and stay as they are"
    SOURCE = "another writer, whose mean cannot be removed in advance"
    CONVERTED = "a LayerNorm that becomes an RMSNorm"
    KEPT = "a LayerNorm that stays"
    READER = "a reader that needs the mean, so that it cannot be removed"
    RECENTRED = "the mean is subtracted explicitly, here"
    CHANGED = "from d features to d - 1, or back"


@dataclasses.dataclass(frozen=True)
class Row:
    """One mark with what stands beside it.

    Attributes:
        kind: What it is.
        label: Its name, or names.
        detail: What becomes of it.
        tip: All names in full, for a pointer that rests on it.
        link: Id of the place in the page that says more, or "".
        state: How the stream is computed behind this mark, or None before it begins.
        on_line: True where the stream goes on behind the mark.
        writes: True where the mark adds to the stream, False where it reads it.
    """

    kind: Kind
    label: str
    detail: str = ""
    tip: str = ""
    link: str = ""
    state: StreamState | None = "raw"
    on_line: bool = False
    writes: bool = False


def write_and_read(run: Repeated[Step], plan: PlanSummary, norms: Norms, stream: int) -> list[Row]:
    """The rows of a block, which stand for those of all its repetitions.

    Args:
        run: The block and its repetitions.
        plan: The plan.
        norms: Its norms by name.
        stream: The number of the stream, for links.
    """
    rows: list[Row] = []
    for alike in run.alike:
        link = f"place-{stream}-{alike[0].index}"
        made = _written(alike) if alike[0].writes else _read(alike, plan, norms)
        rows += [dataclasses.replace(row, link=link) for row in made]
    return rows


def title_of(run: Repeated[Step], norms: Norms) -> str:
    """How often a block comes, and where its norms stand."""
    steps = [step for block in run.blocks for step in block if not step.writes]
    found = [norms[name] for step in steps for name in step.place.norms]
    where = f": {places(found)}" if found else ""
    return f"{run.times} times{where}"


def _written(alike: Sequence[Step]) -> Iterator[Row]:
    first = alike[0].place
    is_centred = first.state != "raw"
    for kind, names, detail in (
        (Kind.SOURCE, [step.place.sources for step in alike], ""),
        (Kind.WRITES, [step.place.others for step in alike], ""),
        (Kind.ABSORBS, [step.place.absorbing for step in alike], ""),
    ):
        if names[0]:
            yield Row(
                kind,
                _label(names),
                detail,
                _listed(kind.value, (name for each in names for name in each)),
                state=first.state if is_centred else "raw",
                writes=True,
            )
    jumps = [above for above in first.after if above != alike[0].index - 1]
    if first.after and jumps:
        yield Row(Kind.WRITES, f"adds to {_count(len(first.after), 'place')}", writes=True)


def _read(alike: Sequence[Step], plan: PlanSummary, norms: Norms) -> Iterator[Row]:
    place, on_line = alike[0].place, alike[0].goes_on
    if place.recentrings:
        values = [step.place.recentrings for step in alike]
        tip = _listed(Kind.RECENTRED.value, (name for each in values for name in each))
        yield Row(Kind.RECENTRED, f"mean subtracted at {_label(values)}", "", tip, "", place.state)
    if place.basis_changes:
        values = [step.place.basis_changes for step in alike]
        tip = _listed(Kind.CHANGED.value, (name for each in values for name in each))
        yield Row(Kind.CHANGED, _changes(alike, plan), "", tip, "", place.state)
    for number, name in enumerate(place.norms):
        decisions = [norms[step.place.norms[number]] for step in alike]
        first = decisions[0]
        yield Row(
            Kind.CONVERTED if first.converted else Kind.KEPT,
            _common([_norm_label(norm) for norm in decisions]),
            _outcome(first, plan, alike_norms=len(decisions) > 1),
            _listed(_outcome(first, plan), (norm.name for norm in decisions)),
            state=place.state,
            on_line=name in on_line,
        )
    if place.readers:
        readers = [step.place.readers for step in alike]
        tip = _listed("need the mean", (reader for each in readers for reader in each))
        yield Row(Kind.READER, _label(readers), "needs the mean", tip, state=place.state)


def _changes(alike: Sequence[Step], plan: PlanSummary) -> str:
    place = alike[0].place
    kinds = {change.value: change.kind for change in plan.basis_changes}
    return ", ".join(f"{kinds[value]} behind {value}" for value in place.basis_changes)


def _norm_label(norm: NormDecision) -> str:
    """The module of a norm, where its gamma tells it; else its node."""
    return norm.gamma.rpartition(".")[0] or norm.name


def _outcome(norm: NormDecision, plan: PlanSummary, *, alike_norms: bool = False) -> str:
    if not norm.converted:
        reason = shortened(norm.reason)
        return f"stays: {without_numbers(reason) if alike_norms else reason}"
    size = f"{norm.size} to {norm.size - 1}" if norm.compressed and norm.size else f"{norm.size}"
    affine = norm.affine if norm.affine != "no beta" else "without beta"
    return f"{becomes(norm, plan)} over {size}, {affine}"


def _label(names: Sequence[Sequence[str]]) -> str:
    """The names of alike places, a star for each number that tells them apart."""
    first = [_common(list(each)) for each in zip(*names, strict=False)]
    shown = joined_names(first[:_NAMED])
    more = len(first) - _NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _common(names: Sequence[str]) -> str:
    """What names have in common that differ in their numbers."""
    if len(set(names)) == 1:
        return names[0]
    return without_numbers(names[0])


def _listed(what: str, names: Iterable[str]) -> str:
    found = list(dict.fromkeys(names))
    more = len(found) - _LISTED
    return f"{what}: {', '.join(found[:_LISTED])}{f' and {more} more' if more > 0 else ''}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


LEGEND = (
    Row(Kind.ABSORBS, "weights that absorb the mean", state="centred", writes=True),
    Row(Kind.CONVERTED, "LayerNorm that becomes an RMSNorm", state="centred"),
    Row(Kind.WRITES, "weights that stay as they are", state="raw", writes=True),
    Row(Kind.SOURCE, "other writer, whose mean stays", state="raw", writes=True),
    Row(Kind.KEPT, "LayerNorm that stays", state="raw"),
    Row(Kind.KEPT, "the stream goes on behind a norm", state="raw", on_line=True),
    Row(Kind.READER, "other reader, which needs the mean", state="raw"),
    Row(Kind.RECENTRED, "the mean is subtracted explicitly", state="raw"),
    Row(Kind.CHANGED, "from d features to d - 1, or back", state="compressed"),
)
"""A row of every kind, to explain the picture."""
