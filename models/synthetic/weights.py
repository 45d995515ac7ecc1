"""Random weights in which every term of the network matters, drawn when they are needed.

Means and variances are those that `graphopt.models.perturbation` draws for the zoo with. Instead of
normally each entry is drawn from 65536 evenly spaced numbers, which 16 random bits look up in the
type of the weight: that takes a quarter of the time.
"""

from __future__ import annotations

__all__ = ["BIAS", "GAMMA", "TABLE", "Draw", "linear", "values"]

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_CHUNK = 1 << 18
"""Entries that are drawn at a time: beside its result a weight takes 3 MB."""

_LEVELS = 1 << 16
_GRID = ((np.arange(_LEVELS) + 0.5) / _LEVELS - 0.5) * math.sqrt(12)
"""What entries of mean 0 and variance 1 are drawn from."""


@dataclass(frozen=True)
class Draw:
    """How the entries of a weight are drawn.

    Attributes:
        deviation: standard deviation of each entry.
        mean: mean of all entries.
        row_deviation: standard deviation of what the entries of one row have in common, so that
            rows have means that an optimizer could lose.
    """

    deviation: float
    mean: float = 0.0
    row_deviation: float = 0.0


GAMMA = Draw(0.2, mean=1.0)
BIAS = Draw(0.1, mean=0.05)
TABLE = Draw(0.15, row_deviation=0.1)


def linear(inputs: int) -> Draw:
    """For a weight whose products add up ``inputs`` terms: activations stay near 1."""
    return Draw(1 / math.sqrt(inputs))


def values(
    name: str, shape: Sequence[int], draw: Draw, dtype: np.dtype[np.floating], seed: int
) -> np.ndarray:
    """The weight called ``name``: the same for the same seed, whatever else is drawn.

    Args:
        name: of the weight.
        shape: of the weight; its last axis is that of a row.
        draw: how.
        dtype: what each entry is rounded to.
        seed: 0 or more.
    """
    # Not hash(name): it changes from one process to the next.
    random = np.random.SFC64([seed, zlib.crc32(name.encode())])
    levels = (draw.mean + draw.deviation * _GRID).astype(dtype)
    shares = (draw.row_deviation * _GRID).astype(dtype)
    result = np.empty(shape, dtype)
    rows = result.reshape(-1, shape[-1])
    step = max(1, _CHUNK // shape[-1])
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        np.take(levels, _indices(random, part.size).reshape(part.shape), out=part, mode="wrap")
        if draw.row_deviation:
            part += shares[_indices(random, len(part))][:, None]
    return result


def _indices(random: np.random.SFC64, count: int) -> np.ndarray:
    """``count`` places in the grid, four of each 64 random bits."""
    return random.random_raw(-(-count // 4)).view(np.uint16)[:count]
