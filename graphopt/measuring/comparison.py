"""Compares measured candidates with a baseline: quantiles, ratio with interval, verdict."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal, get_args

import numpy as np

from graphopt.errors import UsageError, listed
from graphopt.measuring.intervals import Array, Estimate, bootstrap_medians, estimate
from graphopt.measuring.rounds import Samples

__all__ = [
    "VERDICTS",
    "Captured",
    "Comparison",
    "Verdict",
    "captured",
    "compare",
    "no_cost",
    "verdict_on",
]

Verdict = Literal["faster", "no difference", "slower"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


def verdict_on(ratio: Estimate) -> Verdict:
    """``no difference`` where the interval of a ratio of times contains 1."""
    if ratio.contains(1.0):
        return "no difference"
    return "faster" if ratio.value < 1 else "slower"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One candidate beside the baseline.

    Attributes:
        name: The candidate.
        median: Median seconds of a call (the same as p50).
        p90: 90th percentile of the seconds of a call.
        p99: 99th percentile of the seconds of a call.
        throughput: Items a second at the median.
        ratio: Seconds of the candidate over seconds of the baseline, with its interval: the median
            over the openings of the median over their rounds of the ratio in a round. Where the
            machine's speed changes with time this is more exact than the ratio of two medians.
    """

    name: str
    median: float
    p90: float
    p99: float
    throughput: float
    ratio: Estimate

    @property
    def verdict(self) -> Verdict:
        """What the ratio says."""
        return verdict_on(self.ratio)


@dataclasses.dataclass(frozen=True)
class Captured:
    """The share of the cost of normalization that a candidate saved.

    Attributes:
        share: (baseline - candidate) / (baseline - floor), with its interval; None where the floor
            is not significantly faster than the baseline, so that there is no cost to share.
        reason: Why there is no share, else "".
    """

    share: Estimate | None
    reason: str = ""


def compare(
    samples: Samples,
    baseline: str,
    *,
    items: int = 1,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Comparison]:
    """Compares every candidate of ``samples`` with the one named ``baseline``.

    The interval is a bootstrap over the openings (see :mod:`graphopt.measuring.intervals`).

    Args:
        samples: What :func:`graphopt.measuring.rounds.measure` returned.
        baseline: Name of the candidate that the others are divided by.
        items: Items that one call processes, for the throughput.
        confidence: Coverage of the interval.
        resamples: Number of bootstrap samples.
        seed: Seed of the resampling.

    Returns:
        One comparison a candidate, in the order of ``samples``, the baseline included.

    Raises:
        UsageError: The name is unknown, or there are too few openings for an interval.
    """
    names = list(samples.seconds)
    ratios = _ratios(samples, names, baseline, confidence)
    resampled = bootstrap_medians(ratios, resamples=resamples, seed=seed)
    result = {}
    for index, name in enumerate(names):
        median, p90, p99 = np.quantile(samples.seconds[name], [0.5, 0.9, 0.99])
        result[name] = Comparison(
            name=name,
            median=float(median),
            p90=float(p90),
            p99=float(p99),
            throughput=items / float(median),
            ratio=estimate(
                float(np.median(ratios[index])),
                resampled[index],
                units=ratios.shape[1],
                confidence=confidence,
            ),
        )
    return result


def captured(
    samples: Samples,
    *,
    baseline: str,
    candidate: str,
    floor: str,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Captured:
    """Returns the share of the baseline's normalization cost that the candidate no longer pays.

    The floor is the same graph without its norms, so baseline - floor is what they cost. Divided by
    the baseline, the share is (1 - ratio of the candidate) / (1 - ratio of the floor).

    Raises:
        UsageError: A name is unknown, or there are too few openings for an interval.
    """
    ratios = _ratios(samples, [candidate, floor], baseline, confidence)
    resampled = bootstrap_medians(ratios, resamples=resamples, seed=seed)
    ratio, floor_ratio = np.median(ratios, axis=1)
    units = ratios.shape[1]
    if estimate(floor_ratio, resampled[1], units=units, confidence=confidence).high >= 1:
        return Captured(None, no_cost(floor, baseline))
    # The few resampled floors that are no faster stand for a cost next to nothing, not below it.
    cost = np.maximum(1 - resampled[1], np.finfo(float).eps)
    share = (1 - ratio) / (1 - floor_ratio)
    shares = (1 - resampled[0]) / cost
    return Captured(estimate(share, shares, units=units, confidence=confidence))


def no_cost(floor: str, baseline: str) -> str:
    """Why there is no share of a cost that was not found."""
    return f"{floor} is not significantly faster than {baseline}"


def _ratios(samples: Samples, names: list[str], baseline: str, confidence: float) -> Array:
    """For each opening the median over its rounds of the ratio in a round: [names, openings]."""
    for name in (*names, baseline):
        if name not in samples.seconds:
            known = listed(samples.seconds)
            raise UsageError(f"nothing was measured under the name {name!r}: choose one of {known}")
    base = samples.seconds[baseline]
    # All m openings lie on one side of the median in 2^(1 - m) of the cases: no interval within
    # their range can cover it more often than in the others.
    least = math.ceil(1 - math.log2(1 - confidence))
    if len(base) < least:
        raise UsageError(
            f"{len(base)} openings cannot carry an interval of {confidence:.0%}: measure with at "
            f"least {least}"
        )
    return np.stack([np.median(samples.seconds[name] / base, axis=1) for name in names])
