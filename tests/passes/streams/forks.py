"""An If as text, and what stands around it."""

from __future__ import annotations

import pytest

__all__ = [
    "CONSTANT",
    "INPUTS",
    "NORM",
    "TWO_OUTPUTS",
    "UPDATE",
    "S",
    "W",
    "both_conditions",
    "fork",
    "fork2",
]

W = "w[4,8] w2[4,8] m[8,8] m2[8,8] b[8] g[8] c[8] g2[8] "
INPUTS = {"inputs": "float[B,S,4] a, bool on"}
TWO_OUTPUTS = {**INPUTS, "outputs": "float y, float z"}
NORM = " y = LayerNormalization(x, g, c)"
S = "s = MatMul(a, w) "
UPDATE = "n = LayerNormalization(s, g, c) h = MatMul(n, m) p = Add(s, h)"


def fork(then: str, other: str, results: str = "x", given: tuple[str, str] = ("p", "q")) -> str:
    """An If on ``on``; each branch gives values of unknown shape, separated by commas."""
    first, second = (", ".join(f"float[] {v.strip()}" for v in g.split(",")) for g in given)
    return f"""{results} = If (on) <then_branch = yes () => ({first}) {{ {then} }},
        else_branch = no () => ({second}) {{ {other} }}> """


def fork2(then: str, other: str, results: str) -> str:
    """An If with two results, p and p2 of one branch and q and q2 of the other."""
    return fork(then, other, results, ("p, p2", "q, q2"))


CONSTANT = "Constant<value = float[8] {1, 2, 3, 5, 8, 13, 21, 34}>()"

both_conditions = pytest.mark.parametrize("on", [True, False])
