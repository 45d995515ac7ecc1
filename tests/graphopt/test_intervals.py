"""The bootstrap, on synthetic samples whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.intervals import Estimate, block_length, bootstrap_medians, estimate


@pytest.mark.parametrize(
    ("rounds", "length"), [(1, 1), (8, 2), (9, 3), (27, 3), (28, 4), (1000, 10), (1001, 11)]
)
def test_block_length_is_the_cube_root_rounded_up(rounds: int, length: int) -> None:
    assert block_length(rounds) == length


def test_equal_samples_have_an_interval_of_no_width() -> None:
    medians = bootstrap_medians(np.full((2, 30), 0.25), resamples=50)
    assert medians.shape == (2, 50)
    assert estimate(0.25, medians[0]) == Estimate(0.25, 0.25, 0.25)


def test_candidates_are_resampled_by_the_same_rounds() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(1.0, 0.2, 40)
    medians = bootstrap_medians(np.stack([first, 3 * first]), resamples=200)
    np.testing.assert_allclose(medians[1] / medians[0], 3.0, rtol=1e-12)


def test_blocks_wrap_around_so_that_every_round_counts_alike() -> None:
    """A block of all rounds is the same rounds again, wherever it begins."""
    medians = bootstrap_medians(np.array([[1.0, 2.0, 4.0, 8.0, 16.0]]), resamples=50, block=5)
    np.testing.assert_array_equal(medians, 4.0)


def test_the_seed_decides_the_resampling() -> None:
    samples = np.random.default_rng(0).normal(1.0, 0.2, (1, 40))
    first, again, other = (bootstrap_medians(samples, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_many_rounds_are_resampled_in_parts_with_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    samples = np.random.default_rng(0).normal(1.0, 0.2, (2, 40))
    whole = bootstrap_medians(samples, resamples=100)
    monkeypatch.setattr("graphopt.intervals._ELEMENTS_AT_ONCE", 240)
    np.testing.assert_array_equal(bootstrap_medians(samples, resamples=100), whole)


@pytest.mark.parametrize(
    ("correlation", "block", "low", "high"),
    [
        (0.0, None, 0.90, 0.98),
        (0.5, None, 0.85, 0.97),
        # Why rounds are drawn in blocks: one by one, the correlation is lost.
        (0.5, 1, 0.60, 0.80),
    ],
)
def test_the_interval_covers_the_median_at_its_stated_rate(
    correlation: float, block: int | None, low: float, high: float
) -> None:
    repetitions, rounds = 300, 200
    noise = np.random.default_rng(7).normal(size=(repetitions, rounds))
    for i in range(1, rounds):
        noise[:, i] += correlation * noise[:, i - 1]
    covered = 0
    for row in noise:
        medians = bootstrap_medians(row[None], resamples=300, block=block)
        covered += estimate(float(np.median(row)), medians[0]).contains(0.0)
    assert low <= covered / repetitions <= high


def test_no_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        bootstrap_medians(np.empty((2, 0)))
