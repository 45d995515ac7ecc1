"""Groups intervals into plots that one can take in, and says in words what they show."""

from __future__ import annotations

__all__ = ["described", "plotfuls", "ratio_limits", "share_limits", "span"]

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from graphopt.bench_report.interval_plot import Interval
from graphopt.measuring.intervals import Estimate

_ROWS_IN_A_PLOT = 12
_SHARES = (-1.0, 2.0)


def plotfuls(intervals: Sequence[Interval], *, alone: bool = False) -> Iterator[list[Interval]]:
    """The intervals for each plot: whole points, and no more rows than one can take in.

    Args:
        intervals: Those of all points.
        alone: True where no other plot will stand beside: two plots are made rather than one.
    """
    most = _ROWS_IN_A_PLOT
    if alone and intervals:
        rows_of = Counter(interval.point for interval in intervals)
        most = min(most, math.ceil(len(rows_of) / 2) * max(rows_of.values()))
    part: list[Interval] = []
    for interval in intervals:
        begins = not part or interval.point != part[-1].point
        rows = sum(other.point == interval.point for other in intervals)
        if part and begins and len(part) + rows > most:
            yield part
            part = []
        part.append(interval)
    if part:
        yield part


def ratio_limits(ratios: Sequence[Estimate]) -> tuple[float, float]:
    """An axis with room for all ratios and for 1."""
    return _with_margin(min(1.0, *_lows(ratios)), max(1.0, *_highs(ratios)))


def share_limits(shares: Sequence[Estimate]) -> tuple[float, float]:
    """An axis from 0 to 1 at least, and no longer than shares make sense.

    Where the floor is hardly faster than the baseline, intervals can be wider by far.
    """
    low, high = _SHARES
    return _with_margin(max(low, min(0.0, *_lows(shares))), min(high, max(1.0, *_highs(shares))))


def _lows(estimates: Sequence[Estimate]) -> list[float]:
    return [estimate.low for estimate in estimates] or [1.0]


def _highs(estimates: Sequence[Estimate]) -> list[float]:
    return [estimate.high for estimate in estimates] or [1.0]


def _with_margin(low: float, high: float) -> tuple[float, float]:
    margin = 0.05 * ((high - low) or 1.0)
    return low - margin, high + margin


def described(intervals: Sequence[Interval], text: Callable[[Estimate], str]) -> str:
    """Model, point and estimate of each interval, in words."""
    return "; ".join(
        f"{interval.model} at {interval.point}: {text(interval.estimate)}" for interval in intervals
    )


def span(intervals: Sequence[Interval]) -> str:
    """The first and the last of their points."""
    points = list(dict.fromkeys(interval.point for interval in intervals))
    return points[0] if len(points) == 1 else f"{points[0]} to {points[-1]}"
