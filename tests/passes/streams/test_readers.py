"""Readers that no mean disturbs, and values whose mean is zero at no cost."""

from __future__ import annotations

import numpy as np
import pytest

from tests.passes.graphs import Case, assert_outcome, cases, graph, optimized

_W = "w[4,8] w1[4,8] b[8] g[8] c[8] g28[2,8] s[] "
_NORM = "x = MatMul(a, w) y = LayerNormalization(x, g, c) "
_RAW = {"outputs": "float y, float z"}

# What reads x beside the norm y, and leaves y free to convert
TOLERATE = {
    "z = Softmax(x)": {},
    "z = Softmax<axis = 2>(x)": {},
    "z = LogSoftmax<axis = -1>(x)": {},
    "z = Softmax<axis = 2>(x) ": {"opset": 11},
    "u = Unsqueeze<axes = [3]>(x) z = Softmax<axis = 2>(u)": {"opset": 11},
    "z = Hardmax(x)": {},
    "u = Unsqueeze<axes = [3]>(x) z = Hardmax<axis = 2>(u)": {"opset": 11},
    "z = ArgMax<axis = 2>(x)": {"outputs": "float y, int64 z"},
    "z = ArgMax<axis = -1, keepdims = 0, select_last_index = 1>(x)": {
        "outputs": "float y, int64 z"
    },
    "z = ArgMin<axis = 2>(x)": {"outputs": "float y, int64 z"},
    "v, z = TopK(x, two)": {"outputs": "float y, int64 z"},
    "v, z = TopK<axis = 2, largest = 0, sorted = 1>(x, two)": {"outputs": "float y, int64 z"},
    "z = CastLike(a, x)": {},
    "z = Shape(x)": {"outputs": "float y, int64 z"},
    "z = Size(x)": {"outputs": "float y, int64 z"},
    "m = ReduceMean<axes = [-1]>(x) d = Sub(x, m) z = Relu(d)": {},
    "m = ReduceMean<axes = [2]>(x) d = Sub(x, m) q = Mul(d, d) z = ReduceMean<axes = [2]>(q)": {},
    "m = ReduceMean(x, last) d = Sub(x, m) z = Relu(d)": {"opset": 18},
}

# What reads x raw, and what y says of it
DISTURBED = {
    "z = Softmax<axis = 1>(x)": ("Softmax z needs the mean of x", {}),
    "z = Softmax(x)": ("Softmax z needs the mean of x", {"opset": 11}),
    "z = Softmax<axis = 1>(x)  ": ("Softmax z needs the mean of x", {"opset": 11}),
    "z = LogSoftmax<axis = 0>(x)": ("LogSoftmax z needs the mean of x", {}),
    "z = Hardmax<axis = 1>(x)": ("Hardmax z needs the mean of x", {}),
    "z = Hardmax(x)": ("Hardmax z needs the mean of x", {"opset": 11}),
    "z = ArgMax(x)": ("ArgMax z needs the mean of x", {"outputs": "float y, int64 z"}),
    "z = ArgMax<axis = 1>(x)": ("ArgMax z needs the mean of x", {"outputs": "float y, int64 z"}),
    "z = ArgMin<axis = -2>(x)": ("ArgMin z needs the mean of x", {"outputs": "float y, int64 z"}),
    "h = Reshape(x, heads) z = ArgMax<axis = 3>(h)": (
        "Reshape h needs the mean of x",
        {"outputs": "float y, int64 z"},
    ),
    "v, z = TopK<axis = 1>(x, two)": (
        "TopK v needs the mean of x",
        {"outputs": "float y, int64 z"},
    ),
    "z, i = TopK(x, two)": ("TopK z needs the mean of x", {}),
    "v, z = TopK(x, two) u = Relu(v)": (
        "TopK v needs the mean of x",
        {"outputs": "float y, int64 z, float u"},
    ),
    "i = Cast<to = 7>(s) z = CastLike(x, i)": (
        "CastLike z needs the mean of x",
        {"outputs": "float y, int64 z"},
    ),
    "z = com.microsoft.QuickGelu(x)": ("QuickGelu z needs the mean of x", {}),
    "z = SimplifiedLayerNormalization(x, g)": (
        "SimplifiedLayerNormalization z needs the mean of x",
        {},
    ),
    "u = Unsqueeze<axes = [3]>(x) e = Expand(u, pairs) z = Softmax<axis = 2>(e)": (
        "Softmax z needs the mean of e",
        {"opset": 11},
    ),
    "t = Transpose<perm = [0, 2, 1]>(x) z = Softmax<axis = 2>(t)": (
        "Softmax z needs the mean of t",
        {},
    ),
    "h = Reshape(x, heads) z = Softmax(h)": ("Reshape h needs the mean of x", {}),
    "m = ReduceMean<axes = [1]>(x) d = Sub(x, m) z = Relu(d)": ("Relu z needs the mean of d", {}),
    "m = ReduceMean<axes = [1, 2]>(x) d = Sub(x, m) z = Relu(d)": (
        "ReduceMean m needs the mean of x",
        {},
    ),
    "m = ReduceMean<axes = [2]>(x) d = Sub(m, x) z = Relu(d)": (
        "ReduceMean m needs the mean of x",
        {},
    ),
    "m = ReduceMean<axes = [2]>(x) d = Sub(x, m) z = Mul(d, m)": (
        "ReduceMean m needs the mean of x",
        {},
    ),
    "z = ReduceMean<axes = [2]>(x) d = Sub(x, z)": ("ReduceMean z needs the mean of x", {}),
    "o = Add(x, b) m = ReduceMean<axes = [2]>(o) d = Sub(x, m) z = Relu(d)": (
        "ReduceMean m needs the mean of o",
        {},
    ),
}
"""Cases that differ by blanks alone differ in their opset."""


