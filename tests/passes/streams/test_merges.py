"""Streams through If: a result is centred where both branches give it centred.

Every graph is run with both conditions, in float64 and in ONNX Runtime, and compressed, too.
"""

from __future__ import annotations

import dataclasses
from unittest import mock

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.passes import pipeline
from graphopt.passes.planning import compression
from tests.onnx_runtime import OptimizedSession
from tests.passes.graphs import Case, assert_outcome, cases, graph, optimized

_W = "w[4,8] w2[4,8] m[8,8] m2[8,8] b[8] g[8] c[8] g2[8] "
_INPUTS = {"inputs": "float[B,S,4] a, bool on"}
_TWO = {**_INPUTS, "outputs": "float y, float z"}
_NORM = " y = LayerNormalization(x, g, c)"
_S = "s = MatMul(a, w) "
_UPDATE = "n = LayerNormalization(s, g, c) h = MatMul(n, m) p = Add(s, h)"


def _if(then: str, other: str, results: str = "x", given: tuple[str, str] = ("p", "q")) -> str:
    """An If on ``on``; each branch gives values of unknown shape, separated by commas."""
    first, second = (", ".join(f"float[] {v.strip()}" for v in g.split(",")) for g in given)
    return f"""{results} = If (on) <then_branch = yes () => ({first}) {{ {then} }},
        else_branch = no () => ({second}) {{ {other} }}> """


def _two(then: str, other: str, results: str) -> str:
    """An If with two results, p and p2 of one branch and q and q2 of the other."""
    return _if(then, other, results, ("p, p2", "q, q2"))


def _loop(results: str, body: str) -> str:
    """A Loop of two turns; v is carried, and u is collected."""
    return f"""{results} = Loop (two, yes, a) <body = turn (int64 i, bool more, float[B,S,4] v) =>
        (bool go, float[] v2, float[] u) {{ go = Identity(more) v2 = Neg(v) {body} }}> """


_TURNS = {"two": np.array(2), "yes": np.array(True)}

