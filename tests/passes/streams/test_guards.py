"""Graphs that look harmless and are not: each of them was once rewritten to another function.

Every graph has a stream x that norms read, and one reader, source or shape that forbids to take the
table of the op algebra loosely.
"""

from __future__ import annotations

import numpy as np

from tests.passes.graphs import Case, assert_outcome, cases

_W = "w[4,8] g[8] c[8] "
_NORM = "x = MatMul(a, w) y = LayerNormalization(x, g, c) "
_SQUARE = {"inputs": "float[B,8,4] a", "outputs": "float y, float z"}

ONE_VALUE_ON_TWO_AXES = {
    "norms over both axes": Case(
        _NORM + "t = Transpose<perm = [0, 2, 1]>(x) z = LayerNormalization(t, g, c)",
        _W,
        keeps={"y": "a use on axis 1", "z": "a use on axis"},
        given=_SQUARE,
    ),
    "a sum of both": Case(
        _NORM + "t = Transpose<perm = [0, 2, 1]>(x) s = Add(x, t) z = LayerNormalization(s, g, c)",
        _W,
        keeps={"y": "a use on axis", "z": "a use on axis"},
        given=_SQUARE,
    ),
    "a constant of both axes": Case(
        """x = MatMul(a, m) y = LayerNormalization(x, g, c)
        u = MatMul(m, b) t = Transpose<perm = [0, 2, 1]>(u) z = LayerNormalization(t, g, c)""",
        "m[8,8] g[8] c[8]",
        converts="y z",
        absorbs="m",
        copies="m",
        given={"inputs": "float[B,S,8] a, float[B,8,S] b", "outputs": "float y, float z"},
    ),
    "a block and a whole axis": Case(
        _NORM + "h = Reshape(x, heads) z = LayerNormalization(h, g4, g4)",
        _W + "g4[4]",
        keeps={
            "y": "Reshape h needs the mean of x",
            "z": "LayerNormalization y needs the mean of x",
        },
        given={"outputs": "float y, float z", "constants": {"heads": np.array([0, 0, 2, 4])}},
    ),
}

READ_BY_ITS_OWN_PRODUCT = {
    "MatMul(v, v)": Case(
        """v = MatMul(a, w) q = MatMul(v, v) z = LayerNormalization(q, g, c)""",
        _W,
        keeps={"z": "MatMul q needs the mean of v"},
        given={"inputs": "float[B,8,4] a", "outputs": "float z"},
    ),
    "MatMul(m, m) of a constant": Case(
        "q = MatMul(m, m) s = Add(q, a) y = LayerNormalization(s, g, c)",
        "m[8,8] g[8] c[8]",
        keeps={"y": "graph input a"},
        given={"inputs": "float[B,8,8] a"},
    ),
    "Mul(v, v)": Case(
        _NORM + "v = Mul(x, x) z = ReduceSum(v)",
        _W,
        keeps={"y": "Mul v needs the mean of x"},
        given={"outputs": "float y, float z"},
    ),
    "Concat(v, v) on the features": Case(
        _NORM + "z = Concat<axis = 2>(x, x)",
        _W,
        keeps={"y": "Concat z needs the mean of x"},
        given={"outputs": "float y, float z"},
    ),
    "Where(v, ...)": Case(
        _NORM + "big = Greater(x, g) z = Where(big, x, c)",
        _W,
        keeps={"y": "Greater big needs the mean of x"},
        given={"outputs": "float y, float z"},
    ),
}

_SPLIT = "x = MatMul(a, w) v, z = Split<axis = 1>(x) y = LayerNormalization(v, g, c) "

