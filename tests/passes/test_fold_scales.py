"""Scales go into the weights of the queries, once, and not where others read the queries."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.passes.fold_scales import FoldScales
from graphopt.passes.infer_shapes import InferShapes
from tests.passes.attention import records
from tests.passes.graphs import graph

CONSTANTS = {
    "h": np.array([0, 0, 2, 4], np.int64),
    "h3": np.array([0, 0, 2, 12], np.int64),
    "flat": np.array([-1, 8], np.int64),
    "fours": np.array([4, -1], np.int64),
    "rows": np.array([6, 1], np.int64),
    "ones": np.array([2, 3, 1], np.int64),
    "unflat": np.array([2, 3, 8], np.int64),
    "c": np.array(0.3, np.float32),
    "c1": np.array([0.3], np.float32),
    "deep": np.array([[[[[0.3]]]]], np.float32),
    "vector": np.array([0.3, 0.2, 0.1, 1.0], np.float32),
    "nothing": np.array(0, np.float32),
    "parts": np.array([8, 8, 8], np.int64),
    "halves": np.array([4, 4], np.int64),
    "thirds": np.array([4, 4, 4], np.int64),
    "some": np.array([0], np.int64),
    "two": np.array([2], np.int64),
    "four": np.array([4], np.int64),
    "axis": np.array([3], np.int64),
    "exponent": np.array(2, np.float32),
}
WEIGHTS = (
    "w[8,8] v[8,8] j[8,24] b[8] d[8] jb[24] cos[1,1,3,4] sin[1,1,3,4] k[2,2,4,3] z[8,8] column[8,1]"
)

_Q = "q0 = MatMul(x, w) q1 = Add(q0, b) q2 = Reshape(q1, h) q = Transpose<perm=[0,2,1,3]>(q2)"
_K = "k0 = MatMul(x, v) k2 = Reshape(k0, h) kt = Transpose<perm=[0,2,3,1]>(k2)"
_ROTATED = f"""{_Q} lo = Slice(q, some, two, axis) hi = Slice(q, two, four, axis) n = Neg(hi)
    turned = Concat<axis=3>(n, lo) r0 = Mul(q, cos) r1 = Mul(turned, sin) r = Add(r0, r1)"""
_JOINED = """j0 = MatMul(x, j) j1 = Add(j0, jb)
    qj, kj, vj = Split<axis=2>(j1, parts) q2 = Reshape(qj, h) q = Transpose<perm=[0,2,1,3]>(q2)
    k2 = Reshape(kj, h) kt = Transpose<perm=[0,2,3,1]>(k2)"""
_BY_HEAD = """j0 = MatMul(x, j) j1 = Add(j0, jb) j2 = Reshape(j1, h3)
    j3 = Transpose<perm=[0,2,1,3]>(j2) q, kj, vj = Split<axis=3>(j3, thirds)
    kt = Transpose<perm=[0,1,3,2]>(kj)"""

# What computes s from float[2,3,8] x; scales folded, scales merged.
CASES: dict[str, tuple[str, int, int]] = {
    "on both sides": (f"{_Q} {_K} a = Mul(q, c) e = Mul(c, kt) s = MatMul(a, e)", 2, 0),
    "divided on both sides": (f"{_Q} {_K} a = Div(q, c) e = Div(kt, c1) s = MatMul(a, e)", 2, 0),
    "on the scores": (f"{_Q} {_K} t = MatMul(q, kt) s = Mul(t, c)", 1, 0),
    "dividing the scores": (f"{_Q} {_K} t = MatMul(q, kt) s = Div(t, c)", 1, 0),
    "dividing by the scores": (f"{_Q} {_K} t = MatMul(q, kt) s = Div(c, t)", 0, 0),
    "in three places": (
        f"{_Q} {_K} a = Mul(q, c) e = Mul(kt, c) t = MatMul(a, e) s = Mul(t, c)",
        3,
        0,
    ),
    "on the queries, before the heads": (
        f"""q0 = MatMul(x, w) q1 = Add(b, q0) a = Mul(q1, c) q2 = Reshape(a, h)
        q = Transpose<perm=[0,2,1,3]>(q2) {_K} s = MatMul(q, kt)""",
        1,
        0,
    ),
    "on queries without bias": (
        f"""q0 = MatMul(x, w) q2 = Reshape(q0, h) q = Transpose<perm=[0,2,1,3]>(q2) {_K}
        a = Mul(q, c) e = Mul(c, kt) s = MatMul(a, e)""",
        2,
        0,
    ),
    "on queries of a Gemm": (
        f"""f = Reshape(x, flat) q0 = Gemm<alpha=0.5, beta=2.0, transB=1>(f, w, b)
        q1 = Reshape(q0, unflat) q2 = Reshape(q1, h) q = Transpose<perm=[0,2,1,3]>(q2) {_K}
        a = Mul(q, c) e = Mul(c, kt) s = MatMul(a, e)""",
        2,
        0,
    ),
    "on rotated queries": (f"{_ROTATED} {_K} a = Mul(r, c) e = Mul(kt, c) s = MatMul(a, e)", 2, 0),
    "on a part of a joint projection": (
        f"{_JOINED} a = Mul(q, c) e = Mul(kt, c) t = MatMul(a, e) u = ReduceSum(vj) s = Add(t, u)",
        2,
        0,
    ),
    "on a part of each head": (
        f"{_BY_HEAD} a = Mul(q, c) e = Mul(kt, c) t = MatMul(a, e) u = ReduceSum(vj) s = Add(t, u)",
        2,
        0,
    ),
    "keys that are a constant": (f"{_Q} a = Mul(q, c) e = Mul(k, c) s = MatMul(a, e)", 2, 0),
    "queries that are no multiple of weights": (
        f"{_Q} {_K} g = Exp(q) a = Mul(g, c) e = Mul(kt, c) s = MatMul(a, e)",
        0,
        1,
    ),
    "divided queries that are no multiple": (
        f"{_Q} {_K} g = Exp(q) a = Div(g, c) e = Mul(kt, c) s = MatMul(a, e)",
        0,
        1,
    ),
    "the scores of queries that are no multiple": (
        f"{_Q} {_K} g = Exp(q) t = MatMul(g, kt) s = Mul(t, c)",
        0,
        0,
    ),
    "queries that are also read elsewhere": (
        f"{_Q} {_K} a = Mul(q, c) e = Mul(kt, c) t = MatMul(a, e) u = ReduceSum(q) s = Add(t, u)",
        0,
        1,
    ),
    "a projection that is also read elsewhere": (
        f"{_Q} {_K} a = Mul(q, c) e = Mul(kt, c) t = MatMul(a, e) u = ReduceSum(q1) s = Add(t, u)",
        0,
        1,
    ),
    "a weight that is also read elsewhere": (
        f"{_Q} {_K} a = Mul(q, c) e = Mul(kt, c) t = MatMul(a, e) u = ReduceSum(w) s = Add(t, u)",
        0,
        1,
    ),
    "a bias that is also read elsewhere": (
        f"{_Q} {_K} a = Mul(q, c) e = Mul(kt, c) t = MatMul(a, e) u = ReduceSum(b) s = Add(t, u)",
        2,
        0,
    ),
    "scaled queries that are also read elsewhere": (
        f"{_Q} {_K} a = Mul(q, c) e = Mul(kt, c) t = MatMul(a, e) u = ReduceSum(a) s = Add(t, u)",
        1,  # that of the keys, into their own weights
        0,
    ),
    "scaled keys that are also read elsewhere": (
        f"{_Q} {_K} a = Mul(q, c) e = Mul(kt, c) t = MatMul(a, e) u = ReduceSum(e) s = Add(t, u)",
        1,
        0,
    ),
    "queries times themselves": (
        f"q0 = MatMul(x, w) g = Mul(q0, q0) a = Mul(g, c) {_K} q2 = Reshape(a, h) "
        "q = Transpose<perm=[0,2,1,3]>(q2) s = MatMul(q, kt)",
        0,
        0,
    ),
    "queries times a sum of themselves": (
        f"q0 = MatMul(x, w) i = Neg(q0) g0 = Mul(q0, i) g = Add(g0, i) a = Mul(g, c) {_K} "
        "q2 = Reshape(a, h) q = Transpose<perm=[0,2,1,3]>(q2) s = MatMul(q, kt)",
        0,
        0,
    ),
    "queries that go through two weights": (
        f"q0 = MatMul(x, w) q1 = MatMul(q0, z) g = Add(q1, q0) a = Mul(g, c) {_K} "
        "q2 = Reshape(a, h) q = Transpose<perm=[0,2,1,3]>(q2) s = MatMul(q, kt)",
        0,
        0,
    ),
    "a scale for each feature": (f"{_Q} {_K} a = Mul(q, vector) s = MatMul(a, kt)", 0, 0),
    "a part of what one vector of weights gives": (
        """f = Reshape(x, flat) t = Transpose(f) g = MatMul(t, f) r = MatMul(g, b)
        q, u = Split<axis=0>(r, halves) a = Mul(q, c) k0 = MatMul(x, v) kt = Reshape(k0, fours)
        e = MatMul(a, kt) n = ReduceSum(u) s = Add(e, n)""",
        0,
        0,
    ),
    "a part of a sum with what is broadcast on the features": (
        """j0 = MatMul(x, j) r0 = MatMul(x, column) r1 = Reshape(r0, rows) r = Reshape(r1, ones)
        j1 = Add(j0, r) qj, kj, vj = Split<axis=2>(j1, parts) q2 = Reshape(qj, h)
        q = Transpose<perm=[0,2,1,3]>(q2) k2 = Reshape(kj, h) kt = Transpose<perm=[0,2,3,1]>(k2)
        a = Mul(q, c) t = MatMul(a, kt) u = ReduceSum(vj) s = Add(t, u)""",
        0,
        0,
    ),
    "a scale of 0": (f"{_Q} {_K} a = Mul(q, nothing) s = MatMul(a, kt)", 0, 0),
    "a scale that adds an axis": (f"{_Q} {_K} t = MatMul(q, kt) s = Mul(t, deep)", 0, 0),
}


@pytest.mark.parametrize("case", CASES)
def test_a_scale_is_folded_once(case: str) -> None:
    body, folded, merged = CASES[case]
    model, original = _model(body), _model(body)
    counted = {"scales folded": folded, "scales merged": merged}
    assert records(model, FoldScales()) == {name: n for name, n in counted.items() if n}
    x = np.random.default_rng(0).normal(size=(2, 3, 8))
    before, after = (evaluate(each, {"x": x})["y"] for each in (original, model))
    assert np.abs(after - before).max() <= 1e-12 * np.abs(before).max()
    if folded or merged:
        assert model.graph.num_nodes() == original.graph.num_nodes() - folded - merged


def _model(body: str, kind: str = "float", float64: bool = True) -> ir.Model:
    return graph(
        f"{body} y = Identity(s)",
        WEIGHTS,
        inputs=f"{kind}[2,3,8] x",
        outputs=f"{kind} y",
        constants=CONSTANTS,
        float64=float64,
    )


def test_weights_of_16_bits_stay() -> None:
    model = _model(CASES["on both sides"][0])
    for value in model.graph.initializers.values():
        if value.dtype == ir.DataType.DOUBLE:
            assert value.const_value is not None
            value.const_value = ir.tensor(value.const_value.numpy().astype(np.float16))
            value.dtype = ir.DataType.FLOAT16
    model.graph.inputs[0].dtype = ir.DataType.FLOAT16
    for node in model.graph:
        node.outputs[0].dtype = ir.DataType.FLOAT16
    assert records(model, FoldScales()) == {"scales merged": 1}


def test_a_power_of_two_changes_no_digit() -> None:
    constants = {**CONSTANTS, "c": np.array(0.25, np.float32)}
    model = graph(
        CASES["on both sides"][0] + " y = Identity(s)",
        WEIGHTS,
        inputs="float[2,3,8] x",
        outputs="float y",
        constants=constants,
        float64=False,
    )
    weight = model.graph.initializers["w"].const_value
    assert weight is not None
    before = weight.numpy().copy()
    records(model, FoldScales())
    after = model.graph.initializers["w"].const_value
    assert after is not None
    assert np.array_equal(after.numpy(), before / 16)


def test_parts_of_absurd_size_are_not_marked() -> None:
    """A damaged file may split into 2^40 features; nothing is made of that size."""
    model = ir.from_onnx_text(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[2, 3, 8] x, float[8, 24] j) => (float y)
        <float c = {0.5}, int64[3] parts = {1099511627776, 8, 8}> {
            j0 = MatMul(x, j) q, k, v = Split<axis=2>(j0, parts) a = Mul(q, c)
            kt = Transpose<perm=[0,2,1]>(k) s = MatMul(a, kt) y = Softmax(s) }"""
    )
    weight = model.graph.inputs.pop()
    weight.const_value = ir.tensor(np.ones((8, 24), np.float32), name="j")
    model.graph.register_initializer(weight)
    InferShapes()(model)
    assert not FoldScales()(model).modified
