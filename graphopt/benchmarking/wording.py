"""How figures of a benchmark are written, in tables and in lines of text."""

from __future__ import annotations

__all__ = [
    "captured_text",
    "environment_line",
    "method_line",
    "number",
    "point_title",
    "provider_text",
    "ratio_text",
]

import math
from collections.abc import Mapping

from graphopt.benchmarking.result import Benchmark, Method, Point
from graphopt.measuring.intervals import Estimate
from graphopt.passes.targets import provider_named


def number(value: float) -> str:
    """Four significant digits, and never an exponent."""
    if value == 0:
        return "0"
    return f"{value:.{max(0, 3 - math.floor(math.log10(abs(value))))}f}"


def ratio_text(ratio: Estimate) -> str:
    """The ratio with its interval, for example ``0.953 [0.948, 0.957]``."""
    return f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"


def captured_text(share: Estimate) -> str:
    """The captured share with its interval, for example ``75% [71%, 80%]``."""
    return f"{share.value:.0%} [{share.low:.0%}, {share.high:.0%}]"


def point_title(point: Point) -> str:
    """The place of a point on the grid, for the heading of its table."""
    threads = "all cores" if point.threads == 0 else _count(point.threads, "thread")
    sizes = ", ".join(f"{name}={size}" for name, size in point.dims.items())
    parts = [f"batch {point.batch}", point.dtype, provider_named(point.provider).runtime, threads]
    return ", ".join(parts) + (f" ({sizes})" if sizes else "")


def provider_text(nodes: Mapping[str, int], provider: str) -> str:
    """The nodes of each execution provider, or "" where all are on the one that was asked for."""
    if nodes.keys() <= {provider_named(provider).runtime}:
        return ""
    return ", ".join(
        f"{count} nodes on {name.removesuffix('ExecutionProvider')}"
        for name, count in nodes.items()
    )


def method_line(benchmark: Benchmark) -> str:
    """How the samples were taken, for the line below the tables."""
    method = benchmark.method
    counts = {
        (len(row.samples), len(row.samples[0])) for point in benchmark.points for row in point.rows
    }
    openings = _range(sorted({openings for openings, _ in counts}))
    rounds = _range(sorted({rounds for _, rounds in counts}))
    rounds += " round" if rounds == "1" else " rounds"
    parts = [
        "thread CPU time" if method.clock == "thread_cpu" else "wall time",
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
    counted = ", ".join("all cores" if n == 0 else _count(n, "thread") for n in threads)
    return f"{benchmark.environment}; {counted}"


def _cuda(benchmark: Benchmark, method: Method) -> list[str]:
    if not any(provider_named(point.provider).is_device for point in benchmark.points):
        return []
    parts = ["CUDA: inputs and outputs on the device, synchronized"]
    if any(point.dtype == "float32" for point in benchmark.points):
        parts.append(f"TF32 {'allowed' if method.tf32 else 'off'}")
    if method.cuda_graph:
        parts.append("CUDA graphs")
    return [", ".join(parts)]


def _range(values: list[int]) -> str:
    if not values:
        return "0"
    return str(values[0]) if len(values) == 1 else f"{values[0]} to {values[-1]}"


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"