BOTH = {
    "linear maps": Case(
        _if("p = MatMul(a, w)", "q = MatMul(a, w2)") + _NORM, converts="y", absorbs="w w2"
    ),
    "linear maps with a bias that they share": Case(
        _if("r = MatMul(a, w) p = Add(r, b)", "t = MatMul(a, w2) q = Add(t, b)") + _NORM,
        converts="y",
        absorbs="w w2 b",
    ),
    "a residual update or nothing": Case(
        _S + _if(_UPDATE, "q = Identity(s)") + _NORM, converts="n y", absorbs="w m"
    ),
    "the value of the graph around them": Case(
        _S + _if("p = Identity(s)", "q = Neg(s)") + _NORM, converts="y", absorbs="w"
    ),
    "an If in a branch": Case(
        _S
        + _if(
            _if(_UPDATE, "q = Identity(s)", "i").replace("yes", "yes2").replace("no ()", "no2 ()")
            + "o = Neg(i)",
            "e = MatMul(a, w2)",
            given=("o", "e"),
        )
        + _NORM,
        converts="n y",
        absorbs="w w2 m",
    ),
    "one result of several": Case(
        _S + _two("p = Identity(s) p2 = Relu(a)", "q = MatMul(a, w2) q2 = Neg(a)", "x, z") + _NORM,
        converts="y",
        absorbs="w w2",
        given=_TWO,
    ),
    "two streams": Case(
        _two("p = MatMul(a, w) p2 = Neg(p)", "q = MatMul(a, w2) q2 = Neg(q)", "x, u")
        + "z = LayerNormalization(u, g2, c)"
        + _NORM,
        converts="y z",
        absorbs="w w2",
        given=_TWO,
    ),
    "a result that nobody reads": Case(
        _two("p = MatMul(a, w) p2 = Relu(p)", "q = MatMul(a, w2) q2 = Relu(a)", "u, x")
        + " y = LayerNormalization(u, g, c)",
        keeps={"y": "Relu p2 in"},
    ),
    "a weight that is read raw, too": Case(
        _if("p = MatMul(a, w)", "q = MatMul(a, w2)") + _NORM + " r = MatMul(a, w) z = Relu(r)",
        converts="y",
        absorbs="w w2",
        copies="w",
        given=_TWO,
    ),
    "heads": Case(
        _if("p = MatMul(a, wide)", "q = MatMul(a, wide2)", "v") + "x = Reshape(v, heads)" + _NORM,
        "wide[4,16] wide2[4,16] g[8] c[8]",
        converts="y",
        absorbs="wide wide2",
        given={**_INPUTS, "outputs": "float y", "constants": {"heads": np.array([0, 0, 2, 8])}},
    ),
    "tokens that grow": Case(
        _S + _if("p = Concat<axis = 1>(s, s)", "q = Identity(s)") + _NORM,
        converts="y",
        absorbs="w",
        given={**_INPUTS, "outputs": "float y"},
    ),
    "a carried operand that vanishes": Case(
        _if("r = MatMul(a, w) k = ReduceMax<axes = [2]>(a) p = Add(r, k)", "q = MatMul(a, w2)")
        + _NORM,
        converts="y",
        absorbs="w w2",
    ),
    "norms of one number, which a raw reader may read": Case(
        "t = Relu(a) "
        + _if("p = LayerNormalization(a, one)", "q = LayerNormalization(t, one)")
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
        _S + _if("p = LayerNormalization(s, g, c)", "q = LayerNormalization(s, g2, c)", "y"),
        converts="p q",
        absorbs="w",
    ),
    "a Softmax over the features": Case(
        _S + _if("p = Softmax<axis = -1>(s)", "q = LayerNormalization(s, g, c)", "y"),
        converts="q",
        absorbs="w",
    ),
    "a Softmax over the tokens": Case(
        _S + _if("p = Softmax<axis = 1>(s)", "q = LayerNormalization(s, g, c)", "y"),
        keeps={"q": "Softmax p in then_branch of If y reads s raw"},
    ),
    "the sizes": Case(
        _S
        + _if("i = Shape(s) p = Cast<to = 1>(i)", "i2 = Shape(a) q = Cast<to = 1>(i2)", "z")
        + "y = LayerNormalization(s, g, c)",
        converts="y",
        absorbs="w",
        given=_TWO,
    ),
    "a mean to subtract": Case(
        _S
        + "d = ReduceMean<axes = [2]>(s) "
        + _if("r = Sub(s, d) p = Relu(r)", "q = LayerNormalization(s, g, c)", "y"),
        converts="q",
        absorbs="w",
    ),
    "a condition": Case(
        _S
        + """k = ReduceMax<keepdims = 0>(s) j = Greater(k, zero) y = LayerNormalization(s, g, c) """
        + _if("p = Identity(a)", "q = Neg(a)", "z").replace("(on)", "(j)"),
        keeps={"y": "ReduceMax k reads s raw"},
        given={**_TWO, "constants": {"zero": np.array(0.5, np.float32)}},
    ),
    "a raw reader behind the If": Case(
        _S + _if(_UPDATE, "q = Identity(s)") + _NORM + " z = Relu(x)",
        keeps={"n": "Relu z reads x raw", "y": "Relu z reads x raw"},
        given=_TWO,
    ),
    "the output behind the If": Case(
        _S + _if(_UPDATE, "q = Identity(s)", "y"),
        keeps={"n": "graph output y reads y raw"},
    ),
    "a body of a loop": Case(
        _S + "y = LayerNormalization(s, g, c) " + _loop("l, z", "u = LayerNormalization(s, g, c)"),
        converts="y u",
        recentres="s",
        given={**_TWO, "constants": _TURNS},
    ),
    "a branch in a body of a loop": Case(
        _S
        + "y = LayerNormalization(s, g, c) "
        + _loop("l, z", _if("p = LayerNormalization(s, g, c)", "q = Relu(v)", "u")),
        converts="y p",
        recentres="s",
        given={**_TWO, "constants": _TURNS},
    ),
    "a loop in a branch": Case(
        _S + _if(_loop("l, p", "u = Relu(s)"), "q = LayerNormalization(s, g, c)", "y"),
        keeps={"q": "Relu u in a nested graph reads s raw"},
        given={**_INPUTS, "outputs": "float y", "constants": _TURNS},
    ),
    "streams inside a body of a loop": Case(
        _loop(
            "l, y",
            _if("p = MatMul(v, w)", "q = MatMul(v, w2)") + "u = LayerNormalization(x, g, c)",
        ),
        converts="u",
        absorbs="w w2",
        given={**_INPUTS, "outputs": "float y", "constants": _TURNS},
    ),
}

