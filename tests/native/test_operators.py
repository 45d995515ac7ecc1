"""Every operator, operand, element type, instruction set and shape against float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphopt.runtime.library import instruction_set, library_path
from tests.native.operator_models import (
    CRMS,
    EPSILON,
    FORMS,
    LAYER,
    RMS,
    RMS_WITHOUT_GAMMA,
    SKIP_CRMS,
    SKIP_LAYER,
    SKIP_RMS,
    TYPES,
    Form,
    assert_right,
    expected_sum,
    model,
    open_session,
    random_values,
    run,
)

# The last axis is below, at and above the vectors of every instruction set (2 to 16 elements), the
# unrolled loops (64) and the blocks of an accumulation (4096); the rows are none, one, and many.
SHAPES = (
    *[(1,), (5,), (3, 1), (2, 3), (4, 8), (3, 15), (5, 16), (2, 17), (7, 33), (2, 63), (2, 65)],
    *[(197, 192), (2, 3, 767), (1, 2, 3, 1024), (3, 4096), (2, 4097), (3, 65537), (3000, 64)],
    *[(0, 768), (2, 0, 5)],
)
INSTRUCTION_SETS = ("baseline", "avx2", "avx512")


def available() -> tuple[str, ...]:
    """The instruction sets that this machine has, of which each contains those before it."""
    best = instruction_set(library_path("cpu"))
    return INSTRUCTION_SETS[: INSTRUCTION_SETS.index(best) + 1]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_an_operator_computes_its_formula(
    form: Form, dtype: str, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in available():
        monkeypatch.setenv("GRAPHOPT_INSTRUCTION_SET", name)
        session = open_session(model(form, dtype), library)
        for shape in SHAPES:
            values = random_values(shape, dtype)
            assert_right(form, values, run(session, values, dtype), dtype)


@pytest.mark.parametrize("form", [SKIP_RMS, SKIP_LAYER], ids=str)
@pytest.mark.parametrize("dtype", TYPES)
def test_two_threads_share_the_rows(dtype: str, form: Form, library: Path) -> None:
    one, two = (open_session(model(form, dtype), library, threads) for threads in (1, 2))
    for shape in ((197, 767), (1, 65537), (5000, 33), (3, 20000)):
        values = random_values(shape, dtype)
        results = [run(session, values, dtype) for session in (one, two)]
        assert_right(form, values, results[1], dtype)
        for name in results[0]:
            assert np.array_equal(results[0][name], results[1][name])


@pytest.mark.parametrize("form", [RMS, CRMS, SKIP_RMS, LAYER, SKIP_LAYER], ids=str)
def test_memory_need_not_be_aligned(form: Form, library: Path) -> None:
    session = open_session(model(form, "float32"), library)
    values = random_values((5, 768), "float32")
    moved = {}
    for name, value in values.items():
        memory = np.empty(value.size + 1, np.float32)
        moved[name] = memory[1:].reshape(value.shape)
        moved[name][...] = value
        assert moved[name].ctypes.data % 8 == 4
    assert_right(form, values, run(session, moved, "float32"), "float32")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_16_bit_number_is_read_and_rounded_to_nearest_even(
    dtype: str, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(TYPES[dtype]).reshape(-1, 64)
    exponents = np.random.default_rng(0).uniform(-16, 16, size=every.shape)
    with np.errstate(over="ignore"):
        other = (2.0**exponents).astype(TYPES[dtype])
    form = Form("SkipCRMSNorm", ("X", "residual"), ("Y", "sum"))
    for name in available():
        monkeypatch.setenv("GRAPHOPT_INSTRUCTION_SET", name)
        session = open_session(model(form, dtype), library)
        for residual in (np.zeros_like(every), other, -other):
            values = {"X": every, "residual": residual}
            got = run(session, values, dtype)["sum"]
            assert np.array_equal(got, expected_sum(form, values, dtype), equal_nan=True)


def test_accuracy_does_not_fall_with_the_length_of_a_row(library: Path) -> None:
    session = open_session(model(RMS_WITHOUT_GAMMA, "float32"), library)
    x = np.random.default_rng(0).normal(size=(1, 1 << 22)).astype(np.float32) + 10
    values = {"X": x}
    assert_right(RMS_WITHOUT_GAMMA, values, run(session, values, "float32"), "float32")


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("form", [RMS, CRMS, SKIP_RMS, SKIP_CRMS, LAYER, SKIP_LAYER], ids=str)
@pytest.mark.parametrize("d", [3, 33, 64])
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_spreads_over_its_row_as_in_the_formula(
    special: float, d: int, form: Form, dtype: str, library: Path
) -> None:
    session = open_session(model(form, dtype), library)
    for column in {0, d // 2, d - 1}:
        values = random_values((3, d), dtype)
        values["X"][1, column] = special
        assert_right(form, values, run(session, values, dtype), dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_a_row_of_zeros_stays_zero_unless_epsilon_is_zero_too(dtype: str, library: Path) -> None:
    values = {"X": np.zeros((2, 9), TYPES[dtype])}
    for epsilon, expected in ((EPSILON, 0), (0.0, np.nan)):
        session = open_session(model(RMS_WITHOUT_GAMMA, dtype, epsilon), library)
        y = run(session, values, dtype)["Y"]
        assert np.array_equal(y, np.full((2, 9), expected, TYPES[dtype]), equal_nan=True)
