"""How the figures of a benchmark are written, on the screen and in a report."""

from __future__ import annotations

__all__ = [
    "captured_text",
    "clock_text",
    "memory_text",
    "milliseconds",
    "number",
    "provider_nodes",
    "quantized_heading",
    "ratio_text",
    "span",
    "threads_text",
]

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphopt.benchmarking.result import Point
    from graphopt.measuring.intervals import Estimate
    from graphopt.measuring.rounds import Clock


def number(value: float) -> str:
    """Four significant digits, and never an exponent."""
    if value == 0:
        return "0"
    return f"{value:.{max(0, 3 - math.floor(math.log10(abs(value))))}f}"


def milliseconds(seconds: float) -> str:
    """Seconds in milliseconds, with four significant digits."""
    return number(1e3 * seconds)


def ratio_text(ratio: Estimate) -> str:
    """The ratio with its interval, for example ``0.953 [0.948, 0.957]``."""
    return f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"


def quantized_heading(point: Point) -> str:
    """What the ratios among quantized models are to."""
    bases = {row.quantized_baseline for row in point.rows if row.quantized_baseline}
    return f"to {bases.pop()}" if len(bases) == 1 else "to the original quantized"


def captured_text(share: Estimate) -> str:
    """The captured share with its interval, for example ``75% [71%, 80%]``."""
    return f"{share.value:.0%} [{share.low:.0%}, {share.high:.0%}]"


def memory_text(count: int) -> str:
    """Bytes in MB, or in GB from 10 GB on."""
    return f"{count / 1e9:.1f} GB" if count >= 10e9 else f"{count / 1e6:.0f} MB"


def threads_text(threads: int) -> str:
    """How many threads a session has; 0 is one for each core."""
    if threads == 0:
        return "all cores"
    return "1 thread" if threads == 1 else f"{threads} threads"


def clock_text(clock: Clock) -> str:
    """What a clock measures."""
    return "thread CPU time" if clock == "thread_cpu" else "wall time"


def span(counts: Sequence[int]) -> str:
    """The counts as one number, or from the least to the most."""
    least, most = min(counts, default=0), max(counts, default=0)
    return f"{least}" if least == most else f"{least} to {most}"


def provider_nodes(nodes: Mapping[str, int]) -> dict[str, int]:
    """Nodes on each execution provider, by its short name: ``CPU`` of CPUExecutionProvider."""
    return {name.removesuffix("ExecutionProvider"): count for name, count in nodes.items()}
