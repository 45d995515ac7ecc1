"""Graphs whose streams go through an If, and what becomes of the norms behind and in it."""

from __future__ import annotations

import dataclasses

import numpy as np

from tests.passes.graphs import Case
from tests.passes.streams.forks import (
    CONSTANT,
    INPUTS,
    NORM,
    TWO_OUTPUTS,
    UPDATE,
    S,
    W,
    fork,
    fork2,
)
from tests.passes.streams.readers_with_if import READERS

__all__ = ["ALL"]

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