_LESS = "e = Exp(b) keep = Greater(e, zero) less = Compress<axis = 1>(w2, keep) "

RAW = {
    "one branch is raw": Case(
        _if("r = MatMul(a, w) p = Relu(r)", "q = MatMul(a, w2)") + _NORM,
        keeps={"y": "Relu p in then_branch of If x writes it: p cannot be computed centred"},
    ),
    "one branch is raw, and two norms read": Case(
        _if("r = MatMul(a, w) p = Relu(r)", "q = MatMul(a, w2)")
        + _NORM
        + " z = LayerNormalization(x, g2, c)",
        converts="y z",
        absorbs="w2",
        recentres="p",
        given=_TWO,
    ),
    "both branches are raw, and two norms read": Case(
        _if("r = MatMul(a, w) p = Relu(r)", "q = Tanh(a2)")
        + _NORM
        + " z = LayerNormalization(x, g2, c)",
        converts="y z",
        recentres="x",
        given={"inputs": "float[B,S,4] a, float[B,S,8] a2, bool on", "outputs": "float y, float z"},
    ),
    "a branch reads a value that both need raw and centred": Case(
        "s = Relu(a2) "
        + _if("p = Identity(s)", "q = MatMul(a, w2)")
        + _NORM
        + " z = LayerNormalization(s, g2, c)",
        converts="y z",
        absorbs="w2",
        recentres="s",
        given={"inputs": "float[B,S,4] a, float[B,S,8] a2, bool on", "outputs": "float y, float z"},
    ),
    "features that one branch turns": Case(
        "s = MatMul(a, w) " + _if("p = Transpose<perm = [0, 2, 1]>(s)", "q = Identity(s)") + _NORM,
        keeps={"y": "a use on axis"},
        given={"inputs": "float[B,8,4] a, bool on", "outputs": "float y"},
    ),
    "features that one branch broadcasts": Case(
        _S
        + _if("p = ReduceMax<axes = [2]>(s)", "q = Identity(s)")
        + "u = Add(x, b) y = LayerNormalization(u, g, c)",
        keeps={"y": "Add u writes it"},
    ),
    "features that the first branch may leave out": Case(
        _LESS + _if("p = MatMul(a, less)", "q = MatMul(a, w)") + _NORM,
        keeps={"y": "If x writes it: x cannot"},
        given={**_INPUTS, "constants": {"zero": np.array(0, np.float32)}},
    ),
    "features that the second branch may leave out": Case(
        _LESS + _if("p = MatMul(a, w)", "q = MatMul(a, less)") + _NORM,
        keeps={"y": "If x writes it: x cannot"},
        given={**_INPUTS, "constants": {"zero": np.array(0, np.float32)}},
    ),
    "a Post-LN branch": Case(
        _S + _if("p = LayerNormalization(s, g, c)", "q = Identity(s)") + _NORM,
        converts="p",
        absorbs="w",
        keeps={"y": "LayerNormalization p in then_branch of If x writes it"},
    ),
}


def _held(name: str) -> str:
    entries = ", ".join(f"{0.1 * i * i - 1:.2f}" for i in range(8))
    return f"float[8] {name} = {{{entries}}}"


_CONSTANT = "Constant<value = float[8] {1, 2, 3, 5, 8, 13, 21, 34}>()"
_NEXT = "v = MatMul(a, w) u = Add(v, x) y = LayerNormalization(u, g, c)"

