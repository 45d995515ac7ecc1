"""Compares one output of two models, whatever it is made of."""

from __future__ import annotations

__all__ = ["compare_results", "element_type"]

import dataclasses
from collections.abc import Callable

import numpy as np

from graphopt.evaluation.calls import Array
from graphopt.runtime.results import Result
from graphopt.verification import structure
from graphopt.verification.differences import OutputError, mismatch
from graphopt.verification.structure import Part


def compare_results(
    name: str,
    base: Result,
    found: Result,
    compare: Callable[[int, Array, Array], OutputError],
) -> OutputError:
    """Compare the structure of two results, then each tensor in them.

    Args:
        name: The output.
        base: What the original gives.
        found: What the candidate gives.
        compare: Compares two tensors; it is given the number of the part.

    Returns:
        The error of the tensor that is the farthest beyond its tolerance. In a sequence or a map
        its ``problem`` says where it is.
    """
    if problem := structure.difference(base, found):
        return mismatch(name, element_type(base), problem)
    pairs = list(zip(structure.parts(base), structure.parts(found), strict=True))
    errors = [
        _placed(compare(number, one.array, other.array), one, other)
        for number, (one, other) in enumerate(pairs)
    ]
    nothing = OutputError(name, element_type(base), 0.0, 0.0, 0.0, 0.0, passed=True)
    return max(errors, key=lambda error: (not error.passed, error.max_rel), default=nothing)


def element_type(result: Result) -> str:
    """The type of the tensors in a result, as numpy calls it; where it has none, what it is."""
    found = structure.parts(result)
    return str(found[0].array.dtype) if found else structure.kind(result)


def _placed(error: OutputError, base: Part, found: Part) -> OutputError:
    if error.passed or not (base.place or base.keys):
        return error
    if not np.isfinite(error.max_abs):  # not comparable as a whole
        return dataclasses.replace(error, problem=_at(base.place, error.problem))
    if base.array.dtype.kind in "fiub":
        with np.errstate(all="ignore"):
            distance = np.abs(base.array.astype(np.float64) - found.array.astype(np.float64))
            beyond = distance - error.rtol * np.abs(base.array.astype(np.float64))
        worst = np.nan_to_num(beyond, nan=-np.inf, neginf=-np.inf).argmax()
    else:
        worst = (base.array != found.array).argmax()
    place = base.place_of(tuple(map(int, np.unravel_index(worst, base.array.shape))))
    problem = error.problem or f"differs by {error.max_abs:.2g}"
    return dataclasses.replace(error, problem=_at(place, problem))


def _at(place: str, problem: str) -> str:
    return f"at {place}: {problem}" if place else problem
