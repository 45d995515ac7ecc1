"""The plot of how the latencies of a point are distributed."""

from __future__ import annotations

__all__ = ["distribution_plot", "latency_limits", "undrawn"]

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from graphopt.bench_report.canvas import Canvas, Slot
from graphopt.benchmarking.figures import milliseconds
from graphopt.benchmarking.result import Point, Row
from graphopt.html_pages.palette import Colour, colour
from graphopt.html_pages.svg import TIP

_FEWEST_BINS, _MOST_BINS = 12, 64
_MARGIN = 0.04
_TAIL = 0.6


def distribution_plot(point: Point, colours: Mapping[str, Colour]) -> Figure:
    """A histogram of the calls of each model, with lines at p50, p90 and p99."""
    low, high = latency_limits(point)
    entries = [
        Slot(row.model, " / ".join(map(milliseconds, (row.p50, row.p90, row.p99))))
        for row in point.rows
    ]
    canvas = Canvas(
        entries, limits=(1e3 * low, 1e3 * high), axis_label="milliseconds of a call", mark=30
    )
    edges = np.linspace(low, high, _bins(point) + 1)
    for row, centre in zip(point.rows, canvas.centres, strict=True):
        _histogram(canvas, row, centre + canvas.mark / 2, edges, colours[row.model])
    return canvas.figure


def latency_limits(point: Point) -> tuple[float, float]:
    """The seconds that the axis spans: from the fastest call to somewhat above the largest p90.

    A few slow calls would otherwise leave no room for the difference of the models.
    """
    low = min(min(map(min, row.samples)) for row in point.rows)
    slow = max(row.p90 for row in point.rows)
    high = min(slow + _TAIL * (slow - low), max(row.p99 for row in point.rows))
    margin = _MARGIN * ((high - low) or high)
    return low - margin, high + margin


def _bins(point: Point) -> int:
    """Fewer bins for few calls, which would else stand alone like teeth."""
    calls = min(sum(map(len, row.samples)) for row in point.rows)
    return min(max(2 * math.isqrt(calls), _FEWEST_BINS), _MOST_BINS)


def undrawn(point: Point) -> int:
    """The number of calls that are slower than the axis is long."""
    _, high = latency_limits(point)
    return sum(call > high for row in point.rows for opening in row.samples for call in opening)


def _histogram(canvas: Canvas, row: Row, bottom: float, edges: np.ndarray, shade: Colour) -> None:
    counts, _ = np.histogram(np.asarray(row.samples).reshape(-1), edges)
    heights = canvas.mark * counts / max(1, counts.max())
    ink = shade.stand_in
    canvas.axes.stairs(
        bottom - heights,
        1e3 * edges,
        baseline=bottom,
        fill=True,
        color=ink,
        alpha=0.45,
        linewidth=0,
        gid=f"{TIP}{row.model}: {counts.sum()} calls",
    )
    canvas.axes.plot(1e3 * edges[[0, -1]], (bottom, bottom), color=ink, linewidth=1)
    for name, seconds in (("p50", row.p50), ("p90", row.p90), ("p99", row.p99)):
        if not edges[0] <= seconds <= edges[-1]:
            continue
        top = bottom - canvas.mark * (1 if name == "p50" else 0.5)
        canvas.axes.plot(
            (1e3 * seconds, 1e3 * seconds),
            (bottom, top),
            color=ink if name == "p50" else colour("ink").stand_in,
            linewidth=2.5 if name == "p50" else 1.2,
            solid_capstyle="butt",
            gid=f"{TIP}{row.model}: {name} {milliseconds(seconds)} ms",
        )
