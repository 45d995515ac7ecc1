"""Ratios, verdicts and captured shares, on synthetic latencies whose answer is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from graphopt.errors import UsageError
from graphopt.measuring.comparison import VERDICTS, captured, compare, verdict_on
from graphopt.measuring.intervals import Estimate
from graphopt.measuring.rounds import Samples

OPENINGS = 20


def latencies(
    factors: dict[str, float], *, seed: int, rounds: int = 7, openings: int = OPENINGS
) -> Samples:
    """Interleaved latencies around 10 ms with the noise of a busy machine.

    A drift that all candidates share (the clock slows by 10%, correlated from round to round); a
    luck of 1% that stays with a candidate for an opening; a log-normal spread of 2% for each call;
    and in 5% of the calls a preemption of up to 3x.
    """
    rng = np.random.default_rng(seed)
    count = openings * rounds
    steps = rng.normal(0, 0.01, count)
    drift = np.linspace(1, 1.1, count)
    for i in range(1, count):
        steps[i] += 0.9 * steps[i - 1]
    drift += steps

    def calls(factor: float) -> npt.NDArray[np.float64]:
        luck = np.exp(rng.normal(0, 0.01, (openings, 1)))
        spread = np.exp(rng.normal(0, 0.02, (openings, rounds)))
        preempted = rng.random((openings, rounds)) < 0.05
        delay = np.where(preempted, rng.uniform(1, 3, (openings, rounds)), 1.0)
        return np.asarray(0.010 * factor * drift.reshape(spread.shape) * luck * spread * delay)

    return Samples({name: calls(factor) for name, factor in factors.items()})


def exact(**seconds: float) -> Samples:
    """Samples without noise."""
    return Samples({name: np.full((OPENINGS, 3), value) for name, value in seconds.items()})


def test_the_figures_of_samples_without_noise() -> None:
    samples = exact(old=0.010, new=0.008)
    comparison = compare(samples, "old", items=4)
    assert list(comparison) == ["old", "new"]
    new = comparison["new"]
    assert new.median == new.p90 == new.p99 == 0.008
    assert new.throughput == pytest.approx(500.0)
    assert new.ratio.value == new.ratio.low == new.ratio.high == pytest.approx(0.8)
    assert new.verdict == "faster"
    assert comparison["old"].verdict == "no difference"
    assert compare(samples, "new")["old"].verdict == "slower"


def test_percentiles_are_those_of_all_calls() -> None:
    values = np.arange(1.0, 102.0)
    samples = Samples({"only": np.tile(values, (6, 1))})
    only = compare(samples, "only")["only"]
    assert (only.median, only.p90, only.p99) == pytest.approx((51.0, 91.0, 100.0), rel=0.01)


@pytest.mark.parametrize("openings", [6, 10, OPENINGS])
def test_two_copies_of_one_model_show_no_difference_at_the_stated_rate(openings: int) -> None:
    repetitions = 400
    agreed = 0
    for seed in range(repetitions):
        samples = latencies({"one": 1.0, "copy": 1.0}, seed=seed, openings=openings)
        agreed += compare(samples, "one", resamples=400)["copy"].verdict == "no difference"
    assert 0.94 <= agreed / repetitions < 1


@pytest.mark.parametrize(("factor", "verdict"), [(0.98, "faster"), (1.02, "slower")])
def test_a_difference_of_two_percent_is_found_under_noise(factor: float, verdict: str) -> None:
    repetitions = 100
    found = 0
    for seed in range(repetitions):
        samples = latencies({"one": 1.0, "other": factor}, seed=seed, rounds=15)
        found += compare(samples, "one", resamples=400)["other"].verdict == verdict
    assert found >= 0.95 * repetitions


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        ((0.9, 0.8, 0.999), "faster"),
        ((0.9, 0.8, 1.0), "no difference"),
        ((1.1, 1.0, 1.2), "no difference"),
        ((1.1, 1.001, 1.2), "slower"),
    ],
)
def test_a_verdict_needs_an_interval_without_1(
    ratio: tuple[float, float, float], verdict: str
) -> None:
    assert verdict_on(Estimate(*ratio)) == verdict
    assert verdict in VERDICTS


def test_outliers_do_not_move_the_ratio() -> None:
    quiet = latencies({"one": 1.0, "other": 0.9}, seed=3)
    noisy = {name: values.copy() for name, values in quiet.seconds.items()}
    noisy["other"][:, 2] *= 50  # a call of every opening
    noisy["other"][5] *= 50  # a whole opening
    before = compare(quiet, "one")["other"].ratio.value
    after = compare(Samples(noisy), "one")["other"].ratio.value
    assert after == pytest.approx(before, rel=0.01)


def test_a_drift_that_both_share_does_not_move_the_ratio() -> None:
    speed = np.linspace(1.0, 3.0, 60).reshape(OPENINGS, 3)
    samples = Samples({"one": 0.010 * speed, "other": 0.009 * speed})
    result = compare(samples, "one")["other"].ratio
    assert (result.low, result.value, result.high) == pytest.approx((0.9, 0.9, 0.9))


def test_the_captured_share_and_its_interval() -> None:
    samples = latencies({"old": 1.0, "new": 0.88, "none": 0.8}, seed=5)
    share = captured(samples, baseline="old", candidate="new", floor="none").share
    assert share is not None
    assert share.value == pytest.approx(0.6, abs=0.1)
    assert share.contains(0.6)
    assert share.high - share.low < 0.2


def test_the_captured_share_of_samples_without_noise() -> None:
    samples = exact(old=10.0, slow=11.0, new=7.0, none=6.0)
    new = captured(samples, baseline="old", candidate="new", floor="none").share
    slow = captured(samples, baseline="old", candidate="slow", floor="none").share
    assert new is not None
    assert slow is not None
    assert (new.low, new.value, new.high) == pytest.approx((0.75, 0.75, 0.75))
    assert slow.value == pytest.approx(-0.25)


@pytest.mark.parametrize("factor", [1.0, 1.05])
def test_no_share_is_given_of_a_cost_that_is_not_there(factor: float) -> None:
    samples = latencies({"old": 1.0, "new": 1.0, "none": factor}, seed=2)
    result = captured(samples, baseline="old", candidate="new", floor="none")
    assert result.share is None
    assert result.reason == "none is not significantly faster than old"


def test_an_unknown_name_is_named_with_those_that_exist() -> None:
    with pytest.raises(UsageError, match=r"'crms': choose one of one, other"):
        compare(exact(one=1.0, other=1.0), "crms")


@pytest.mark.parametrize(("confidence", "least"), [(0.5, 2), (0.9, 5), (0.95, 6), (0.99, 8)])
def test_too_few_openings_carry_no_interval(confidence: float, least: int) -> None:
    def few(openings: int) -> Samples:
        return Samples({"one": np.ones((openings, 50))})

    assert compare(few(least), "one", confidence=confidence)
    with pytest.raises(UsageError, match=rf"interval of .*: measure with at least {least}"):
        compare(few(least - 1), "one", confidence=confidence)