def _beside(reader: str, **given: object) -> dict[str, object]:
    constants = {"last": np.array([-1]), "two": np.array([2]), "heads": np.array([0, 0, 2, 4])}
    constants["pairs"] = np.array([1, 1, 1, 2])
    return {
        "body": _NORM + reader,
        "weights": _W,
        "given": {"inputs": "float[B,2,4] a", "constants": constants, **_RAW, **given},
    }


@cases({r: Case(**_beside(r, **g), converts="y", absorbs="w") for r, g in TOLERATE.items()})
def test_a_reader_that_no_mean_disturbs_lets_the_norm_convert(case: Case) -> None:
    assert_outcome(case)


@cases({r: Case(**_beside(r, **g), keeps={"y": y}) for r, (y, g) in DISTURBED.items()})
def test_a_reader_that_a_mean_disturbs_keeps_the_norm(case: Case) -> None:
    assert_outcome(case)


def test_a_norm_over_more_axes_reads_raw() -> None:
    body = _NORM + "z = LayerNormalization<axis = 1>(x, g28)"
    keeps = {
        "y": "LayerNormalization z needs the mean of x",
        "z": "does not normalize one last axis",
    }
    assert_outcome(Case(body, _W, keeps=keeps, given={"inputs": "float[B,2,4] a", **_RAW}))


def test_a_norm_whose_mean_is_read_reads_raw() -> None:
    body = _NORM + "n, z = LayerNormalization(x, g, c)"
    keeps = {
        "y": "LayerNormalization n needs the mean of x",
        "n": "Mean or InvStdDev output is used",
    }
    assert_outcome(Case(body, _W, keeps=keeps, given=_RAW))


def test_a_norm_reads_its_gamma_raw() -> None:
    body = "v = MatMul(a, w) y = LayerNormalization(v, g) z = LayerNormalization(f, v)"
    keeps = {"y": "LayerNormalization z needs the mean of v", "z": "graph input f"}
    given = {"inputs": "float[4] a, float[8] f", **_RAW}
    assert_outcome(Case(body, _W, keeps=keeps, given=given))


def test_a_norm_whose_deviation_is_read_tolerates_a_centred_value() -> None:
    body = _NORM + 'n, "", z = LayerNormalization(x, g, c)'
    keeps = {"n": "Mean or InvStdDev output is used"}
    assert_outcome(Case(body, _W, converts="y", absorbs="w", keeps=keeps, given=_RAW))


_ANTISYMMETRIC = np.array([1, -1, 2, -2, 0.5, -0.5, 3, -3], np.float32)

# What writes x, which an activation reads raw: the norm y of it converts all the same
CENTRED = [
    "m = ReduceMean<axes = [-1]>(e) x = Sub(e, m)",
    "m = ReduceMean<axes = [2]>(e) x = Sub(e, m)",
    "x = LayerNormalization(e, s1)",
    "x = LayerNormalization(e, s1, zeros)",
    "x = LayerNormalization(e, fives, antisymmetric)",
]

