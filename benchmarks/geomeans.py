"""Geometric means of the ratios of one model to another over several points, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphopt.benchmarking.result import Point
from graphopt.benchmarking.timing import CONFIDENCE, RESAMPLES
from graphopt.measuring.intervals import Estimate, bootstrap_medians, estimate

__all__ = ["geometric_mean", "shared"]


def shared(points: Sequence[Point], model: str, base: str) -> list[Point]:
    """The points at which both were timed."""
    names = [{row.model for row in point.rows} for point in points]
    return [point for point, there in zip(points, names, strict=True) if {model, base} <= there]


def geometric_mean(points: Sequence[Point], model: str, base: str) -> Estimate:
    """The geometric mean over the points of the seconds of ``model`` over those of ``base``.

    The ratio of a point is that of :func:`graphopt.measuring.comparison.compare`. The openings of
    each point are resampled by themselves, because the points were measured one after the other.

    Args:
        points: The points, at each of which both were timed; at least one.
        model: Name of the one.
        base: Name of the other.
    """
    logarithms, resampled, units = [], [], []
    for number, point in enumerate(points):
        seconds = {row.model: np.array(row.samples) for row in point.rows}
        ratios = np.median(seconds[model] / seconds[base], axis=1)
        medians = bootstrap_medians(ratios[np.newaxis], resamples=RESAMPLES, seed=number)
        logarithms.append(np.log(np.median(ratios)))
        resampled.append(np.log(medians[0]))
        units.append(len(ratios))
    return estimate(
        float(np.exp(np.mean(logarithms))),
        np.exp(np.mean(resampled, axis=0)),
        units=min(units),
        confidence=CONFIDENCE,
    )
