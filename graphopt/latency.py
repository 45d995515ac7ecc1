"""The table of a latency comparison, and the one line without which it says nothing."""

from __future__ import annotations

from rich.table import Table

from graphopt.comparison import captured, compare
from graphopt.intervals import Estimate
from graphopt.measurement import Samples

__all__ = ["captured_text", "latency_table", "ratio_text"]


def latency_table(
    samples: Samples, *, baseline: str, floor: str | None = None, items: int = 1
) -> Table:
    """Returns the measured candidates as a table, the baseline first of all as it was measured.

    Args:
        samples: What :func:`graphopt.measurement.measure` returned.
        baseline: Name of the candidate that the others are divided by.
        floor: Name of the norm-free floor, where there is one: it gives the column *captured*, the
            share of the cost of normalization that a candidate saved.
        items: Items that one call processes, for the throughput.
    """
    clock = "CPU time of the calling thread" if samples.clock == "thread_cpu" else "wall time"
    table = Table(caption=f"{samples.rounds} interleaved rounds, {clock}")
    table.add_column("model")
    for heading in ("p50 ms", "p90 ms", "p99 ms", "items/s", "ratio [95%]", "verdict"):
        table.add_column(heading, justify="right", no_wrap=True)
    if floor is not None:
        table.add_column("captured [95%]", justify="right", no_wrap=True)
    for name, row in compare(samples, baseline, items=items).items():
        cells = [f"{1e3 * seconds:.3f}" for seconds in (row.median, row.p90, row.p99)]
        cells.append(f"{row.throughput:.1f}")
        cells += ["1", ""] if name == baseline else [ratio_text(row.ratio), row.verdict]
        if floor is not None:
            cells.append(captured_text(samples, baseline, name, floor))
        table.add_row(name, *cells)
    return table


def ratio_text(ratio: Estimate) -> str:
    """The ratio with its interval, for example ``0.953 [0.948, 0.957]``."""
    return f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"


def captured_text(samples: Samples, baseline: str, candidate: str, floor: str) -> str:
    """The captured share in percent with its interval, or ``-`` where there is none to speak of."""
    if candidate in (baseline, floor):
        return ""
    share = captured(samples, baseline=baseline, candidate=candidate, floor=floor).share
    if share is None:
        return "-"
    return f"{share.value:.0%} [{share.low:.0%}, {share.high:.0%}]"
