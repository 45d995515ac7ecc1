"""Bootstrap intervals for medians of independent units.

The unit is one opening of the candidates, not one call. Two sessions of one model differ by a
percent or more for as long as they live, because their weights lie elsewhere in memory; more calls
of the same sessions only repeat that difference. So candidates are opened many times, each opening
gives one value, and the openings are resampled (the level at which a benchmark must be repeated:
Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013). Limits are percentiles
of the bootstrap distribution (Efron, "Bootstrap methods: another look at the jackknife", Annals of
Statistics 7, 1979), at levels that are widened for the number of units as Student's t widens those
of the normal distribution: without that, the limits of few units are too narrow ("expanded
percentiles": Hesterberg, "What teachers should know about the bootstrap", The American Statistician
69, 2015, section 4).

In simulations with normal and heavy-tailed units, 95% limits covered the median of 6 units in 96%
to 97%, of 7 and 8 units in 98% to 99% and of 9 to 20 units in 96% to 98% of the cases.
"""

from __future__ import annotations

import dataclasses
import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Estimate", "bootstrap_medians", "estimate"]

Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value with the limits of its confidence interval.

    Attributes:
        value: The estimate from all samples.
        low: Lower limit.
        high: Upper limit.
    """

    value: float
    low: float
    high: float

    def contains(self, value: float) -> bool:
        """True where the interval contains ``value``, its limits included."""
        return self.low <= value <= self.high

    def overlaps(self, other: Estimate) -> bool:
        """True where the two intervals have a value in common."""
        return self.low <= other.high and other.low <= self.high


def bootstrap_medians(units: Array, *, resamples: int = 2000, seed: int = 0) -> Array:
    """Medians of resampled units; all series are resampled by the same units.

    Args:
        units: One series a row, shape [series, units].
        resamples: Number of bootstrap samples.
        seed: Seed of the resampling.

    Returns:
        Medians, shape [series, resamples].

    Raises:
        ValueError: There is no unit.
    """
    count = units.shape[1]
    if count == 0:
        raise ValueError("there are no samples to resample")
    chosen = np.random.default_rng(seed).integers(count, size=(resamples, count))
    return np.asarray(np.median(units[:, chosen], axis=-1))


def estimate(value: float, resampled: Array, *, units: int, confidence: float = 0.95) -> Estimate:
    """``value`` with the expanded percentile interval of its bootstrap distribution.

    Args:
        value: The estimate from all units.
        resampled: The estimates from resampled units, shape [resamples].
        units: Number of units that were resampled.
        confidence: Coverage of the interval.
    """
    tail = _expanded_tail((1 - confidence) / 2, units)
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Estimate(float(value), float(low), float(high))


def _expanded_tail(tail: float, units: int) -> float:
    """The level at which to cut so that the limits of this many units are wide enough.

    The normal probability of sqrt(units / (units - 1)) times the quantile of Student's t with
    units - 1 degrees of freedom. That quantile is expanded in powers of 1 / degrees about the
    normal one (Abramowitz and Stegun, 26.7.5), to 0.2% from 5 degrees on.
    """
    if units < 2:
        return 0.0
    normal = NormalDist()
    z, degrees = normal.inv_cdf(tail), units - 1
    student = z + (z**3 + z) / (4 * degrees)
    student += (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
    student += (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * degrees**3)
    return normal.cdf(math.sqrt(units / degrees) * student)