GIVEN = {
    "of a node": Case(
        _if(f"p = {_CONSTANT}", "q = Identity(b)") + _NEXT, converts="y", absorbs="w p b"
    ),
    "of nodes": Case(
        _if(f"p = {_CONSTANT}", f"q = {_CONSTANT}") + _NEXT, converts="y", absorbs="w p q"
    ),
    "of the branch": Case(
        _if("", f"q = {_CONSTANT}")
        .replace("{  }", "{ }")
        .replace("(float[] p)", f"(float[] p) <{_held('p')}>")
        + _NEXT,
        converts="y",
        absorbs="w p q",
    ),
    "that the branch reads, too": Case(
        _two(f"p = {_CONSTANT} p2 = Relu(p)", "q = Identity(b) q2 = Neg(b)", "x, z") + _NEXT,
        converts="y",
        absorbs="w p b",
        copies="p b",
        given=_TWO,
    ),
    "for two results": Case(
        _two(f"p = {_CONSTANT} p2 = Identity(p)", "q = Identity(b) q2 = Neg(b)", "x, z") + _NEXT,
        converts="y",
        absorbs="w p b",
        copies="p b",
        given=_TWO,
    ),
    "of zeros": Case(
        _if("p = Constant<value = float[8] {0, 0, 0, 0, 0, 0, 0, 0}>()", "q = Identity(b)") + _NEXT,
        converts="y",
        absorbs="w b",
    ),
}

TABLES = {"both": BOTH, "readers": READERS, "raw": RAW, "constants": GIVEN}
ALL = {
    f"{kind}: {name}": dataclasses.replace(
        case, weights=case.weights or _W, given=case.given or _INPUTS
    )
    for kind, table in TABLES.items()
    for name, case in table.items()
}

both_conditions = pytest.mark.parametrize("on", [True, False])


@cases(ALL)
@both_conditions
def test_streams_through_if(case: Case, on: bool) -> None:
    assert_outcome(dataclasses.replace(case, options={"feeds": {"on": np.array(on)}}))


@cases(ALL)
@both_conditions
@pytest.mark.parametrize("basis", ["orthonormal", "drop"])
@pytest.mark.parametrize("share", [0.6, 50.0], ids=["at its price", "at any price"])
def test_compressed_streams_through_if(case: Case, on: bool, basis: str, share: float) -> None:
    model = graph(case.body, case.weights, **case.given)
    with mock.patch.object(compression, "_SHARE_OF_DECODER", share):
        outcome = optimized(model, feeds={"on": np.array(on)}, variant="crms", basis=basis)
    assert outcome.converted >= set(case.converts.split())
    kinds = [f"{change.kind}s" for change in outcome.summary.basis_changes]
    for kind in ("encoders", "decoders"):
        assert outcome.counts[kind] == kinds.count(kind)


_BLOCKS = """n = LayerNormalization(s, g, c) h = MatMul(n, m) r = Add(s, h)
    n2 = LayerNormalization(r, g, c) h2 = MatMul(n2, m) t = Add(r, h2)
    n3 = LayerNormalization(t, g, c) h3 = MatMul(n3, m) p = Add(t, h3) """

