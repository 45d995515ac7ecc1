"""The tables and lists of a report, as HTML."""

from __future__ import annotations

__all__ = ["definitions", "failure_list", "operator_table", "result_table"]

from collections.abc import Mapping, Sequence
from html import escape

from graphopt.bench_report.sentences import nodes_text
from graphopt.benchmarking.figures import (
    captured_text,
    memory_text,
    milliseconds,
    number,
    quantized_heading,
    ratio_text,
)
from graphopt.benchmarking.result import Failure, Point, Row
from graphopt.measuring.comparison import Verdict
from graphopt.profiling.result import Profile, longest_first

_TONES: dict[Verdict, str] = {"faster": "good", "slower": "bad"}


def result_table(point: Point, floors: frozenset[str]) -> str:
    """All figures of a point, a model a row.

    On a narrow screen a row becomes a block of lines, each with the heading of its column.
    """
    columns = ["p50 ms", "p90 ms", "p99 ms", "per second", f"ratio to {point.baseline}"]
    columns += ["captured", "memory", "nodes", "file", quantized_heading(point), "error"]
    is_quantized = any(row.quantized_baseline for row in point.rows)
    body = []
    for row in point.rows:
        cells = [milliseconds(seconds) for seconds in (row.p50, row.p90, row.p99)]
        cells.append(number(row.throughput))
        cells.append(_ratio(row, point.baseline))
        cells.append("" if row.model in (point.baseline, *floors) else _captured(row))
        cells.append("" if row.memory is None else memory_text(row.memory))
        cells.append(escape(nodes_text(row.nodes)))
        cells += _quantized(row) if is_quantized else ["", "", ""]
        body.append((row.model, cells))
    return _table(["model", *columns], body)


def _ratio(row: Row, baseline: str) -> str:
    if row.model == baseline:
        return "1"
    tone = _TONES.get(row.verdict, "none")
    return f'{ratio_text(row.ratio)} <span class="{tone}">{row.verdict}</span>'


def _quantized(row: Row) -> list[str]:
    """The size of the file, the ratio to the original quantized likewise, and the error."""
    size = "" if row.file_bytes is None else memory_text(row.file_bytes)
    ratio = ratio_text(row.quantized_ratio) if row.quantized_ratio else ""
    error = "" if row.error is None else f"{row.error:.2g}"
    return [size, "1" if row.model == row.quantized_baseline else ratio, error]


def _captured(row: Row) -> str:
    if row.captured is not None:
        return captured_text(row.captured)
    return "-" if row.captured_reason else ""


def operator_table(profiles: Mapping[str, Profile]) -> str:
    """Milliseconds by operator, a model a column."""
    body = []
    for operator in longest_first(profile.by_operator() for profile in profiles.values()):
        cells = []
        for profile in profiles.values():
            times = [time for time in profile.operators if time.operator == operator]
            seconds, nodes = sum(t.seconds for t in times), sum(t.nodes for t in times)
            cells.append(f"{milliseconds(seconds)} ({nodes})" if times else "")
        body.append((operator, cells))
    return _table(["operator, ms (nodes)", *profiles], body)


def _table(headings: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A table of escaped cells; columns without an entry are left out."""
    kept = [index for index in range(len(headings) - 1) if any(cells[index] for _, cells in rows)]
    head = "".join(
        f'<th scope="col">{escape(heading)}</th>'
        for heading in (headings[0], *(headings[index + 1] for index in kept))
    )
    lines = []
    for name, cells in rows:
        line = f'<th scope="row">{escape(name)}</th>'
        for index in kept:
            label = escape(headings[index + 1], quote=True)
            content = f"<span>{cells[index]}</span>" if cells[index] else ""
            line += f'<td data-label="{label}">{content}</td>'
        lines.append(f"<tr>{line}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def failure_list(failures: Sequence[tuple[str, Failure]]) -> str:
    """The models that were not timed, each with its point and its reason."""
    items = "".join(
        f"<li><strong>{escape(failure.model)}</strong> ({escape(point)}): "
        f"{escape(failure.reason)}</li>"
        for point, failure in failures
    )
    return f"<ul>{items}</ul>"


def definitions(entries: Sequence[tuple[str, str]]) -> str:
    """A list of terms, without those that have no text."""
    items = "".join(
        f"<div><dt>{escape(term)}</dt><dd>{escape(text)}</dd></div>"
        for term, text in entries
        if text
    )
    return f"<dl>{items}</dl>"
