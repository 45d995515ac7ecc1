"""Graphs whose streams go through an If, and what becomes of the norms behind and in it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.passes.graphs import Case

__all__ = [
    "ALL",
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


def _loop(results: str, body: str) -> str:
    """A Loop of two turns; v is carried, and u is collected."""
    return f"""{results} = Loop (two, yes, a) <body = turn (int64 i, bool more, float[B,S,4] v) =>
        (bool go, float[] v2, float[] u) {{ go = Identity(more) v2 = Neg(v) {body} }}> """


_TURNS = {"two": np.array(2), "yes": np.array(True)}

BOTH = {
    "linear maps": Case(
        fork("p = MatMul(a, w)", "q = MatMul(a, w2)") + NORM, converts="y", absorbs="w w2"
    ),
    "linear maps with a bias that they share": Case(
        fork("r = MatMul(a, w) p = Add(r, b)", "t = MatMul(a, w2) q = Add(t, b)") + NORM,
        converts="y",
        absorbs="w w2 b",
    ),
    "a residual update or nothing": Case(
        S + fork(UPDATE, "q = Identity(s)") + NORM, converts="n y", absorbs="w m"
    ),
    "the value of the graph around them": Case(
        S + fork("p = Identity(s)", "q = Neg(s)") + NORM, converts="y", absorbs="w"
    ),
    "an If in a branch": Case(
        S
        + fork(
            fork(UPDATE, "q = Identity(s)", "i").replace("yes", "yes2").replace("no ()", "no2 ()")
            + "o = Neg(i)",
            "e = MatMul(a, w2)",
            given=("o", "e"),
        )
        + NORM,
        converts="n y",
        absorbs="w w2 m",
    ),
    "one result of several": Case(
        S + fork2("p = Identity(s) p2 = Relu(a)", "q = MatMul(a, w2) q2 = Neg(a)", "x, z") + NORM,
        converts="y",
        absorbs="w w2",
        given=TWO_OUTPUTS,
    ),
    "two streams": Case(
        fork2("p = MatMul(a, w) p2 = Neg(p)", "q = MatMul(a, w2) q2 = Neg(q)", "x, u")
        + "z = LayerNormalization(u, g2, c)"
        + NORM,
        converts="y z",
        absorbs="w w2",
        given=TWO_OUTPUTS,
    ),
    "a result that nobody reads": Case(
        fork2("p = MatMul(a, w) p2 = Relu(p)", "q = MatMul(a, w2) q2 = Relu(a)", "u, x")
        + " y = LayerNormalization(u, g, c)",
        keeps={"y": "Relu p2 in"},
    ),
    "a weight that is read raw, too": Case(
        fork("p = MatMul(a, w)", "q = MatMul(a, w2)") + NORM + " r = MatMul(a, w) z = Relu(r)",
        converts="y",
        absorbs="w w2",
        copies="w",
        given=TWO_OUTPUTS,
    ),
    "heads": Case(
        fork("p = MatMul(a, wide)", "q = MatMul(a, wide2)", "v") + "x = Reshape(v, heads)" + NORM,
        "wide[4,16] wide2[4,16] g[8] c[8]",
        converts="y",
        absorbs="wide wide2",
        given={**INPUTS, "outputs": "float y", "constants": {"heads": np.array([0, 0, 2, 8])}},
    ),
    "tokens that grow": Case(
        S + fork("p = Concat<axis = 1>(s, s)", "q = Identity(s)") + NORM,
        converts="y",
        absorbs="w",
        given={**INPUTS, "outputs": "float y"},
    ),
    "a carried operand that vanishes": Case(
        fork("r = MatMul(a, w) k = ReduceMax<axes = [2]>(a) p = Add(r, k)", "q = MatMul(a, w2)")
        + NORM,
        converts="y",
        absorbs="w w2",
    ),
    "norms of one number, which a raw reader may read": Case(
        "t = Relu(a) "
        + fork("p = LayerNormalization(a, one)", "q = LayerNormalization(t, one)")
        + "y = LayerNormalization(x, one) z = Relu(x)",
        converts="y",
        keeps={"p": "graph input a", "q": "Relu t writes it"},
        given={
            "inputs": "float[B,S,8] a, bool on",
            "outputs": "float y, float z",
            "constants": {"one": np.full(8, 0.5, np.float32)},
        },
    ),
}

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

_LESS = "e = Exp(b) keep = Greater(e, zero) less = Compress<axis = 1>(w2, keep) "

RAW = {
    "one branch is raw": Case(
        fork("r = MatMul(a, w) p = Relu(r)", "q = MatMul(a, w2)") + NORM,
        keeps={"y": "Relu p in then_branch of If x writes it: the mean of p cannot be removed"},
    ),
    "one branch is raw, and two norms read": Case(
        fork("r = MatMul(a, w) p = Relu(r)", "q = MatMul(a, w2)")
        + NORM
        + " z = LayerNormalization(x, g2, c)",
        converts="y z",
        absorbs="w2",
        recentres="p",
        given=TWO_OUTPUTS,
    ),
    "both branches are raw, and two norms read": Case(
        fork("r = MatMul(a, w) p = Relu(r)", "q = Tanh(a2)")
        + NORM
        + " z = LayerNormalization(x, g2, c)",
        converts="y z",
        recentres="x",
        given={"inputs": "float[B,S,4] a, float[B,S,8] a2, bool on", "outputs": "float y, float z"},
    ),
    "a branch reads a value that both need raw and centred": Case(
        "s = Relu(a2) "
        + fork("p = Identity(s)", "q = MatMul(a, w2)")
        + NORM
        + " z = LayerNormalization(s, g2, c)",
        converts="y z",
        absorbs="w2",
        recentres="s",
        given={"inputs": "float[B,S,4] a, float[B,S,8] a2, bool on", "outputs": "float y, float z"},
    ),
    "features that one branch turns": Case(
        "s = MatMul(a, w) " + fork("p = Transpose<perm = [0, 2, 1]>(s)", "q = Identity(s)") + NORM,
        keeps={"y": "a use on axis"},
        given={"inputs": "float[B,8,4] a, bool on", "outputs": "float y"},
    ),
    "features that one branch broadcasts": Case(
        S
        + fork("p = ReduceMax<axes = [2]>(s)", "q = Identity(s)")
        + "u = Add(x, b) y = LayerNormalization(u, g, c)",
        keeps={"y": "Add u writes it"},
    ),
    "features that the first branch may leave out": Case(
        _LESS + fork("p = MatMul(a, less)", "q = MatMul(a, w)") + NORM,
        keeps={"y": "If x writes it: the mean of x cannot"},
        given={**INPUTS, "constants": {"zero": np.array(0, np.float32)}},
    ),
    "features that the second branch may leave out": Case(
        _LESS + fork("p = MatMul(a, w)", "q = MatMul(a, less)") + NORM,
        keeps={"y": "If x writes it: the mean of x cannot"},
        given={**INPUTS, "constants": {"zero": np.array(0, np.float32)}},
    ),
    "a Post-LN branch": Case(
        S + fork("p = LayerNormalization(s, g, c)", "q = Identity(s)") + NORM,
        converts="p",
        absorbs="w",
        keeps={"y": "LayerNormalization p in then_branch of If x writes it"},
    ),
}


def _held(name: str) -> str:
    entries = ", ".join(f"{0.1 * i * i - 1:.2f}" for i in range(8))
    return f"float[8] {name} = {{{entries}}}"


CONSTANT = "Constant<value = float[8] {1, 2, 3, 5, 8, 13, 21, 34}>()"
_NEXT = "v = MatMul(a, w) u = Add(v, x) y = LayerNormalization(u, g, c)"

GIVEN = {
    "of a node": Case(
        fork(f"p = {CONSTANT}", "q = Identity(b)") + _NEXT, converts="y", absorbs="w p b"
    ),
    "of nodes": Case(
        fork(f"p = {CONSTANT}", f"q = {CONSTANT}") + _NEXT, converts="y", absorbs="w p q"
    ),
    "of the branch": Case(
        fork("", f"q = {CONSTANT}")
        .replace("{  }", "{ }")
        .replace("(float[] p)", f"(float[] p) <{_held('p')}>")
        + _NEXT,
        converts="y",
        absorbs="w p q",
    ),
    "that the branch reads, too": Case(
        fork2(f"p = {CONSTANT} p2 = Relu(p)", "q = Identity(b) q2 = Neg(b)", "x, z") + _NEXT,
        converts="y",
        absorbs="w p b",
        copies="p b",
        given=TWO_OUTPUTS,
    ),
    "for two results": Case(
        fork2(f"p = {CONSTANT} p2 = Identity(p)", "q = Identity(b) q2 = Neg(b)", "x, z") + _NEXT,
        converts="y",
        absorbs="w p b",
        copies="p b",
        given=TWO_OUTPUTS,
    ),
    "of zeros": Case(
        fork("p = Constant<value = float[8] {0, 0, 0, 0, 0, 0, 0, 0}>()", "q = Identity(b)")
        + _NEXT,
        converts="y",
        absorbs="w b",
    ),
}

TABLES = {"both": BOTH, "readers": READERS, "raw": RAW, "constants": GIVEN}
ALL = {
    f"{kind}: {name}": dataclasses.replace(
        case, weights=case.weights or W, given=case.given or INPUTS
    )
    for kind, table in TABLES.items()
    for name, case in table.items()
}

both_conditions = pytest.mark.parametrize("on", [True, False])