LIVE_OUTPUTS = {
    "Split into a norm and a graph output": Case(
        _SPLIT,
        _W,
        keeps={"y": "graph output z needs the mean of z"},
        given={"inputs": "float[B,4,4] a", "outputs": "float y, float z"},
    ),
    "Split into a norm and an activation": Case(
        _SPLIT + "r = Relu(z)",
        _W,
        keeps={"y": "Relu r needs the mean of z"},
        given={"inputs": "float[B,4,4] a", "outputs": "float y, float r"},
    ),
    "Split of a constant, of which a copy could be centred": Case(
        "v, z = Split<axis = 1>(p) y = LayerNormalization(v, g, c)",
        _W + "p[1,4,8]",
        keeps={"y": "graph output z needs the mean of z"},
        given={"outputs": "float y, float z"},
    ),
    "Split into two norms": Case(
        _SPLIT + "r = LayerNormalization(z, g, c)",
        _W,
        converts="y r",
        absorbs="w",
        given={"inputs": "float[B,4,4] a", "outputs": "float y, float r"},
    ),
    "Split with a part that nobody reads": Case(
        _SPLIT, _W, converts="y", absorbs="w", given={"inputs": "float[B,4,4] a"}
    ),
    "the stream is a graph output": Case(
        _NORM,
        _W,
        keeps={"y": "graph output x needs the mean of x"},
        given={"outputs": "float y, float x"},
    ),
    "a part of the stream is a graph output": Case(
        _NORM + "z = Gather<axis = 1>(x, i)",
        _W,
        keeps={"y": "graph output z needs the mean of z"},
        given={"outputs": "float y, float z", "constants": {"i": np.array(0)}},
    ),
    "the sum behind the norm is a graph output": Case(
        _NORM + "q = MatMul(y, m) z = Add(x, q)",
        _W + "m[8,8]",
        keeps={"y": "graph output z needs the mean of z"},
        given={"outputs": "float z"},
    ),
    "a Mean output that is read": Case(
        "x = MatMul(a, w) y, z = LayerNormalization(x, g, c)",
        _W,
        keeps={"y": "Mean or InvStdDev output is used"},
        given={"outputs": "float y, float z"},
    ),
    "an InvStdDev output that is read": Case(
        'x = MatMul(a, w) y, "", z = LayerNormalization(x, g, c)',
        _W,
        keeps={"y": "Mean or InvStdDev output is used"},
        given={"outputs": "float y, float z"},
    ),
    "a Mean output that nobody reads": Case(
        "x = MatMul(a, w) y, mean = LayerNormalization(x, g, c)", _W, converts="y", absorbs="w"
    ),
}

_BRANCHES = """z = If (on) <then_branch = yes () => (float[B,S,8] p) {{ p = {then} }},
    else_branch = no () => (float[B,S,8] q) {{ q = Identity(o) }}>"""


def _captured(then: str, **expected: object) -> Case:
    body = _NORM + "o = MatMul(a, w2) " + _BRANCHES.format(then=then)
    given = {"inputs": "float[B,S,4] a, bool on", "outputs": "float y, float z"}
    return Case(body, _W + "w2[4,8] b[8]", given=given, **expected)


CAPTURES = {
    "an If body reads the stream": _captured(
        "Relu(x)", keeps={"y": "Relu p in then_branch of If z needs the mean of x"}
    ),
    "an If body returns the stream": _captured(
        "Identity(x)", keeps={"y": "graph output z needs the mean of z"}
    ),
    "an If body carries the stream on": _captured(
        "Add(x, b)", keeps={"y": "graph output z needs the mean of z"}
    ),
    "an If body normalizes the stream": _captured(
        "LayerNormalization(x, g, c)", converts="y p", absorbs="w"
    ),
    "an If body two levels deep carries the stream": _captured(
        """If (on) <then_branch = deep () => (float[B,S,8] r) { r = Neg(x) },
        else_branch = flat () => (float[B,S,8] s) { s = Identity(o) }>""",
        keeps={"y": "graph output z needs the mean of z"},
    ),
    "an If body reads something else": _captured("Relu(o)", converts="y", absorbs="w"),
}

INTEGERS = {
    f"Cast through type {to}": Case(
        f"x = MatMul(a, w) i = Cast<to = {to}>(x) v = Cast<to = 1>(i) "
        "y = LayerNormalization(v, g, c)",
        _W,
        keeps={"y": "Cast v writes it"},
    )
    for to in (3, 6, 7, 9)
}

