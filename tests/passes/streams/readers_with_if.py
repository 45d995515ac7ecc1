"""Streams that branches of an If read, and bodies of a Loop."""

from __future__ import annotations

import numpy as np

from tests.passes.graphs import Case
from tests.passes.streams.forks import INPUTS, NORM, TWO_OUTPUTS, UPDATE, S, fork

__all__ = ["READERS"]


def _loop(results: str, body: str) -> str:
    """A Loop of two turns; v is carried, and u is collected."""
    return f"""{results} = Loop (two, yes, a) <body = turn (int64 i, bool more, float[B,S,4] v) =>
        (bool go, float[] v2, float[] u) {{ go = Identity(more) v2 = Neg(v) {body} }}> """


_TURNS = {"two": np.array(2), "yes": np.array(True)}

READERS = {
    "norms of both branches": Case(
        S + fork("p = LayerNormalization(s, g, c)", "q = LayerNormalization(s, g2, c)", "y"),
        converts="p q",
        absorbs="w",
    ),
    "a Softmax over the features": Case(
        S + fork("p = Softmax<axis = -1>(s)", "q = LayerNormalization(s, g, c)", "y"),
        converts="q",
        absorbs="w",
    ),
    "a Softmax over the tokens": Case(
        S + fork("p = Softmax<axis = 1>(s)", "q = LayerNormalization(s, g, c)", "y"),
        keeps={"q": "Softmax p in then_branch of If y needs the mean of s"},
    ),
    "the sizes": Case(
        S
        + fork("i = Shape(s) p = Cast<to = 1>(i)", "i2 = Shape(a) q = Cast<to = 1>(i2)", "z")
        + "y = LayerNormalization(s, g, c)",
        converts="y",
        absorbs="w",
        given=TWO_OUTPUTS,
    ),
    "a mean to subtract": Case(
        S
        + "d = ReduceMean<axes = [2]>(s) "
        + fork("r = Sub(s, d) p = Relu(r)", "q = LayerNormalization(s, g, c)", "y"),
        converts="q",
        absorbs="w",
    ),
    "a condition": Case(
        S
        + """k = ReduceMax<keepdims = 0>(s) j = Greater(k, zero) y = LayerNormalization(s, g, c) """
        + fork("p = Identity(a)", "q = Neg(a)", "z").replace("(on)", "(j)"),
        keeps={"y": "ReduceMax k needs the mean of s"},
        given={**TWO_OUTPUTS, "constants": {"zero": np.array(0.5, np.float32)}},
    ),
    "a raw reader behind the If": Case(
        S + fork(UPDATE, "q = Identity(s)") + NORM + " z = Relu(x)",
        keeps={"n": "Relu z needs the mean of x", "y": "Relu z needs the mean of x"},
        given=TWO_OUTPUTS,
    ),
    "the output behind the If": Case(
        S + fork(UPDATE, "q = Identity(s)", "y"),
        keeps={"n": "graph output y needs the mean of y"},
    ),
    "a body of a loop": Case(
        S + "y = LayerNormalization(s, g, c) " + _loop("l, z", "u = LayerNormalization(s, g, c)"),
        converts="y u",
        recentres="s",
        given={**TWO_OUTPUTS, "constants": _TURNS},
    ),
    "a branch in a body of a loop": Case(
        S
        + "y = LayerNormalization(s, g, c) "
        + _loop("l, z", fork("p = LayerNormalization(s, g, c)", "q = Relu(v)", "u")),
        converts="y p",
        recentres="s",
        given={**TWO_OUTPUTS, "constants": _TURNS},
    ),
    "a loop in a branch": Case(
        S + fork(_loop("l, p", "u = Relu(s)"), "q = LayerNormalization(s, g, c)", "y"),
        keeps={"q": "Relu u in a nested graph needs the mean of s"},
        given={**INPUTS, "outputs": "float y", "constants": _TURNS},
    ),
    "streams inside a body of a loop": Case(
        _loop(
            "l, y",
            fork("p = MatMul(v, w)", "q = MatMul(v, w2)") + "u = LayerNormalization(x, g, c)",
        ),
        converts="u",
        absorbs="w w2",
        given={**INPUTS, "outputs": "float y", "constants": _TURNS},
    ),
}
