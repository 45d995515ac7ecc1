"""Compares models in ONNX Runtime: one session each, interleaved, and the table of the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

from graphopt.comparison import captured, compare
from graphopt.environment import Environment, describe_environment
from graphopt.errors import UsageError
from graphopt.intervals import Estimate
from graphopt.measurement import Call, Clock, Opener, Samples, measure
from graphopt.sessions import create_session

__all__ = ["captured_text", "latency_table", "measure_models", "method_text", "ratio_text"]


def measure_models(
    models: Mapping[str, Path],
    inputs: Mapping[str, np.ndarray],
    *,
    provider: str = "cpu",
    threads: int = 1,
    openings: int = 20,
    duration: float = 20.0,
    seed: int = 0,
    clock: Clock = "wall",
    progress: Callable[[float], None] | None = None,
) -> tuple[Samples, Environment]:
    """Times models side by side on the same inputs.

    Args:
        models: Model files by name.
        inputs: One array for each graph input, no floating-point one all zeros.
        provider: Execution provider: ``cpu`` or ``cuda``.
        threads: Intra-op threads of each session. Idle sessions do not spin.
        openings: How often each model gets a new session.
        duration: Seconds to aim at.
        seed: Seed of the order.
        clock: ``wall``, or ``thread_cpu`` for one thread on the CPU.
        progress: Called with the share that is done, 0 to 1.

    Returns:
        The samples and the environment that they were taken in.

    Raises:
        UsageError: The clock cannot see the work, an input is all zeros, or there is no model.
        EnvironmentFailure: ONNX Runtime is missing, or the provider does not start.
    """
    if clock == "thread_cpu" and (threads != 1 or provider != "cpu"):
        raise UsageError(
            "the CPU time of the calling thread sees one thread on the CPU: measure wall time"
        )
    for name, array in inputs.items():
        # Zeros can take fast paths that real data does not take.
        if array.size and np.issubdtype(array.dtype, np.floating) and not np.any(array):
            raise UsageError(f"input {name!r} is all zeros: measure with values like real ones")
    providers: list[str] = []

    def opener(path: Path) -> Opener:
        def open_model() -> Call:
            session = create_session(path, provider=provider, threads=threads)
            providers[:] = session.get_providers()
            feeds = dict(inputs)
            return lambda: session.run(None, feeds)

        return open_model

    samples = measure(
        {name: opener(path) for name, path in models.items()},
        openings=openings,
        duration=duration,
        seed=seed,
        clock=clock,
        progress=progress,
    )
    return samples, describe_environment(providers[0], threads=threads)


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
    headings = ["p50 ms", "p90 ms", "p99 ms", "per s", f"ratio to {baseline}"]
    if floor is not None:
        headings.append("captured")
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        header_style="bold",
    )
    table.add_column("model")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in compare(samples, baseline, items=items).items():
        cells = [_digits(1e3 * seconds) for seconds in (row.median, row.p90, row.p99)]
        cells.append(_digits(row.throughput))
        cells.append("1" if name == baseline else f"{ratio_text(row.ratio)}\n{row.verdict}")
        if floor is not None:
            cells.append(captured_text(samples, baseline, name, floor))
        table.add_row(name, *cells)
    return table


def method_text(samples: Samples) -> str:
    """How the samples were taken, for the line below the table."""
    clock = "thread CPU time" if samples.clock == "thread_cpu" else "wall time"
    openings, rounds = next(iter(samples.seconds.values())).shape
    unstable = "" if samples.stable else ", warm-up not stable"
    return (
        f"{clock}, {openings} sessions x {rounds} interleaved rounds, "
        f"95% bootstrap intervals{unstable}"
    )


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


def _digits(value: float) -> str:
    """Four significant digits, and never an exponent."""
    return f"{value:.{max(0, 3 - math.floor(math.log10(value)))}f}"
