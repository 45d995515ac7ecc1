"""Names of dimensions that are expressions, and those that only look like some."""

from __future__ import annotations

import pytest

from graphopt.inputs.size_expressions import evaluate, symbols

SIZES = {"N": 12, "past": 8}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("N", 12),
        ("past + 1", 9),
        ("past+N", 20),
        ("2*(N - past)", 8),
        ("N/4", 3),
        ("N//5", 2),
        ("(N % 5)", 2),
        ("floor(N/5)", 2),
        ("Max(1, N - 100)", 1),
        ("-past + N", 4),
    ],
)
def test_an_expression_follows_from_its_symbols(text: str, size: int) -> None:
    assert evaluate(text, SIZES) == size
    assert set(symbols(text)) <= set(SIZES)


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "7*2",
        "batch size",
        "input.1",
        "2**10**9",
        "N**2",
        "N.real",
        "__import__('os')",
        "lambda: N",
        "N if N else N",
        "max()",
        "max(N, key=N)",
        "None",
        "1e9*N",
        "True + N",
        "(" * 500 + "N" + ")" * 500,
        " + ".join(f"n{i}" for i in range(2000)),
        "N\x00",
    ],
)
def test_any_other_text_is_one_name(text: str) -> None:
    assert symbols(text) == [text]
    assert evaluate(text, {text: 3, "N": 3}) == 3


@pytest.mark.parametrize(
    "text", ["N/5", "N/0", "N//0", "N % (past - 8)", "absent + 1", "floor(N, 2)"]
)
def test_what_is_no_size_is_none(text: str) -> None:
    assert evaluate(text, SIZES) is None
