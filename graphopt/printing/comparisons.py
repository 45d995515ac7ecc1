"""Compares two saved benchmarks, where that can be done honestly."""

from __future__ import annotations

__all__ = ["print_comparison", "refusal"]

from rich.console import Console

from graphopt.benchmarking.machine import same_machine
from graphopt.benchmarking.result import Benchmark, Point
from graphopt.benchmarking.wording import environment_line, number, point_title, ratio_text
from graphopt.errors import UsageError
from graphopt.passes.targets import provider_named
from graphopt.printing.console import table


def print_comparison(
    out: Console, one: Benchmark, other: Benchmark, files: tuple[str, str]
) -> None:
    """Print the ratios of the rows that both have, one benchmark beside the other.

    Only ratios to the baseline are set side by side: each was measured in interleaved rounds. The
    medians of two runs are printed as they are, and their quotient is not, because a machine is not
    the same from one hour to the next.

    Raises:
        UsageError: They are of different machines, ONNX Runtimes or clocks, or share no row.
    """
    if reason := refusal(one, other):
        raise UsageError(f"{files[0]} and {files[1]} cannot be compared: {reason}")
    points = {_place(point): point for point in other.points}
    shared = [(point, points[_place(point)]) for point in one.points if _place(point) in points]
    pairs = [(a, b, _rows(a, b)) for a, b in shared]
    if not any(rows for _, _, rows in pairs):
        raise UsageError(
            f"{files[0]} and {files[1]} cannot be compared: no model was measured in both with the "
            "same provider, threads, type, sizes and baseline"
        )
    for a, b, rows in pairs:
        out.print(point_title(a), style="bold")
        made = table("model")
        for file in files:
            made.add_column(f"{file}: p50 ms", justify="right")
            made.add_column(f"ratio to {a.baseline}", justify="right", no_wrap=True)
        made.add_column("")
        for name in rows:
            first, second = (next(r for r in p.rows if r.model == name) for p in (a, b))
            apart = first.ratio.high < second.ratio.low or second.ratio.high < first.ratio.low
            made.add_row(
                name,
                *(
                    cell
                    for row in (first, second)
                    for cell in (number(1e3 * row.p50), ratio_text(row.ratio))
                ),
                "ratios differ" if apart else "intervals overlap",
            )
        out.print(made)
    for file, benchmark in zip(files, (one, other), strict=True):
        out.print(f"{file}: {environment_line(benchmark)}", soft_wrap=True)


def refusal(one: Benchmark, other: Benchmark) -> str:
    """Why the times of two benchmarks cannot be set side by side, or ""."""
    if reason := same_machine(one.environment, other.environment):
        return reason
    if one.method.clock != other.method.clock:
        return f"the clock differs: {one.method.clock} and {other.method.clock}"
    if any(provider_named(point.provider).is_device for point in (*one.points, *other.points)):
        if one.method.tf32 != other.method.tf32:
            return "one was measured with TF32, the other without"
        if one.method.cuda_graph != other.method.cuda_graph:
            return "one was measured with CUDA graphs, the other without"
    return ""


def _place(point: Point) -> tuple[object, ...]:
    shapes = tuple(sorted((name, tuple(shape)) for name, shape in point.shapes.items()))
    return (point.provider, point.threads, point.dtype, point.baseline, shapes)


def _rows(one: Point, other: Point) -> list[str]:
    names = {row.model for row in other.rows}
    return [row.model for row in one.rows if row.model in names and row.model != one.baseline]
