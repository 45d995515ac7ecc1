"""The lines above and below the tables of a benchmark: what, how, and on what machine."""

from __future__ import annotations

__all__ = [
    "environment_line",
    "faster_than_floors",
    "method_line",
    "no_share_line",
    "point_title",
    "provider_text",
    "with_doubt",
]

from collections.abc import Collection, Mapping, Sequence

from graphopt.benchmarking.figures import clock_text, provider_nodes, span, threads_text
from graphopt.benchmarking.result import Benchmark, Method, Point
from graphopt.measuring.comparison import no_cost
from graphopt.passes.targets import provider_named


def point_title(point: Point) -> str:
    """The place of a point on the grid, for the heading of its table."""
    sizes = ", ".join(f"{name}={size}" for name, size in point.dims.items())
    parts = [f"batch {point.batch}", point.dtype, provider_named(point.provider).runtime]
    parts.append(threads_text(point.threads))
    return ", ".join(parts) + (f" ({sizes})" if sizes else "")


def provider_text(nodes: Mapping[str, int], provider: str) -> str:
    """The nodes of each execution provider, or "" where all are on the one that was asked for."""
    if nodes.keys() <= {provider_named(provider).runtime}:
        return ""
    return ", ".join(f"{count} nodes on {name}" for name, count in provider_nodes(nodes).items())


def no_share_line(point: Point, floor: str) -> str:
    """Why no share of a cost is told at ``point`` that ``floor`` does not show, or "".

    Nothing to capture is said only where no model is faster either.
    """
    if all(row.captured_reason != no_cost(floor, point.baseline) for row in point.rows):
        return ""
    models = faster_than_floors(point, {floor})
    known = "captured share unknown" if models else "nothing to capture"
    return f"{known}: {with_doubt(no_cost(floor, 'the baseline'), models)}"


def faster_than_floors(point: Point, floors: Collection[str]) -> tuple[str, ...]:
    """The models faster than the baseline that have no share because their floor is not faster.

    A floor does less than any of them: where there are some, it was not timed well enough.

    Args:
        point: The point.
        floors: Names of the norm-free floors.
    """
    reasons = {no_cost(floor, point.baseline) for floor in floors}
    return tuple(
        row.model
        for row in point.rows
        if row.verdict == "faster" and row.captured_reason in reasons and row.model not in floors
    )


def with_doubt(reason: str, models: Sequence[str]) -> str:
    """Why there is no share, with what speaks against it: those of :func:`faster_than_floors`."""
    if not models:
        return reason
    are = "is" if len(models) == 1 else "are"
    return f"{reason}, though {', '.join(models)} {are}: measure longer"


def method_line(benchmark: Benchmark) -> str:
    """How the samples were taken, for the line below the tables."""
    method = benchmark.method
    counts = {
        (len(row.samples), len(row.samples[0])) for point in benchmark.points for row in point.rows
    }
    openings = span([openings for openings, _ in counts])
    rounds = span([rounds for _, rounds in counts])
    rounds += " round" if rounds == "1" else " rounds"
    parts = [
        clock_text(method.clock),
        f"{openings} sessions of each model x {rounds}, interleaved in random order",
        f"ratios with {method.confidence:.0%} bootstrap intervals",
        *_cuda(benchmark, method),
    ]
    if not all(point.stable for point in benchmark.points):
        parts.append("warm-up not stable")
    return "; ".join(parts)


def environment_line(benchmark: Benchmark) -> str:
    """Machine, threads and versions on one line."""
    threads = sorted({point.threads for point in benchmark.points})
    return f"{benchmark.environment}; {', '.join(map(threads_text, threads))}"


def _cuda(benchmark: Benchmark, method: Method) -> list[str]:
    if not any(provider_named(point.provider).is_device for point in benchmark.points):
        return []
    parts = ["CUDA: inputs and outputs on the device, synchronized"]
    if any(point.dtype == "float32" for point in benchmark.points):
        parts.append(f"TF32 {'allowed' if method.tf32 else 'off'}")
    if method.cuda_graph:
        parts.append("CUDA graphs")
    return [", ".join(parts)]
