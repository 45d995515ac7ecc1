"""Prints a benchmark for people: a table for each point, then how and where it was measured."""

from __future__ import annotations

__all__ = ["point_table", "print_benchmark", "profile_table", "quantized_table"]

from rich.console import Console
from rich.table import Table
from rich.text import Text

from graphopt.benchmarking.candidates import FLOOR, FLOOR_NO_FUSE
from graphopt.benchmarking.captions import (
    environment_line,
    method_line,
    no_share_line,
    point_title,
    provider_text,
)
from graphopt.benchmarking.figures import (
    captured_text,
    milliseconds,
    number,
    quantized_heading,
    ratio_text,
)
from graphopt.benchmarking.result import Benchmark, Point, Row
from graphopt.errors import shortened
from graphopt.measuring.comparison import Verdict
from graphopt.printing.console import table, wrapped
from graphopt.profiling.result import longest_first

_STYLES: dict[Verdict, str] = {"faster": "green", "slower": "yellow", "no difference": ""}
_CAPTURED = "captured: the share of the norms' time that was saved (floor: the model without norms)"
_OPERATORS = 10
_WIDE = 100


def print_benchmark(out: Console, benchmark: Benchmark) -> None:
    """Print the tables, what failed, what made the models, the method and the environment."""
    for point in benchmark.points:
        out.print(Text(point_title(point), "bold"))
        is_quantized = any(row.quantized_baseline for row in point.rows)
        if point.rows:
            made = quantized_table if is_quantized else point_table
            out.print(made(point, stacked=out.width < _WIDE))
        for row in point.rows:
            if is_quantized and row.captured is not None:
                out.print(f"{row.model}: captured {captured_text(row.captured)} of the norms' cost")
        for row in point.rows:
            if placed := provider_text(row.nodes, point.provider):
                out.print(f"{row.model}: {placed}")
            if row.profile_reason:
                reason = shortened(row.profile_reason)
                out.print(Text(f"{row.model}: not profiled: {reason}", "yellow"))
        for floor in (FLOOR, FLOOR_NO_FUSE):
            if said := no_share_line(point, floor):
                out.print(said)
        for failure in point.failures:
            out.print(Text(f"{failure.model}: not timed: {shortened(failure.reason)}", "yellow"))
        if any(row.profile for row in point.rows):
            out.print()
            out.print(profile_table(point))
        out.print()
    if any(row.captured for point in benchmark.points for row in point.rows):
        wrapped(out, _CAPTURED)
    for model in benchmark.models:
        out.print(f"{model.name}: {model.source}")
    for note in (*benchmark.notes, method_line(benchmark), environment_line(benchmark)):
        wrapped(out, note)


def point_table(point: Point, *, stacked: bool = False) -> Table:
    """The rows of a point as a table: milliseconds, items a second, MB, ratio, captured share.

    Args:
        point: The point.
        stacked: Use two lines for each row, so that the table fits 80 columns.
    """
    made = table("model")
    made.columns[0].min_width = 8
    for heading in ("p50 ms", "p90 ms", "p99 ms", "per s", "MB", f"ratio to {point.baseline}"):
        made.add_column(heading, justify="right", no_wrap=True)
    if not stacked:
        made.add_column("", no_wrap=True)
    if any(row.captured for row in point.rows):
        made.add_column("captured", justify="right", no_wrap=True)
    for row in point.rows:
        cells: list[str | Text] = [*_figures(row), *_ratio(row, point, stacked)]
        cells.append(_captured(row, stacked))
        made.add_row(*cells[: len(made.columns)])
    return made


def quantized_table(point: Point, *, stacked: bool = False) -> Table:
    """The rows of a point at which quantized models were timed beside the others.

    Milliseconds, MB of the file, the ratio to the baseline, that to the original quantized
    likewise, and the error against the original.

    Args:
        point: The point.
        stacked: Use two lines for each row, so that the table fits 80 columns.
    """
    made = table("model")
    made.columns[0].min_width = 8
    for heading in ("p50 ms", "file MB", f"ratio to {point.baseline}"):
        made.add_column(heading, justify="right", no_wrap=True)
    if not stacked:
        made.add_column("", no_wrap=True)
    for heading in (quantized_heading(point).replace("to ", "to\n", 1), "error"):
        made.add_column(heading, justify="right", no_wrap=True)
    for row in point.rows:
        size = "-" if row.file_bytes is None else f"{row.file_bytes / 1e6:.1f}"
        is_base = row.model == row.quantized_baseline
        to_quantized = ratio_text(row.quantized_ratio) if row.quantized_ratio else ""
        made.add_row(
            row.model,
            milliseconds(row.p50),
            size,
            *_ratio(row, point, stacked),
            "1" if is_base else to_quantized,
            "" if row.error is None else f"{row.error:.2g}",
        )
    return made


def _figures(row: Row) -> list[str]:
    return [
        row.model,
        *map(milliseconds, (row.p50, row.p90, row.p99)),
        number(row.throughput),
        "-" if row.memory is None else f"{row.memory / 1e6:.0f}",
    ]


def _ratio(row: Row, point: Point, stacked: bool) -> list[Text]:
    """The ratio and the verdict, in one cell or in two."""
    if row.model == point.baseline:
        return [Text("1")] if stacked else [Text("1"), Text("")]
    ratio, verdict = Text(ratio_text(row.ratio)), Text(row.verdict, _STYLES[row.verdict])
    return [Text("\n").join([ratio, verdict])] if stacked else [ratio, verdict]


def _captured(row: Row, stacked: bool) -> str:
    if row.captured is None:
        return ""
    text = captured_text(row.captured)
    return text.replace(" ", "\n", 1) if stacked else text


def profile_table(point: Point) -> Table:
    """Milliseconds of a call by operator, a column a model; at the end what they were spent on."""
    profiles = {row.model: row.profile for row in point.rows if row.profile is not None}
    times = {model: profile.by_operator() for model, profile in profiles.items()}
    made = table("ms by operator")
    for model in profiles:
        made.add_column(model, justify="right")
    ordered = longest_first(times.values())
    for operator in ordered[:_OPERATORS]:
        made.add_row(
            operator.removeprefix("com.microsoft."),
            *(_time(times[model].get(operator, 0.0)) for model in profiles),
        )
    if others := ordered[_OPERATORS:]:
        sums = (sum(times[model].get(name, 0.0) for name in others) for model in profiles)
        made.add_row(f"{len(others)} others", *map(_time, sums))
    made.add_section()
    for what in ("normalization", "residual", "bias"):
        spent = ((getattr(profile, what), profile.seconds) for profile in profiles.values())
        made.add_row(what, *(_share(seconds, total) for seconds, total in spent))
    return made


def _time(seconds: float) -> str:
    return milliseconds(seconds) if seconds else "-"


def _share(seconds: float, total: float) -> str:
    return f"{seconds / total:.1%}" if total else "-"
