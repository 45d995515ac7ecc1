"""Holds the outputs of a candidate against those of the original, and asks what that proves."""

from __future__ import annotations

__all__ = ["Comparison"]

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from graphopt.errors import listed
from graphopt.evaluation import EvaluationFailed
from graphopt.evaluation.calls import Array
from graphopt.options import Reference
from graphopt.runtime.results import Result
from graphopt.verification import structure
from graphopt.verification.differences import (
    OutputError,
    compare,
    compare_with_truth,
    decide,
    is_float,
    mismatch,
)
from graphopt.verification.exercise import untried_norms
from graphopt.verification.limits import limits
from graphopt.verification.original import Expectation, Original
from graphopt.verification.pieces import Cut, cuts, words
from graphopt.verification.structured import compare_results


class Comparison:
    """One way to hold a candidate against the original.

    Args:
        original: The original, which ran.
        expected: What it gave, on some execution provider.
        reference: ``ort``, or ``float64`` for the errors against a float64 evaluation alone.
        rtol: Relative tolerance, or None for that of the computing type.
        atol: Absolute tolerance, or None for rtol times the mean magnitude.
        norms: Names of norms that must have been tried, each with the names of the results of Ifs
            that hand on what it normalizes.
    """

    def __init__(
        self,
        original: Original,
        expected: Expectation,
        reference: Reference,
        rtol: float | None,
        atol: float | None,
        norms: Mapping[str, Sequence[str]],
    ) -> None:
        self.expected = expected
        self.reference = reference
        self._original = original
        self._tolerances = (rtol, atol)
        self._norms = norms
        self._truths: dict[int, dict[str, Result]] = {}
        self._errors: dict[str, list[OutputError]] = {}

    def truth(self, draw: int) -> dict[str, Result]:
        """The outputs of the original on the inputs of a draw, evaluated in float64.

        Raises:
            EvaluationFailed: They cannot be.
            MemoryError: There is too little memory.
        """
        if draw not in self._truths:
            self._truths[draw] = self._original.in_float64(self.expected.draws[draw])
        return self._truths[draw]

    def outputs(self, actual: Sequence[Mapping[str, Result]]) -> list[OutputError]:
        """The error of each output in the draw where it is the farthest beyond its tolerance."""
        results = self.expected.results
        self._errors = {name: [] for name in results[0]}
        for draw, found in enumerate(actual):
            for name, base in results[draw].items():
                self._errors[name].append(self._compare(draw, name, base, found[name]))
        return [max(errors, key=_badness) for errors in self._errors.values()]

    def notes(self, outputs: Sequence[OutputError]) -> list[str]:
        """What a reader should be told of the outputs."""
        notes = [f"output {name} proves nothing: it {why}" for name, why in self._empty().items()]
        decided = [output.name for output in outputs if output.decided_by_float64]
        for name, errors in self._errors.items():
            wrong = [draw for draw, error in enumerate(errors) if not error.passed]
            if wrong and all(sizes := [self.expected.other_sizes(draw) for draw in wrong]):
                notes.append(f"output {name} differs on other sizes alone: {sizes[0]}")
        if left_out := self.expected.left_out:
            drawn = left_out + len(self.expected.draws)
            notes.append(
                f"{left_out} of {drawn} drawn inputs were left out: the original refuses them "
                "(--input gives others)"
            )
        if decided:
            notes.append(
                f"{listed(decided)}: both differ by more than the tolerance, and the original "
                "evaluated in float64 decided"
            )
        return notes

    def missing_evidence(self) -> str:
        """Why equal outputs do not show that the function is the same; "" where they do."""
        known = self.expected
        if known.problem:
            return (
                f"{known.problem}; with its optimizations at level {known.optimization!r} the "
                "outputs agree: serve the model at that level"
            )
        empty = self._empty()
        if len(empty) == len(self._errors):
            name, why = next(iter(empty.items()))
            others = f", and {len(empty) - 1} more alike" if len(empty) > 1 else ""
            return (
                f"no output of the original proves anything: {name} {why}{others} (--input gives "
                "other inputs)"
            )
        if not self._norms:
            return ""
        proving = [name for name in self._errors if name not in empty]
        untried = untried_norms(
            self._original.inlined,
            self._norms,
            proving,
            lambda: self._original.graphs_that_ran(known),
        )
        if not untried:
            return ""
        reasons = "; ".join(
            f"{listed([name for name in untried if untried[name] == reason])}: {reason}"
            for reason in dict.fromkeys(untried.values())
        )
        return (
            f"{len(untried)} of {len(self._norms)} converted norms were not exercised ({reasons}; "
            "--input and --dim give other inputs)"
        )

    def _compare(self, draw: int, name: str, base: Result, found: Result) -> OutputError:
        def compare_part(number: int, one: Array, other: Array) -> OutputError:
            return self._compare_part(draw, name, number, one, other)

        return compare_results(name, base, found, compare_part)

    def _compare_part(
        self, draw: int, name: str, number: int, base: Array, found: Array
    ) -> OutputError:
        def compare_cut(cut: Cut) -> OutputError:
            return _placed(self._compare_cut(draw, name, number, (base, found), cut), cut)

        if base.dtype != found.dtype or base.shape != found.shape or not is_float(base):
            return compare_cut(())
        parts = cuts(self._original.output(name), base.shape) or [()]
        return max(map(compare_cut, parts), key=_badness)

    def _compare_cut(
        self, draw: int, name: str, number: int, arrays: tuple[Array, Array], cut: Cut
    ) -> OutputError:
        """Compare a part of a tensor of the base and of the candidate, or all of it."""
        base, found = (array[cut] for array in arrays)
        if self.reference == "float64":
            try:
                truth = self._true_part(draw, name, number)
            except EvaluationFailed as error:
                return mismatch(name, str(base.dtype), str(error))
            same = truth.shape == arrays[0].shape
            return compare_with_truth(name, truth[cut] if same else truth, base, found)
        computing = self._original.computing_types.get(name)
        plain = compare(name, base, found, *self._tolerances, computing)
        if plain.passed or plain.dtype != str(found.dtype) or base.shape != found.shape:
            return plain
        try:
            truth = self._true_part(draw, name, number)
        except (EvaluationFailed, MemoryError):
            return plain
        return decide(plain, truth[cut], base, found) if truth.shape == arrays[0].shape else plain

    def _true_part(self, draw: int, name: str, number: int) -> Array:
        """A tensor of an output, evaluated in float64.

        Raises:
            EvaluationFailed: The output has another structure there.
        """
        truth, base = self.truth(draw)[name], self.expected.results[draw][name]
        if problem := structure.difference(base, truth):
            raise EvaluationFailed(f"evaluated in float64 it is another: {problem}")
        return structure.parts(truth)[number].array

    def _empty(self) -> dict[str, str]:
        """The outputs that prove nothing, each with the reason."""
        results = self.expected.results
        found = {}
        for name, errors in self._errors.items():
            parts = [part for result in results for part in structure.parts(result[name])]
            ends = limits(self._original.output(name))
            reason = _emptiness([part.array for part in parts], errors, ends)
            if reason:
                found[name] = reason
        return found


