"""How far the outputs of a model that is not exact are from those of the original."""

from __future__ import annotations

__all__ = ["error_of"]

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from graphopt.evaluation.calls import Array
from graphopt.runtime.results import Result
from graphopt.runtime.sessions import RuntimeRefused
from graphopt.verification import Original, structure


def error_of(
    original: Original, candidate: Path, provider: str, library: Path | None
) -> float | None:
    """The root mean square of the relative errors of all draws, for the output where it is largest.

    The relative error of an output is the root mean square of its difference from the original's
    output, over that of the original's output. Outputs that are no floats do not count.

    Args:
        original: What it is held against; it has the draws.
        candidate: The model.
        provider: Execution provider.
        library: Kernels to register, or None.

    Returns:
        The error; None where it cannot be said: a model does not run, its outputs are not those of
        the original or are not finite, or operators are random.
    """
    expected = original.expectation(provider)
    if expected.reason or original.random:
        return None
    try:
        original.process.open(
            candidate,
            provider=provider,
            optimization=expected.optimization,
            library=library,
            custom_op_libraries=original.sample.custom_op_libraries,
        )
        actual = [original.process.run(inputs) for inputs in expected.draws]
    except RuntimeRefused:  # the trial says so
        return None
    errors = [_error(expected.results, actual, name) for name in expected.results[0]]
    known = [error for error in errors if error is not None]
    return max(known, default=None) if all(map(np.isfinite, known)) else None


def _error(
    expected: Sequence[Mapping[str, Result]], actual: Sequence[Mapping[str, Result]], name: str
) -> float | None:
    """NaN where the outputs cannot be compared; None where they are no floats."""
    squares = []
    for base, found in zip(expected, actual, strict=True):
        one, other = base[name], found.get(name)
        parts = [part.array for part in structure.parts(one)]
        if not parts or parts[0].dtype.kind != "f":
            return None
        others = [part.array for part in structure.parts(other)]
        if structure.difference(one, other) or not _are_alike(parts, others):
            return float("nan")
        wide = _all_elements(parts)
        with np.errstate(all="ignore"):
            squares.append(
                np.mean(np.square(_all_elements(others) - wide)) / np.mean(np.square(wide))
            )
    return float(np.sqrt(np.mean(squares)))


def _are_alike(parts: Sequence[Array], others: Sequence[Array]) -> bool:
    return [array.shape for array in parts] == [array.shape for array in others]


def _all_elements(parts: Sequence[Array]) -> Array:
    return np.concatenate([array.astype(np.float64).reshape(-1) for array in parts])
