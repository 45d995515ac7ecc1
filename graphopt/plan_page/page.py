"""The page of a plan."""

from __future__ import annotations

__all__ = ["render_html"]

from collections.abc import Hashable, Sequence
from html import escape

from graphopt.html_pages.document import document
from graphopt.html_pages.svg import inline_svg
from graphopt.passes.report import PlanSummary, ResidualStream
from graphopt.plan_page.drawing import Block, draw
from graphopt.plan_page.layout import LAYOUT
from graphopt.plan_page.marks import LEGEND
from graphopt.plan_page.place_table import norm_text, place_table
from graphopt.plan_page.rows import Rows
from graphopt.plan_page.steps import Norms, folded_steps, kind_of_stream
from graphopt.printing.forecasts import forecast_line
from graphopt.printing.plans import headline

_COLUMNS = 3


def render_html(plan: PlanSummary, model: str, *, as_json: str) -> str:
    """The plan as one HTML document that needs nothing else: no network, no script.

    Args:
        plan: The plan.
        model: What the model is called.
        as_json: The plan as ``inspect --json`` prints it; the page shows it as it is.
    """
    norms = {norm.name: norm for norm in plan.norms}
    sections = [_head(plan, model), _streams(plan, norms), _tables(plan, norms), _json(as_json)]
    return document(f"{model}: plan", sections, LAYOUT)


def _head(plan: PlanSummary, model: str) -> str:
    forecast = forecast_line(plan)
    said = f'<p class="muted">{escape(forecast)}</p>' if forecast else ""
    return f"<h1>{escape(model)}: plan</h1>\n<p>{escape(headline(plan))}</p>{said}"


def _streams(plan: PlanSummary, norms: Norms) -> str:
    if not plan.streams:
        return ""
    groups: dict[Hashable, list[int]] = {}
    for number, stream in enumerate(plan.streams):
        groups.setdefault(kind_of_stream(stream, norms), []).append(number)
    figures = [_figure(plan, norms, numbers) for numbers in groups.values()]
    legend = inline_svg(
        draw([Block(LEGEND)], connected=False),
        "legend",
        title="How to read the lines",
        description="; ".join(f"{row.kind.name.lower()}: {row.label}" for row in LEGEND),
    )
    figures.append(
        f"<figure><h3>How to read the lines</h3>{legend}<figcaption>Green lines are computed "
        "without their mean, blue ones with d - 1 features, grey ones as they were. Rest on a mark "
        "for its names; click it for all that is known of the place.</figcaption></figure>"
    )
    columns = min(_COLUMNS, len(figures))
    return (
        "<section><h2>Residual streams</h2>"
        f'<div class="streams" style="column-count: {columns}">{"".join(figures)}</div></section>'
    )


def _figure(plan: PlanSummary, norms: Norms, numbers: Sequence[int]) -> str:
    """One stream, and how many others are like it."""
    number = numbers[0]
    stream = plan.streams[number]
    rows = Rows(plan, norms)
    runs = folded_steps(stream, norms)
    blocks = [Block(rows.rows(run, number), rows.title(run)) for run in runs]
    title = _title(stream, numbers)
    described = "; ".join(
        f"{block.title} {row.kind.name.lower()} {row.label} {row.detail}".strip()
        for block in blocks
        for row in block.rows
    )
    drawing = inline_svg(draw(blocks), f"stream-{number}", title=title, description=described)
    return f"<figure><h3>{escape(title)}</h3>{drawing}</figure>"


def _title(stream: ResidualStream, numbers: Sequence[int]) -> str:
    which = f"Stream {numbers[0] + 1}: {stream.size} features"
    return which if len(numbers) == 1 else f"{which}, {len(numbers)} alike"


def _tables(plan: PlanSummary, norms: Norms) -> str:
    tables = "".join(
        f"<details><summary>Stream {number + 1}: {escape(_span(stream))}</summary>"
        f"{place_table(stream, number, plan, norms)}</details>"
        for number, stream in enumerate(plan.streams)
    )
    streams = f"<section><h2>Every place</h2>{tables}</section>" if tables else ""
    shown = {name for stream in plan.streams for place in stream.places for name in place.norms}
    outside = "".join(norm_text(norm, plan) for norm in plan.norms if norm.name not in shown)
    outside += "".join(
        f"<p><strong>{escape(other.name)}</strong> ({escape(other.kind)}): {escape(other.reason)}"
        "</p>"
        for other in plan.other_norms
    )
    rest = f"<section><h2>Norms on no stream</h2>{outside}</section>" if outside else ""
    copies = "".join(
        f"<p><strong>{escape(copy.tensor)}</strong> ({copy.bytes} bytes more): "
        f"{escape(copy.reason)}</p>"
        for copy in plan.copies
    )
    held = f"<section><h2>Weights held twice</h2>{copies}</section>" if copies else ""
    return streams + rest + held


def _span(stream: ResidualStream) -> str:
    norms = sum(len(place.norms) for place in stream.places)
    first, last = stream.places[0].value, stream.places[-1].value
    where = first if first == last else f"{first} to {last}"
    return f"{norms} norm{'s' * (norms != 1)}, {where}"


def _json(as_json: str) -> str:
    return (
        "<section><h2>As JSON</h2><details><summary>What <code>inspect --json</code> prints"
        f"</summary><pre>{escape(as_json)}</pre></details></section>"
    )
