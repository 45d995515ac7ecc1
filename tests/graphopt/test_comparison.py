"""Ratios, verdicts and captured shares, on synthetic latencies whose answer is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from graphopt.comparison import captured, compare
from graphopt.errors import UsageError
from graphopt.measurement import Samples


def latencies(
    factors: dict[str, float], *, rounds: int, seed: int, spread: float = 0.01
) -> Samples:
    """Interleaved latencies around 10 ms with the noise of a busy machine.

    A drift that all candidates share (the clock slows by 10%, correlated from round to round), a
    log-normal spread of each call, and in 5% of the calls a preemption of up to 3x.
    """
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.01, rounds)
    drift = np.zeros(rounds)
    for i in range(1, rounds):
        drift[i] = 0.9 * drift[i - 1] + steps[i]
    slowing = 1 + 0.1 * np.linspace(0, 1, rounds) + drift

    def calls(factor: float) -> npt.NDArray[np.float64]:
        own = np.exp(rng.normal(0, spread, rounds))
        preempted = np.where(rng.random(rounds) < 0.05, rng.uniform(1, 3, rounds), 1.0)
        return np.asarray(0.010 * factor * slowing * own * preempted)

    seconds = {name: calls(factor) for name, factor in factors.items()}
    return Samples(seconds, "wall", warmup_rounds=10, stable=True)


def exact(**seconds: list[float]) -> Samples:
    arrays = {name: np.asarray(values) for name, values in seconds.items()}
    return Samples(arrays, "wall", warmup_rounds=0, stable=True)


def test_the_figures_of_samples_without_noise() -> None:
    samples = exact(old=[0.010] * 25, new=[0.008] * 25)
    comparison = compare(samples, "old", items=4)
    assert list(comparison) == ["old", "new"]
    new = comparison["new"]
    assert new.median == new.p90 == new.p99 == 0.008
    assert new.throughput == pytest.approx(500.0)
    assert new.ratio.value == new.ratio.low == new.ratio.high == pytest.approx(0.8)
    assert new.verdict == "faster"
    assert comparison["old"].verdict == "no difference"
    assert compare(samples, "new")["old"].verdict == "slower"


def test_percentiles_are_those_of_the_calls() -> None:
    values = [float(i) for i in range(1, 102)]
    only = compare(exact(only=values), "only")["only"]
    assert (only.median, only.p90, only.p99) == (51.0, 91.0, 100.0)


def test_two_copies_of_one_model_show_no_difference_at_the_stated_rate() -> None:
    repetitions = 300
    agreed = sum(
        compare(latencies({"one": 1.0, "copy": 1.0}, rounds=60, seed=seed), "one", resamples=400)[
            "copy"
        ].verdict
        == "no difference"
        for seed in range(repetitions)
    )
    assert 0.92 <= agreed / repetitions <= 0.99


@pytest.mark.parametrize(("factor", "verdict"), [(0.98, "faster"), (1.02, "slower")])
def test_a_difference_of_two_percent_is_found_under_noise(factor: float, verdict: str) -> None:
    repetitions = 50
    found = 0
    for seed in range(repetitions):
        samples = latencies({"one": 1.0, "other": factor}, rounds=200, seed=seed)
        found += compare(samples, "one", resamples=400)["other"].verdict == verdict
    assert found >= 0.98 * repetitions


def test_outliers_do_not_move_the_ratio() -> None:
    quiet = latencies({"one": 1.0, "other": 0.9}, rounds=200, seed=3)
    noisy = {name: values.copy() for name, values in quiet.seconds.items()}
    noisy["other"][::10] *= 50
    before = compare(quiet, "one")["other"].ratio.value
    after = compare(Samples(noisy, "wall", 0, True), "one")["other"].ratio.value
    assert after == pytest.approx(before, rel=0.01)


def test_the_captured_share_and_its_interval() -> None:
    samples = latencies({"old": 1.0, "new": 0.94, "none": 0.9}, rounds=400, seed=5)
    share = captured(samples, baseline="old", candidate="new", floor="none").share
    assert share is not None
    assert share.value == pytest.approx(0.6, abs=0.05)
    assert share.contains(0.6)
    assert share.high - share.low < 0.15


def test_the_captured_share_of_samples_without_noise() -> None:
    samples = exact(old=[10.0] * 20, slow=[11.0] * 20, new=[7.0] * 20, none=[6.0] * 20)
    new = captured(samples, baseline="old", candidate="new", floor="none").share
    slow = captured(samples, baseline="old", candidate="slow", floor="none").share
    assert new is not None
    assert slow is not None
    assert (new.low, new.value, new.high) == pytest.approx((0.75, 0.75, 0.75))
    assert slow.value == pytest.approx(-0.25)


@pytest.mark.parametrize("factor", [1.0, 1.05])
def test_no_share_is_given_of_a_cost_that_is_not_there(factor: float) -> None:
    samples = latencies({"old": 1.0, "new": 1.0, "none": factor}, rounds=100, seed=2)
    result = captured(samples, baseline="old", candidate="new", floor="none")
    assert result.share is None
    assert result.reason == "none is not significantly faster than old"


def test_an_unknown_name_is_named_with_those_that_exist() -> None:
    with pytest.raises(UsageError, match=r"'crms'; there are: one, other"):
        compare(exact(one=[1.0], other=[1.0]), "crms")


def test_no_rounds_are_refused() -> None:
    with pytest.raises(UsageError, match="no round was measured"):
        compare(exact(one=[]), "one")