def _emptiness(
    arrays: Sequence[Array], errors: Sequence[OutputError], ends: tuple[float, float] | None
) -> str:
    """Why one output of the original says nothing of its candidates, in words; else "".

    Args:
        arrays: The tensors in it, of all draws.
        errors: What came of comparing it, in each draw.
        ends: The values between which its operator holds it; None where that is no such one.
    """
    if not arrays:
        return "holds no tensor"
    filled = [array for array in arrays if array.size]
    if not filled:
        return "is empty"
    kind = filled[0].dtype.kind
    if kind not in "fiub":
        first = filled[0].reshape(-1)[0]
        same = all(bool((array == first).all()) for array in filled)
        return "is the same everywhere" if same else ""
    finite = [array[np.isfinite(array)] for array in filled]
    if not any(array.size for array in finite):
        return "is NaN or infinite everywhere"
    low = min(float(array.min()) for array in finite if array.size)
    high = max(float(array.max()) for array in finite if array.size)
    if low == high:
        return f"is {low:.6g} everywhere"
    # Where all elements are within the tolerance of each other, any of them would do for another.
    tolerance = max(error.atol + error.rtol * max(abs(low), abs(high)) for error in errors)
    if kind == "f" and high - low <= tolerance:
        return f"is saturated: all of it is between {low:.6g} and {high:.6g}"
    # Any number would do that is far enough from where the operator bends.
    if ends and all(_is_at(ends, array, tolerance) for array in finite):
        return f"is saturated: all of it is at {ends[0]:.6g} or {ends[1]:.6g}"
    return ""


def _is_at(ends: tuple[float, float], array: Array, tolerance: float) -> bool:
    """True where each element is within the tolerance of one of two values."""
    values = array.astype(np.float64)
    distance = np.minimum(np.abs(values - ends[0]), np.abs(values - ends[1]))
    return bool((distance <= tolerance).all())


def _placed(error: OutputError, cut: Cut) -> OutputError:
    """An error that says in which part of its output it is."""
    if error.passed or not cut:
        return error
    problem = error.problem or f"differs by {error.max_abs:.2g}"
    return dataclasses.replace(error, problem=f"at {words(cut)}: {problem}")


def _badness(error: OutputError) -> tuple[bool, float]:
    return not error.passed, error.max_rel
