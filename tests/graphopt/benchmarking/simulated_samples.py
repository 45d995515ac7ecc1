"""Samples of models whose calls take about as long as they are said to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from graphopt.measuring.rounds import Samples


def samples(seconds: Mapping[str, float], openings: int = 12, rounds: int = 5) -> Samples:
    """Calls of so many seconds, give or take a percent."""
    random = np.random.default_rng(0)
    noise = {name: random.normal(1, 0.01, (openings, rounds)) for name in seconds}
    return Samples({name: value * noise[name] for name, value in seconds.items()}, stable=True)