ATTENTION = {
    "its weights do not write the stream": Case(
        """v = com.microsoft.Attention<num_heads = 2>(a, qkv, bias)
        y = LayerNormalization(v, g, c)""",
        "qkv[8,24] bias[24] g[8] c[8]",
        keeps={"y": "Attention v writes it"},
        given={"inputs": "float[B,S,8] a"},
    ),
    "its output projection does": Case(
        """v = com.microsoft.Attention<num_heads = 2>(a, qkv, bias)
        o = MatMul(v, out) s = Add(o, b) y = LayerNormalization(s, g, c)""",
        "qkv[8,24] bias[24] out[8,8] b[8] g[8] c[8]",
        converts="y",
        absorbs="out b",
        given={"inputs": "float[B,S,8] a"},
    ),
    "it reads the raw stream": Case(
        _NORM + "z = com.microsoft.Attention<num_heads = 2>(x, qkv, bias)",
        _W + "qkv[8,24] bias[24]",
        keeps={"y": "Attention z needs the mean of x"},
        given={"outputs": "float y, float z"},
    ),
}

_WIDE = "x = MatMul(a, wide) "


def _part(body: str, reason: str) -> Case:
    given = {
        "constants": {
            "i4": np.array([4]),
            "i12": np.array([12]),
            "last": np.array([-1]),
            "inner": np.arange(4, 12),
            "cut": np.array([0, 0, -4, 0, 0, -4]),
            "parts": np.array([4, 8, 4]),
        }
    }
    norm = " y = LayerNormalization(v, g, c)"
    return Case(_WIDE + body + norm, "wide[4,16] g[8] c[8]", keeps={"y": reason}, given=given)


# x has two blocks of eight features, and v the inner eight of the sixteen
PARTS_OF_TWO_BLOCKS = {
    "Slice": _part("v = Slice(x, i4, i12, last)", "Slice v writes it"),
    "Gather": _part("v = Gather<axis = 2>(x, inner)", "Gather v writes it"),
    "Pad": _part("v = Pad(x, cut)", "Pad v writes it"),
    "Split": _part("l, v, r = Split<axis = 2>(x, parts)", "Split l writes it"),
}

GUARDS = {
    "two axes": ONE_VALUE_ON_TWO_AXES,
    "own product": READ_BY_ITS_OWN_PRODUCT,
    "outputs": LIVE_OUTPUTS,
    "captures": CAPTURES,
    "integers": INTEGERS,
    "attention": ATTENTION,
    "parts": PARTS_OF_TWO_BLOCKS,
}


@cases({f"{kind}: {name}": case for kind, t in GUARDS.items() for name, case in t.items()})
def test_guard(case: Case) -> None:
    assert_outcome(case)


_TOKENS = "its gamma or beta is not one vector for all tokens"
AFFINE_PARTS_OF_TOKENS = {
    "a beta for each token": Case(
        "x = MatMul(a, w) n = LayerNormalization(x, g, t) y = MatMul(n, v)",
        "w[4,8] g[8] t[8,1] v[8,6]",
        keeps={"n": _TOKENS},
        given={"inputs": "float[B,8,4] a", "outputs": "float[B,8,6] y"},
    ),
    "a gamma for each token": Case(
        "x = MatMul(a, w) n = LayerNormalization(x, t, c) y = MatMul(n, v)",
        "w[4,8] t[8,1] c[8] v[8,6]",
        keeps={"n": _TOKENS},
        given={"inputs": "float[B,8,4] a", "outputs": "float[B,8,6] y"},
    ),
    "a beta for each token and feature": Case(
        "x = MatMul(a, w) n = LayerNormalization(x, g, t) y = MatMul(n, v)",
        "w[4,8] g[8] t[3,8] v[8,6]",
        keeps={"n": _TOKENS},
        given={"inputs": "float[B,3,4] a", "outputs": "float[B,3,6] y"},
    ),
    "a gamma and a beta with axes of size 1": Case(
        "x = MatMul(a, w) n = LayerNormalization(x, g, c) y = MatMul(n, v)",
        "w[4,8] g[1,8] c[1,1,8] v[8,6]",
        converts="n",
        absorbs="w",
        given={"outputs": "float[B,S,6] y"},
    ),
}


@cases(AFFINE_PARTS_OF_TOKENS)
def test_a_norm_whose_affine_part_differs_from_token_to_token_stays(case: Case) -> None:
    assert_outcome(case)
