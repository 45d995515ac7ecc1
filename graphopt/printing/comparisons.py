"""Prints two saved benchmarks side by side, where they can be compared."""

from __future__ import annotations

__all__ = ["print_comparison"]

from rich.console import Console

from graphopt.benchmarking.captions import environment_line, point_title
from graphopt.benchmarking.comparable import place, refusal, shared_models
from graphopt.benchmarking.figures import milliseconds, ratio_text
from graphopt.benchmarking.result import Benchmark
from graphopt.errors import UsageError
from graphopt.printing.console import table

_ADVICE = "measure both alike"


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
        raise UsageError(f"{files[0]} and {files[1]} cannot be compared: {reason}: {_ADVICE}")
    points = {place(point): point for point in other.points}
    shared = [(point, points[place(point)]) for point in one.points if place(point) in points]
    pairs = [(a, b, shared_models(a, b)) for a, b in shared]
    if not any(rows for _, _, rows in pairs):
        raise UsageError(
            f"{files[0]} and {files[1]} cannot be compared: no model was measured in both with the "
            f"same provider, threads, type, sizes and baseline: {_ADVICE}"
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
            made.add_row(
                name,
                *(
                    cell
                    for row in (first, second)
                    for cell in (milliseconds(row.p50), ratio_text(row.ratio))
                ),
                "intervals overlap" if first.ratio.overlaps(second.ratio) else "ratios differ",
            )
        out.print(made)
    for file, benchmark in zip(files, (one, other), strict=True):
        out.print(f"{file}: {environment_line(benchmark)}", soft_wrap=True)
