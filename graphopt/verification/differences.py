"""Compares one output of two models, and decides."""

from __future__ import annotations

__all__ = [
    "OutputError",
    "compare",
    "compare_with_truth",
    "decide",
    "default_rtol",
    "is_float",
    "mismatch",
    "tolerance_type",
]

import dataclasses
import math

import numpy as np
import onnx_ir as ir

from graphopt.evaluation.calls import Array
from graphopt.verification.filler import computed_elements

# The zoo's outputs differ by up to 6e-6 (float32) and 5e-3 (float16) of their mean magnitude. Real
# weights round more than random ones, CUDA kernels more than the CPU's; a wrong graph differs by 1.
_RTOL = {"float64": 1e-9, "float32": 1e-3, "float16": 5e-2, "bfloat16": 2e-1}
_FACTOR = 2.0
_FLOOR_ULPS = 4.0
_FEW_WRONG = 0.1
"""Where more of the base's integers are wrong, that as many are of a candidate's says nothing."""


@dataclasses.dataclass(frozen=True)
class OutputError:
    """How far an output of the candidate is from the base's.

    Attributes:
        name: The output.
        dtype: Its type, as numpy calls it.
        max_abs: Largest absolute difference over all finite elements; infinite where the outputs
            cannot be compared.
        max_rel: ``max_abs`` relative to the largest finite element of the base.
        rtol: Relative tolerance.
        atol: Absolute tolerance.
        passed: The decision.
        problem: In words, why the outputs cannot be compared or differ beyond numbers, and where in
            a sequence or a map they differ; else "".
        error_base: Against a float64 reference: the base's error, relative to the largest element.
        error_candidate: Against a float64 reference: the candidate's error.
        computed_in: The coarsest type that computes it, where that is not its own; else "".
        decided_by_float64: True where the two differ by more than the tolerance, and the errors
            against a float64 reference decided.
    """

    name: str
    dtype: str
    max_abs: float
    max_rel: float
    rtol: float
    atol: float
    passed: bool
    problem: str = ""
    error_base: float | None = None
    error_candidate: float | None = None
    computed_in: str = ""
    decided_by_float64: bool = False


def is_float(array: Array) -> bool:
    """True where a tolerance applies to the elements."""
    return str(array.dtype) in _RTOL


def mismatch(name: str, dtype: str, problem: str) -> OutputError:
    """An output that cannot be compared."""
    return OutputError(name, dtype, math.inf, math.inf, 0.0, 0.0, passed=False, problem=problem)


def tolerance_type(dtype: str, computing: ir.DataType | None) -> str:
    """The coarser one of an output's own type and the coarsest that computes it."""
    own = list(_RTOL)
    if dtype not in _RTOL or computing is None or computing.numpy().name not in _RTOL:
        return dtype
    return max(dtype, computing.numpy().name, key=own.index)


def default_rtol(dtype: str, computing: ir.DataType | None = None) -> float:
    """The relative tolerance of an output of this type that ``computing`` computes; 0 is equal."""
    return _RTOL.get(tolerance_type(dtype, computing), 0.0)


def compare(
    name: str,
    base: Array,
    candidate: Array,
    rtol: float | None = None,
    atol: float | None = None,
    computing: ir.DataType | None = None,
) -> OutputError:
    """Compare two arrays: every element within ``atol + rtol * |base|``.

    By default rtol is that of the coarsest type that computes them, which is their own or
    ``computing`` (float64 1e-9, float32 1e-3, float16 5e-2, bfloat16 2e-1), and atol is rtol times
    the mean magnitude of the base's finite elements: a transformer rounds in proportion to the
    typical size of a tensor, not of each element, and the mean, other than the largest element, is
    hardly moved by the few huge features that many streams carry. What a mask fills in is no
    typical size (:func:`graphopt.verification.filler.computed_elements`).
    Integers and booleans must be equal. NaN and infinities must be in the same places.
    """
    problem = _structure(base, candidate)
    if problem:
        return mismatch(name, str(base.dtype), problem)
    if str(base.dtype) not in _RTOL:
        return _compare_exactly(name, base, candidate)
    coarsest = tolerance_type(str(base.dtype), computing)
    rtol = _RTOL[coarsest] if rtol is None else rtol
    expected, actual = base.astype(np.float64), candidate.astype(np.float64)
    finite = np.isfinite(expected)
    magnitude = np.abs(expected[finite])
    if atol is None:
        typical = magnitude[computed_elements(expected[finite])]
        atol = rtol * float(typical.mean()) if typical.size else 0.0
    if not _same_non_finite(expected, actual):
        return mismatch(name, str(base.dtype), "NaN or infinity in other places than in the base")
    difference = np.abs(actual[finite] - expected[finite])
    max_abs = float(difference.max(initial=0.0))
    return OutputError(
        name,
        str(base.dtype),
        max_abs,
        _relative(max_abs, float(magnitude.max(initial=0.0))),
        rtol,
        atol,
        passed=bool(np.all(difference <= atol + rtol * magnitude)),
        computed_in=coarsest if coarsest != str(base.dtype) else "",
    )


