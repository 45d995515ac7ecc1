"""Every place of a stream with all its names, as a table."""

from __future__ import annotations

__all__ = ["norm_text", "place_table"]

from collections.abc import Iterable
from html import escape

from graphopt.passes.report import NormDecision, Place, PlanSummary, ResidualStream
from graphopt.plan_page.steps import Norms
from graphopt.printing.names import joined_names
from graphopt.printing.norm_table import becomes

_STATES = {
    "raw": "as it was",
    "centred": "without its mean",
    "compressed": "without its mean, d - 1 features",
}


def place_table(stream: ResidualStream, number: int, plan: PlanSummary, norms: Norms) -> str:
    """The places of the stream ``number``, a row each, with an id each."""
    columns = ("value", "computed", "written by", "normalized by", "also read by")
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    rows = []
    for index, place in enumerate(stream.places):
        cells = (
            _paragraphs([_STATES[place.state], *_additions(place)]),
            _paragraphs(_writers(place)),
            "".join(norm_text(norms[name], plan) for name in place.norms),
            _paragraphs(f"{reader} (needs the mean)" for reader in place.readers),
        )
        data = "".join(
            f'<td data-label="{column}">{cell}</td>'
            for column, cell in zip(columns[1:], cells, strict=True)
        )
        rows.append(
            f'<tr id="place-{number}-{index}"><th scope="row">{escape(place.value)}</th>{data}</tr>'
        )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def norm_text(norm: NormDecision, plan: PlanSummary) -> str:
    """A norm and what becomes of it."""
    if norm.converted:
        details = [f"{becomes(norm, plan)} over {norm.size}"]
        details += [f"mean subtracted at {name}" for name in norm.recentrings]
        if norm.absorbed_by:
            details.append(f"mean taken out of {joined_names(norm.absorbed_by)}")
        details += filter(None, (norm.affine, norm.uncompressed and _whole(norm)))
        tone = "good"
    else:
        details, tone = [f"stays: {norm.reason}"], "bad"
    said = escape("; ".join(details))
    return f'<p><strong>{escape(norm.name)}</strong>: <span class="{tone}">{said}</span></p>'


def _whole(norm: NormDecision) -> str:
    return f"not compressed: {norm.uncompressed}"


def _additions(place: Place) -> list[str]:
    found = [f"mean subtracted at {name}" for name in place.recentrings]
    return found + [f"d - 1 features, or back, behind {name}" for name in place.basis_changes]


def _writers(place: Place) -> Iterable[str]:
    if place.absorbing:
        yield f"{joined_names(place.absorbing)} (absorb the mean)"
    if place.others:
        yield f"{joined_names(place.others)} (stay as they are)"
    yield from place.sources
    yield from (f"the output of {name}" for name in place.norm_outputs)


def _paragraphs(texts: Iterable[str]) -> str:
    return "".join(f"<p>{escape(text)}</p>" for text in texts)
