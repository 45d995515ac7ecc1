"""Prints a benchmark for people: a table for each point, then how and where it was measured."""

from __future__ import annotations

__all__ = ["point_table", "print_benchmark"]

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from graphopt.benchmark_result import Benchmark, Point, Profile, Row
from graphopt.benchmarking.wording import (
    captured_text,
    environment_line,
    method_line,
    number,
    point_title,
    provider_text,
    ratio_text,
)

_STYLES = {"faster": "green", "slower": "yellow", "no difference": ""}
_OPERATORS = 8


def print_benchmark(out: Console, benchmark: Benchmark) -> None:
    """Print the tables, what failed, what made the models, the method and the environment."""
    for point in benchmark.points:
        out.print(Text(point_title(point), "bold"))
        out.print(point_table(point))
        for row in point.rows:
            if placed := provider_text(row.nodes):
                out.print(f"{row.model}: {placed}")
            if row.captured is None and "significantly" in row.captured_reason:
                out.print(f"{row.model}: nothing captured to speak of: {row.captured_reason}")
        for failure in point.failures:
            out.print(Text(f"{failure.model}: not timed: {failure.reason}", "yellow"))
        for row in point.rows:
            if row.profile is not None:
                out.print(_profile_table(row.model, row.profile))
        out.print()
    for model in benchmark.models:
        out.print(f"{model.name}: {model.source}")
    for note in (*benchmark.notes, method_line(benchmark), environment_line(benchmark)):
        out.print(note, soft_wrap=True)


def point_table(point: Point) -> Table:
    """The rows of a point as a table: milliseconds, items a second, MB, ratio, captured share."""
    table = _table("model")
    headings = ("p50 ms", "p90 ms", "p99 ms", "per s", "MB", f"ratio to {point.baseline}", "", "")
    for heading in headings[:-1]:
        table.add_column(heading, justify="right", no_wrap=True)
    table.columns[-1].justify = "left"
    table.add_column("captured", justify="right", no_wrap=True)
    for row in point.rows:
        table.add_row(*_cells(row, point))
    return table


def _cells(row: Row, point: Point) -> list[str | Text]:
    is_baseline = row.model == point.baseline
    return [
        row.model,
        *(number(1e3 * seconds) for seconds in (row.p50, row.p90, row.p99)),
        number(row.throughput),
        "-" if row.memory is None else f"{row.memory / 1e6:.0f}",
        "1" if is_baseline else ratio_text(row.ratio),
        "" if is_baseline else Text(row.verdict, _STYLES[row.verdict]),
        "" if row.captured is None else captured_text(row.captured),
    ]


def _profile_table(model: str, profile: Profile) -> Table:
    """Time by operator: the longest ones, and the shares of norms, residuals and biases."""
    table = _table(f"{model}: operator", "nodes", "ms", "share")
    for column in table.columns[1:]:
        column.justify = "right"
    longest, rest = profile.operators[:_OPERATORS], profile.operators[_OPERATORS:]
    for operator in longest:
        table.add_row(
            operator.operator, str(operator.nodes), *_time(operator.seconds, profile.seconds)
        )
    if rest:
        table.add_row(
            f"{len(rest)} others",
            str(sum(operator.nodes for operator in rest)),
            *_time(sum(operator.seconds for operator in rest), profile.seconds),
        )
    table.add_section()
    for what in ("normalization", "residual", "bias"):
        table.add_row(f"all {what}", "", *_time(getattr(profile, what), profile.seconds))
    return table


def _time(seconds: float, total: float) -> tuple[str, str]:
    return number(1e3 * seconds), f"{seconds / total:.1%}" if total else "-"


def _table(*headings: str) -> Table:
    table = Table(
        *headings,
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        header_style="bold",
    )
    table.columns[0].overflow = "fold"
    return table