COMPRESSED = {
    "both branches write it": (
        _if("p = MatMul(a, w)", "q = MatMul(a, w2)"),
        {"streams compressed": 3, "weights encoded": 2, "encoders": 0, "decoders": 0},
    ),
    "a branch updates it": (
        _S + _if(_UPDATE, "q = Identity(s)"),
        {"streams compressed": 5, "weights encoded": 3, "readers absorbed": 2, "decoders": 0},
    ),
    "a branch gives a constant": (
        _if(f"p = {_CONSTANT}", "q = Identity(b)", "e") + "v = MatMul(a, w) x = Add(v, e) ",
        {"streams compressed": 4, "weights encoded": 3, "encoders": 0, "decoders": 0},
    ),
    "a branch gives a constant that it reads, too": (
        _two(f"p = {_CONSTANT} p2 = Relu(p)", "q = Identity(b) q2 = Neg(b)", "e, z")
        + "v = MatMul(a, w) x = Add(v, e) ",
        {"streams compressed": 4, "weights encoded": 3, "encoders": 0, "decoders": 0},
    ),
    "a branch writes what is raw": (
        _if("r = MatMul(a, w) p = Relu(r)", "q = MatMul(a, w2)"),
        {"streams compressed": 2, "encoders": 1, "decoders": 0, "recentrings": 1},
    ),
    "a branch tolerates the mean": (
        _S + _if("p = MatMul(a, w2)", "q = Softmax<axis = -1>(s)", "z") + "x = Identity(s) ",
        {"streams compressed": 1, "encoders": 1, "decoders": 0},
    ),
    "a branch gives what is read whole": (
        _S
        + _if(_BLOCKS, "v = MatMul(a, w2) q = Relu(v)", "u")
        + "z = Softmax<axis = -1>(u) x = Identity(s) ",
        {"streams compressed": 8, "encoders": 0, "decoders": 1},
    ),
    "a branch reads it whole": (
        _S
        + _BLOCKS.replace("p =", "t3 =")
        + _if("p = MatMul(a, w2)", "q = Softmax<axis = -1>(t3)", "z")
        + "x = Identity(t3) ",
        {"streams compressed": 8, "encoders": 0, "decoders": 1},
    ),
    "a Softmax reads it behind the If": (
        _if("p = MatMul(a, w)", "q = MatMul(a, w2)") + "z = Softmax<axis = -1>(x) ",
        {"streams compressed": 0, "encoders": 1, "decoders": 0},
    ),
    "a branch looks at its sizes": (
        _S
        + _if("i = Shape(s) p = Cast<to = 1>(i)", "k = Shape(a) q = Cast<to = 1>(k)", "z")
        + "x = Identity(s) ",
        {"streams compressed": 2, "encoders": 0, "decoders": 0, "sizes edited": 1},
    ),
}


@pytest.mark.parametrize(("body", "counts"), COMPRESSED.values(), ids=COMPRESSED)
@both_conditions
@pytest.mark.parametrize("basis", ["orthonormal", "drop"])
def test_what_is_compressed(body: str, counts: dict[str, int], on: bool, basis: str) -> None:
    body += "y2 = LayerNormalization(x, g, c) y = MatMul(y2, m2)"
    given = _TWO if "z = " in body or ", z" in body else _INPUTS
    with mock.patch.object(compression, "_SHARE_OF_DECODER", 50.0):
        outcome = optimized(
            graph(body, _W, **given), feeds={"on": np.array(on)}, variant="crms", basis=basis
        )
    assert {name: outcome.counts[name] for name in counts} == counts
    assert all(norm.compressed for norm in outcome.summary.norms)


def test_a_dead_result_keeps_its_shape() -> None:
    body = (
        _two("p = MatMul(a, w) p2 = Relu(a2)", "q = MatMul(a, w2) q2 = Neg(a2)", "x, u")
        + "n = LayerNormalization(x, g, c) y = MatMul(n, m2)"
    )
    inputs = "float[B,S,4] a, float[B,S,8] a2, bool on"
    outcome = optimized(
        graph(body, _W, inputs=inputs, declared="float[B,S,8] x, float[B,S,8] u"), variant="crms"
    )
    assert outcome.counts["streams compressed"] == 3
    node = next(node for node in outcome.after.graph if node.op_type == "If")
    assert [value.shape[2] for value in node.outputs] == [7, 8]


@cases(ALL)
@pytest.mark.parametrize("variant", ["rms", "crms"])
def test_onnx_runtime_runs_both_branches(case: Case, variant: str) -> None:
    model = graph(case.body, case.weights, float64=False, **case.given)
    after = model.clone()
    options = pipeline.Options(ops="standard", variant=variant)
    with mock.patch.object(compression, "_SHARE_OF_DECODER", 50.0):
        pipeline.run(after, options)
    before, now = OptimizedSession(model), OptimizedSession(after)
    generator = np.random.default_rng(5)
    feeds = {}
    for value in model.graph.inputs:
        if value.dtype == ir.DataType.FLOAT:
            shape = [dim if isinstance(dim, int) else 2 for dim in value.shape]
            feeds[value.name] = generator.normal(0.7, 1.0, shape).astype(np.float32)
    for on in (True, False):
        expected = before.run({**feeds, "on": np.array(on)})
        found = now.run({**feeds, "on": np.array(on)})
        for name, truth in expected.items():
            limit = 2e-5 * np.abs(truth).max()
            np.testing.assert_allclose(found[name], truth, rtol=0, atol=limit, err_msg=name)