def compare_with_truth(name: str, truth: Array, base: Array, candidate: Array) -> OutputError:
    """Hold both against the float64 evaluation of the base.

    The error of an output is its largest difference from the truth, relative to the largest
    element of the truth; of what a mask fills in and of the rest it is the larger. The candidate
    passes with at most twice the base's error plus 4 units in the last place of its type, so that a
    base that happens to be exact does not fail everybody.
    Integers and booleans must equal the base's.
    """
    plain = compare(name, base, candidate)
    if plain.problem or str(base.dtype) not in _RTOL:
        return plain
    if truth.shape != base.shape:
        return mismatch(name, plain.dtype, f"evaluated in float64 it has shape {truth.shape}")
    if not _same_non_finite(truth, base.astype(np.float64)):
        return mismatch(name, plain.dtype, "NaN or infinity in other places than in float64")
    finite = np.isfinite(truth)
    errors = [
        _error(truth[finite], array[finite].astype(np.float64)) for array in (base, candidate)
    ]
    bound = _FACTOR * errors[0] + _FLOOR_ULPS * float(ir.DataType.from_numpy(base.dtype).eps)
    return dataclasses.replace(
        plain,
        rtol=bound,
        atol=0.0,
        passed=errors[1] <= bound,
        error_base=errors[0],
        error_candidate=errors[1],
    )


def decide(plain: OutputError, truth: Array, base: Array, candidate: Array) -> OutputError:
    """Let a float64 evaluation of the base decide on outputs that differ beyond the tolerance.

    A candidate passes that is nearer to the truth than the base, or within the tolerance of the
    truth and at most twice as far as the base; or, where the base is not finite and the truth is,
    within the tolerance. Integers and booleans pass that equal the truth in no fewer places than
    the base's, and are no farther from it anywhere than the base's are somewhere; positions, which
    have no distance, where the base's are right almost everywhere.

    Args:
        plain: The comparison of base and candidate, which failed.
        truth: The output of the base, evaluated in float64.
        base: The output of the base.
        candidate: The output of the candidate.
    """
    if truth.shape != base.shape or _structure(base, candidate):
        return plain
    if str(base.dtype) not in _RTOL:
        if not _nearer(truth, base, candidate):
            return plain
        return dataclasses.replace(plain, passed=True, problem="", decided_by_float64=True)
    found = compare_with_truth(plain.name, truth, base, candidate)
    if found.error_candidate is None:  # the base, or the candidate, is not finite where truth is
        own = candidate.astype(np.float64)
        near = compare(plain.name, truth, own, rtol=max(plain.rtol, _RTOL[str(base.dtype)]))
        found = plain if near.problem else dataclasses.replace(near, dtype=plain.dtype)
    elif found.error_base is not None:
        bound = max(found.error_base, min(found.rtol, plain.rtol))
        found = dataclasses.replace(found, rtol=bound, passed=found.error_candidate <= bound)
    return dataclasses.replace(found, computed_in=plain.computed_in, decided_by_float64=True)


def _error(truth: Array, found: Array) -> float:
    """The largest difference relative to the largest element, of two arrays of finite floats."""
    computed = computed_elements(truth)
    return max(
        _relative(
            float(np.abs(found[part] - truth[part]).max(initial=0.0)),
            float(np.abs(truth[part]).max(initial=0.0)),
        )
        for part in (computed, ~computed)
    )


def _structure(base: Array, candidate: Array) -> str:
    if base.dtype != candidate.dtype:
        return f"type {candidate.dtype} instead of {base.dtype}"
    if base.shape != candidate.shape:
        return f"shape {list(candidate.shape)} instead of {list(base.shape)}"
    return ""


def _nearer(truth: Array, base: Array, candidate: Array) -> bool:
    """True where integers, booleans or text are no farther from the truth than the base's."""
    wrong = [int(np.count_nonzero(array != truth)) for array in (base, candidate)]
    if wrong[1] > wrong[0]:
        return False
    if not np.issubdtype(base.dtype, np.number) or not wrong[1]:
        return True
    may_be_positions = base.dtype in (np.int32, np.int64)
    if may_be_positions and wrong[0] <= _FEW_WRONG * truth.size:
        return True
    far = [
        float(np.abs(array.astype(np.float64) - truth.astype(np.float64)).max())
        for array in (base, candidate)
    ]
    return far[1] <= far[0]


def _compare_exactly(name: str, base: Array, candidate: Array) -> OutputError:
    wrong = int(np.count_nonzero(base != candidate))
    problem = ""
    if wrong:
        problem = (
            f"{wrong} of {base.size} {base.dtype} elements differ, which must be equal "
            "(an ArgMax of nearly equal elements may differ by rounding)"
        )
    numeric = np.issubdtype(base.dtype, np.number)
    steps = np.abs(base.astype(np.float64) - candidate) if numeric else base != candidate
    max_abs = float(np.max(steps, initial=0.0))
    largest = float(np.abs(base.astype(np.float64)).max(initial=0.0)) if numeric else 1.0
    return OutputError(
        name, str(base.dtype), max_abs, _relative(max_abs, largest), 0.0, 0.0, not wrong, problem
    )


def _same_non_finite(expected: Array, actual: Array) -> bool:
    special = ~np.isfinite(expected)
    return bool(
        np.array_equal(special, ~np.isfinite(actual))
        and np.array_equal(expected[special], actual[special], equal_nan=True)
    )


def _relative(difference: float, largest: float) -> float:
    if difference == 0:
        return 0.0
    return difference / largest if largest else math.inf
