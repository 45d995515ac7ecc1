"""Prints how endpoints answered, and how they compare."""

from __future__ import annotations

__all__ = ["print_endpoint_benchmark", "print_endpoint_check"]

import math

from rich.console import Console

from graphopt.benchmarking.figures import milliseconds, ratio_text
from graphopt.endpoints.replay import EndpointCheck
from graphopt.endpoints.timing import EndpointBenchmark
from graphopt.printing.console import table, wrapped


def print_endpoint_check(out: Console, checked: EndpointCheck) -> None:
    """Print the worst error of each output, the latencies, then the verdict."""
    rows = table("output", "type", "max abs error", "max rel", "tolerance", "")
    for output in checked.outputs:
        shown = (f"{output.max_abs:.2g}", f"{output.max_rel:.2g}", f"rtol {output.rtol:.2g}")
        if not math.isfinite(output.max_abs):
            shown = ("", "", "")
        verdict = output.problem or ("" if output.passed else "beyond the tolerance")
        rows.add_row(output.name, output.dtype, *shown, verdict)
    out.print(rows)
    out.print(
        f"latency: p50 {milliseconds(checked.p50)} ms, p99 {milliseconds(checked.p99)} ms, "
        f"{checked.requests} requests one after the other, {_tensors(checked.tensors)}"
    )
    for note in checked.notes:
        wrapped(out, f"note: {note}", "yellow")
    passed = checked.status == "passed"
    out.print(
        f"verification: {'PASSED' if passed else 'FAILED'} by {checked.model} at {checked.url}",
        style="bold green" if passed else "bold red",
    )


def print_endpoint_benchmark(out: Console, benchmark: EndpointBenchmark) -> None:
    """Print a row for each endpoint, and how it was measured."""
    rows = table("endpoint", "tensors")
    rows.columns[0].no_wrap = True
    for heading in ("p50 ms", "p99 ms", "ratio to the first"):
        rows.add_column(heading, justify="right", no_wrap=True)
    rows.add_column("")
    for place, row in enumerate(benchmark.rows):
        times = (row.figures.median, row.figures.p99)
        rows.add_row(
            row.target.name,
            row.tensors,
            *map(milliseconds, times),
            ratio_text(row.figures.ratio) if place else "1",
            row.verdict if place else "",
        )
    out.print(rows)
    for note in benchmark.notes:
        wrapped(out, f"note: {note}", "yellow")
    settled = "" if benchmark.stable else "; a warm-up ended while requests still became faster"
    out.print(
        f"wall time of a request as its client sees it, one at a time: {benchmark.openings} "
        f"connections to each of {benchmark.rounds} interleaved rounds{settled}",
        soft_wrap=True,
    )


def _tensors(tensors: str) -> str:
    return "binary tensors" if tensors == "binary" else "JSON tensors"