# What writes x, and what y says of it
NOT_CENTRED = {
    "m = ReduceMean<axes = [1]>(e) x = Sub(e, m)": "Relu z needs the mean of x",
    "m = ReduceMean<axes = [1, 2]>(e) x = Sub(e, m)": "Relu z needs the mean of x",
    "m = ReduceMean<axes = [2]>(f) x = Sub(e, m)": "Relu z needs the mean of x",
    "m = ReduceMean<axes = [2], keepdims = 0>(e) x = Sub(e, m)": "Relu z needs the mean of x",
    "m = ReduceSum(e, last) x = Sub(e, m)": "Relu z needs the mean of x",
    "m = ReduceMax<axes = [2]>(e) x = Sub(e, m)": "Relu z needs the mean of x",
    "m = ReduceMean<axes = [2]>(e) x = Add(e, m)": "Relu z needs the mean of x",
    "x = LayerNormalization(e, g)": "LayerNormalization x writes it",
    "x = LayerNormalization(e, s1, c)": "LayerNormalization x writes it",
    "x = LayerNormalization(e, s1, antisymmetric_but_one)": "LayerNormalization x writes it",
    "x = LayerNormalization<axis = 1>(e, s1)": "LayerNormalization x writes it",
    "x = LayerNormalization(e, given_scale)": "LayerNormalization x writes it",
}
_GIVEN = {
    "inputs": "float[8,8,8] e, float[8,8,8] f, float[1] given_scale",
    "constants": {
        "zeros": np.zeros(8, np.float32),
        "fives": np.full(8, 5, np.float32),
        "antisymmetric": _ANTISYMMETRIC,
        "antisymmetric_but_one": _ANTISYMMETRIC + np.eye(8, dtype=np.float32)[0],
        "last": np.array([-1]),
    },
    "outputs": "float y, float z",
}


def _read_raw(writer: str) -> str:
    return f"{writer} y = LayerNormalization(x, g, c) z = Relu(x)"


@pytest.mark.parametrize("writer", CENTRED)
def test_a_centred_value_may_be_read_raw(writer: str) -> None:
    outcome = optimized(graph(_read_raw(writer), "s1[1] g[8] c[8]", **_GIVEN))
    assert "y" in outcome.converted, outcome.reasons
    assert not outcome.recentred


@pytest.mark.parametrize(("writer", "reason"), NOT_CENTRED.items(), ids=NOT_CENTRED)
def test_what_only_looks_centred_is_not(writer: str, reason: str) -> None:
    outcome = optimized(graph(_read_raw(writer), "s1[1] g[8] c[8]", **_GIVEN))
    assert reason in outcome.reasons["y"]


def test_zeros_are_centred() -> None:
    body = "x = MatMul(a, w) o = Add(x, zeros) y = LayerNormalization(o, g, c) z = Relu(zeros)"
    given = {"constants": _GIVEN["constants"], **_RAW}
    assert_outcome(Case(body, _W, converts="y", absorbs="w", given=given))


def test_a_centred_value_does_not_centre_what_it_is_added_to() -> None:
    body = """m = ReduceMean<axes = [2]>(e) d = Sub(e, m) x = Add(d, f)
        y = LayerNormalization(x, g, c)"""
    given = {"inputs": "float[B,S,8] e, float[B,S,8] f"}
    assert_outcome(Case(body, _W, keeps={"y": "graph input f"}, given=given))
    body = body.replace("Add(d, f)", "Add(d, b)")
    assert_outcome(Case(body, _W, converts="y", absorbs="b", given=given))


# Softmax in a branch, which does not say its opset: x [2, 8, 3] or [2, 3, 8] and whether it is raw
IN_A_BRANCH = {
    "over the last axis": ("Softmax<axis = 2>(v)", True),
    "over an axis by default": ("Softmax(v)", False),
    "over the axis of the features and one behind it": ("Softmax<axis = 1>(x)", False),
}


@pytest.mark.parametrize("opset", [11, 13])
@pytest.mark.parametrize(("softmax", "converts"), IN_A_BRANCH.values(), ids=IN_A_BRANCH)
def test_softmax_in_a_branch(softmax: str, converts: bool, opset: int) -> None:
    body = f"""y = If (on) <then_branch = yes () => (float p) {{ x = MatMul(wt, a)
        v = Transpose<perm = [0, 2, 1]>(x) n = LayerNormalization(v, g) k = {softmax}
        r = ReduceMax<keepdims = 0>(k) p = Mul(n, r) }}, else_branch = no () => (float q) {{
        q = Relu(a) }}>"""
    model = graph(
        body, "wt[8,4] g[8]", inputs="float[2,4,3] a, bool on", outputs="float y", opset=opset
    )
    outcome = optimized(model, feeds={"on": np.array(True)})
    assert outcome.converted == ({"n"} if converts else set())
