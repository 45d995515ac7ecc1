"""Plots of intervals: the ratio to the baseline, and the captured share."""

from __future__ import annotations

__all__ = ["Interval", "captured_plot", "ratio_plot"]

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from matplotlib.figure import Figure

from graphopt.bench_report.canvas import Canvas, Heading, Slot
from graphopt.benchmarking.figures import captured_text, ratio_text
from graphopt.html_pages.palette import Colour, colour
from graphopt.html_pages.svg import TIP
from graphopt.measuring.intervals import Estimate


@dataclasses.dataclass(frozen=True)
class Interval:
    """A model at a point.

    Attributes:
        point: Label of the point.
        model: Name of the model.
        estimate: The value and its limits.
        hollow: True where the mark is to say that nothing was shown.
    """

    point: str
    model: str
    estimate: Estimate
    hollow: bool = False


def ratio_plot(
    intervals: Sequence[Interval], colours: Mapping[str, Colour], limits: tuple[float, float]
) -> Figure:
    """Ratios with their intervals and a line at 1, the points one below the other."""
    canvas = _plot(intervals, colours, limits, "time relative to the baseline", ratio_text)
    canvas.rule(1)
    return canvas.figure


def captured_plot(
    intervals: Sequence[Interval], colours: Mapping[str, Colour], limits: tuple[float, float]
) -> Figure:
    """Captured shares with their intervals, and lines at 0 and at 100%."""
    canvas = _plot(intervals, colours, limits, "share of the cost of normalization", captured_text)
    canvas.axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    for edge in (0, 1):
        canvas.rule(edge)
    return canvas.figure


def _plot(
    intervals: Sequence[Interval],
    colours: Mapping[str, Colour],
    limits: tuple[float, float],
    axis_label: str,
    text: Callable[[Estimate], str],
) -> Canvas:
    entries: list[Heading | Slot] = []
    point = None
    for interval in intervals:
        if interval.point != point:
            point = interval.point
            entries.append(Heading(point))
        entries.append(Slot(interval.model, text(interval.estimate)))
    canvas = Canvas(entries, limits=limits, axis_label=axis_label)
    for interval, y in zip(intervals, canvas.centres, strict=True):
        tip = f"{interval.model}, {interval.point}: {text(interval.estimate)}"
        _mark(canvas, interval, y, colours[interval.model].stand_in, limits, tip)
    return canvas


def _mark(
    canvas: Canvas,
    interval: Interval,
    y: float,
    ink: str,
    limits: tuple[float, float],
    tip: str,
) -> None:
    """Draw an interval; an arrow says that it goes on beyond the axis."""
    low, high = limits
    estimate = interval.estimate
    ends = (max(estimate.low, low), min(estimate.high, high))
    canvas.axes.plot(ends, (y, y), color=ink, linewidth=3, solid_capstyle="butt", gid=TIP + tip)
    for end, limit, marker in ((estimate.low, low, "<"), (estimate.high, high, ">")):
        cut = end < low or end > high
        shape = marker if cut else "|"
        at = limit if cut else end
        canvas.axes.plot(at, y, shape, color=ink, markersize=8, markeredgewidth=2, clip_on=False)
    if low <= estimate.value <= high:
        fill = colour("panel").stand_in if interval.hollow else ink
        canvas.axes.plot(
            estimate.value,
            y,
            "o",
            color=fill,
            markeredgecolor=ink,
            markeredgewidth=2,
            markersize=9,
            gid=TIP + tip,
        )
