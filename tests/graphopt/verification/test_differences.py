"""The rules by which two outputs are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphopt.verification.differences import compare, compare_with_truth, decide

RULES = {
    "within rtol of each element": ([1.0, 100.0], [1.0005, 100.05], None, None, True),
    "a small element within rtol of the mean": ([0.0, 2.0], [0.0009, 2.0], None, None, True),
    "a small element beyond it": ([0.0, 2.0], [0.0021, 2.0], None, None, False),
    "a huge element that does not excuse the others": (
        [1000.0] + [1.0] * 99,
        [1000.0] + [1.05] * 99,
        None,
        None,
        False,
    ),
    "NaN in the same place": ([np.nan, 2.0], [np.nan, 2.0], None, None, True),
    "NaN in another place": ([np.nan, 2.0], [2.0, np.nan], None, None, False),
    "infinity of another sign": ([np.inf, 2.0], [-np.inf, 2.0], None, None, False),
    "nothing but zeros": ([0.0, 0.0], [0.0, 0.0], None, None, True),
    "zeros, and not": ([0.0, 0.0], [0.0, 1e-30], None, None, False),
    "a mask's filling that does not excuse the others": (
        [-10000.0, -9999.0, 1.0, 2.0],
        [-10000.0, -9999.5, 1.5, 2.0],
        None,
        None,
        False,
    ),
    "two of them": ([-3.4e38, -3.4e38, 1e9, 1.0], [-3.4e38, -3.4e38, 1e9, 1.5], None, None, False),
    "the filling itself, rounded": (
        [-10000.0, -9999.0, 1.0, 2.0],
        [-10000.0, -9999.5, 1.0, 2.0],
        None,
        None,
        True,
    ),
    "given tolerances": ([0.0, 2.0], [0.1, 2.0], 0.0, 0.2, True),
    "empty": ([], [], None, None, True),
}


@pytest.mark.parametrize("name", RULES)
def test_the_rule_for_floats(name: str) -> None:
    base, candidate, rtol, atol, passed = RULES[name]
    arrays = (np.array(values, dtype=np.float32) for values in (base, candidate))
    assert compare("y", *arrays, rtol, atol).passed == passed


@pytest.mark.parametrize(("dtype", "relative"), [(np.float64, 1e-9), (np.float32, 1e-3),
                                                 (np.float16, 5e-2)])  # fmt: skip
def test_each_type_has_its_tolerance(dtype: Any, relative: float) -> None:
    base = np.full(100, 8, dtype=dtype)
    assert compare("y", base, base * dtype(1 + relative)).passed
    assert not compare("y", base, base * dtype(1 + 3 * relative)).passed


def test_integers_and_booleans_must_be_equal() -> None:
    base = np.array([1, 2, 3])
    assert compare("y", base, base).passed
    wrong = compare("y", base, np.array([1, 2, 4]))
    assert (wrong.passed, wrong.max_abs) == (False, 1)
    assert "1 of 3 int64 elements differ" in wrong.problem
    flags = np.array([True, False])
    assert compare("y", flags, flags).passed
    assert not compare("y", flags, ~flags).passed


def test_a_base_that_is_exact_by_chance_leaves_the_candidate_a_few_last_places() -> None:
    truth = np.array([1.0, 0.5])
    base = truth.astype(np.float32)
    unit = np.float32(2**-23)
    assert compare_with_truth("y", truth, base, base + 3 * unit).passed
    assert not compare_with_truth("y", truth, base, base + 6 * unit).passed


def test_what_a_mask_fills_in_is_not_the_size_that_errors_are_relative_to() -> None:
    truth = np.array([-3.4e38, -3.4e38, 1.0, 0.5])
    base = truth.astype(np.float32)
    wrong = np.array([-3.4e38, -3.4e38, 0.5, 1.0], dtype=np.float32)
    assert compare_with_truth("y", truth, base, base).passed
    assert not compare_with_truth("y", truth, base, wrong).passed
    assert not decide(compare("y", base, wrong), truth, base, wrong).passed


INTEGERS = {  # the truth, the base, the candidate, the type
    "as many are wrong, and far off": ([10, 20, 30], [11, 21, 31], [9, 99, 31], "int64", False),
    "as many, and no farther": ([10, 20, 30], [11, 21, 31], [10, 19, 31], "int64", True),
    "positions, of which one is another": (
        [*range(20)],
        [*range(19), 7],
        [400, *range(1, 20)],
        "int64",
        True,
    ),
    "levels, of which one is another": (
        [*range(20)],
        [*range(19), 18],
        [200, *range(1, 20)],
        "uint8",
        False,
    ),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_what_float64_decides_on_integers(name: str) -> None:
    *values, dtype, passed = INTEGERS[name]
    truth, base, found = (np.array(each, dtype=dtype) for each in values)
    assert decide(compare("y", base, found), truth, base, found).passed == passed
