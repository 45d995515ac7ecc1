"""The bootstrap, on synthetic units whose answer is known."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from graphopt.measuring.intervals import Estimate, bootstrap_medians, estimate


def test_equal_units_have_an_interval_of_no_width() -> None:
    medians = bootstrap_medians(np.full((2, 30), 0.25), resamples=50)
    assert medians.shape == (2, 50)
    assert estimate(0.25, medians[0], units=30) == Estimate(0.25, 0.25, 0.25)


def test_all_series_are_resampled_by_the_same_units() -> None:
    first = np.random.default_rng(0).normal(1.0, 0.2, 40)
    medians = bootstrap_medians(np.stack([first, 3 * first]), resamples=200)
    np.testing.assert_allclose(medians[1] / medians[0], 3.0, rtol=1e-12)


def test_the_seed_decides_the_resampling() -> None:
    units = np.random.default_rng(0).normal(1.0, 0.2, (1, 40))
    first, again, other = (bootstrap_medians(units, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_the_limits_of_many_units_are_percentiles() -> None:
    resampled = np.arange(1001.0)
    wide = estimate(500.0, resampled, units=10**6)
    assert wide.value == 500.0
    assert (wide.low, wide.high) == pytest.approx((25.0, 975.0), abs=0.01)
    narrow = estimate(500.0, resampled, units=10**6, confidence=0.5)
    assert (narrow.low, narrow.high) == pytest.approx((250.0, 750.0), abs=0.01)


# sqrt(n / (n - 1)) t(0.025; n - 1) with the quantiles 2.5706, 2.2622 and 2.0930 of the tables.
@pytest.mark.parametrize(("units", "z"), [(6, 2.8160), (10, 2.3845), (20, 2.1474)])
def test_the_limits_of_few_units_are_wider_as_students_t_is(units: int, z: float) -> None:
    resampled = np.arange(10001.0)
    limits = estimate(5000.0, resampled, units=units)
    assert limits.low / 10000 == pytest.approx(NormalDist().cdf(-z), rel=0.02)
    assert limits.low + limits.high == pytest.approx(10000.0)


@pytest.mark.parametrize("units", [6, 7, 8, 10, 20])
@pytest.mark.parametrize("shape", ["normal", "heavy-tailed"])
def test_the_interval_covers_the_median_at_its_stated_rate(shape: str, units: int) -> None:
    rng = np.random.default_rng(7)
    repetitions = 400
    draws = rng.normal if shape == "normal" else lambda size: rng.standard_t(3, size)
    covered = 0
    for row in draws(size=(repetitions, units)):
        medians = bootstrap_medians(row[None], resamples=500)
        covered += estimate(float(np.median(row)), medians[0], units=units).contains(0.0)
    assert covered / repetitions >= 0.94


def test_no_units_are_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        bootstrap_medians(np.empty((2, 0)))


@pytest.mark.parametrize(
    ("low", "high", "shared"),
    [(0.5, 0.89, False), (0.5, 0.9, True), (0.95, 0.96, True), (0.5, 2, True), (1.11, 2, False)],
)
def test_intervals_overlap_where_they_share_a_value(low: float, high: float, shared: bool) -> None:
    one, other = Estimate(1.0, 0.9, 1.1), Estimate((low + high) / 2, low, high)
    assert one.overlaps(other) == other.overlaps(one) == shared
