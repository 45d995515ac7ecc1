"""LayerScale: a constant factor for each feature goes into the linear map before it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.passes.fold_layer_scale import FoldLayerScale
from graphopt.passes.infer_shapes import InferShapes
from tests.passes.graphs import graph, optimized

INPUTS = """float[B,4,6] a, float[B,4,8] rest, bool[B,4,1] m, float[B,4,1] t, float[8] given,
    float[2,3,5,5] image"""
WEIGHTS = """w[6,8] wt[8,6] b[8] k[8] k3[1,1,8] kc[8,1,1] tokens[4,1] both[4,8] one[1] s[]
    conv[8,3,2,2] bc[8] places[1,4,8] table[11,8] w2[6,8] depthwise[8,1,2,2] g[8] c[8]"""
INTS = {"flat": [-1, 8], "heads": [0, 0, 2, 4], "ids": [1, 3, 0, 2], "i1": [1], "i2": [2]}

# name: (body, LayerScales that fold)
FOLDS = {
    "a linear map": ("p = MatMul(a, w) y = Mul(p, k)", 1),
    "the factor first": ("p = MatMul(a, w) y = Mul(k, p)", 1),
    "a factor of rank 3": ("p = MatMul(a, w) y = Mul(p, k3)", 1),
    "a bias": ("p = MatMul(a, w) q = Add(p, b) y = Mul(q, k)", 1),
    "Gemm": ("f = Reshape(a, wide) q = Gemm<alpha = 2.0, beta = 0.5>(f, w, b) y = Mul(q, k)", 1),
    "Gemm, transposed, behind a Reshape": (
        "f = Reshape(a, wide) q = Gemm<transB = 1>(f, wt) r = Reshape(q, flat) y = Mul(r, k)",
        1,
    ),
    "Conv": ("p = Conv(image, conv, bc) y = Mul(p, kc)", 1),
    "two factors": ("p = MatMul(a, w) q = Mul(p, k) y = Mul(q, k3)", 2),
    "a sum of two maps": ("p = MatMul(a, w) q = MatMul(a, w2) r = Add(p, q) y = Mul(r, k)", 1),
    "a position embedding": ("p = MatMul(a, w) q = Add(p, places) y = Mul(q, k)", 1),
    "a table": ("p = Gather(table, ids) y = Mul(p, k)", 1),
    "Dropout, a mask, a number": (
        "p = MatMul(a, w) d = Dropout(p) e = Mul(d, t) f = Mul(e, s) y = Mul(f, k)",
        1,
    ),
    "Where with two branches": (
        "p = MatMul(a, w) q = MatMul(a, w2) r = Where(m, p, q) y = Mul(r, k)",
        1,
    ),
    "a Transpose": ("p = MatMul(a, w) r = Transpose<perm = [1, 0, 2]>(p) y = Mul(r, k)", 1),
    "features that are rows": (
        "p = Transpose<perm = [0, 2, 1]>(a) q = MatMul(wt, p) y = Mul(q, column)",
        1,
    ),
    "a graph output": ("p = MatMul(a, w) y = Mul(p, k)", 1),
}

# name: body
STAYS = {
    "the map has another reader": "p = MatMul(a, w) q = Mul(p, k) y = Sub(q, p)",
    "the map is a graph output": "z = MatMul(a, w) q = Mul(z, k) y = Neg(q)",
    "the weight is shared": "p = MatMul(a, w) q = Mul(p, k) r = MatMul(a, w) y = Add(q, r)",
    "the bias has another reader": "p = MatMul(a, w) q = Add(p, b) r = Mul(q, k) y = Add(r, b)",
    "a product of two constants": "p = Mul(k, b) y = Add(rest, p)",
    "a product of a Constant node": """v = Constant<value_floats = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0,
        7.0, 8.0]>() p = Mul(v, k) y = LayerNormalization(rest, p, c)""",
    "a product of constants that a branch gives": """v = ReduceMax<keepdims = 0>(given)
        z = Constant<value_float = 0.0>() is = Greater(v, z)
        p = If(is)<then_branch = l () => (float[8] o) { o = Mul(k, b) },
                   else_branch = r () => (float[8] e) { e = Identity(b) }> y = Add(rest, p)""",
    "an activation between": "p = MatMul(a, w) q = Relu(p) y = Mul(q, k)",
    "a norm between": "p = MatMul(a, w) q = LayerNormalization(p, g, c) y = Mul(q, k)",
    "a softmax between": "p = MatMul(a, w) q = Softmax(p) y = Mul(q, k)",
    "a number is added": "p = MatMul(a, w) q = Add(p, s) y = Mul(q, k)",
    "a per-token number is added": "p = MatMul(a, w) q = Add(p, t) y = Mul(q, k)",
    "a number takes a place": "p = MatMul(a, w) q = Where(m, p, s) y = Mul(q, k)",
    "a residual is added": "p = MatMul(a, w) q = Add(p, rest) y = Mul(q, k)",
    "its mean is taken away": (
        "p = MatMul(a, w) o = ReduceMean<axes = [2]>(p) q = Sub(p, o) y = Mul(q, k)"
    ),
    "the factor is given": "p = MatMul(a, w) y = Mul(p, given)",
    "the factor is one for each token": "p = MatMul(a, w) y = Mul(p, tokens)",
    "the factor is a matrix": "p = MatMul(a, w) y = Mul(p, both)",
    "the factor is one number": "p = MatMul(a, w) y = Mul(p, one)",
    "the factor is not finite": "p = MatMul(a, w) y = Mul(p, infinite)",
    "the factor widens the result": "p = MatMul(a, w1) y = Mul(p, k)",
    "the features are split into heads": ("p = MatMul(a, w) h = Reshape(p, heads) y = Mul(h, k4)"),
    "a quotient": "p = MatMul(a, w) y = Div(p, k)",
    "both factors are computed": "p = MatMul(a, w) q = MatMul(a, w2) y = Mul(p, q)",
    "a Conv with groups": "p = Conv(image, conv) q = Conv<group = 8>(p, depthwise) y = Mul(q, kc)",
    "a Split": "p = MatMul(a, w) q, r = Split<axis = 1>(p) y = Mul(q, k)",
}


def _model(body: str, **given: object) -> ir.Model:
    constants = {name: np.array(entries) for name, entries in INTS.items()}
    constants |= {
        "wide": np.array([-1, 6]),
        "infinite": np.array([1, 2, np.inf, 1, 1, 1, 1, 1], np.float32),
    }
    outputs = "float y, float z" if "z =" in body else "float y"
    return graph(
        body,
        WEIGHTS + " w1[6,1] k4[4] column[8,1]",
        inputs=INPUTS,
        outputs=outputs,
        constants=constants,
        **given,
    )


@pytest.mark.parametrize(("body", "count"), FOLDS.values(), ids=FOLDS)
def test_a_layer_scale_folds_into_the_weights(body: str, count: int) -> None:
    outcome = optimized(_model(body))
    assert outcome.counts["layer scales folded"] == count
    muls = sum(node.op_type == "Mul" for node in outcome.before.graph)
    assert outcome.count("Mul") == muls - count


@pytest.mark.parametrize("body", STAYS.values(), ids=STAYS)
def test_a_factor_stays_where_it_cannot_fold(body: str) -> None:
    assert optimized(_model(body)).counts["layer scales folded"] == 0


def test_a_weight_that_is_a_graph_output_takes_no_factor() -> None:
    body = "p = MatMul(a, w) y = Mul(p, k)"
    model = graph(body, WEIGHTS, inputs="float[B,S,6] a", outputs="float y, float[6,8] w")
    assert optimized(model).counts["layer scales folded"] == 0


def test_a_graph_output_keeps_its_name_and_shape() -> None:
    body = "p = MatMul(a, w) y = Mul(p, k)"
    outcome = optimized(graph(body, WEIGHTS, inputs="float[B,S,6] a", outputs="float[B,S,8] y"))
    assert [value.name for value in outcome.after.graph.outputs] == ["y"]
    assert list(outcome.after.graph.outputs[0].shape or ()) == ["B", "S", 8]
    assert [node.op_type for node in outcome.after.graph] == ["MatMul"]


_BLOCK = """x = MatMul(a, w) n = LayerNormalization(x, g, c) q = MatMul(n, m8) r = Add(q, b)
    l = Mul(r, k) h = Add(x, l) o = LayerNormalization(h, g, c) y = Relu(o)"""


@pytest.mark.parametrize(("skip", "converted"), [([], {"n", "o"}), (["fold-layer-scale"], {"n"})])
def test_a_folded_layer_scale_lets_the_mean_through(skip: list[str], converted: set[str]) -> None:
    """Without it h is not centred, and one recentring does not pay for one norm."""
    model = graph(_BLOCK, WEIGHTS + " m8[8,8]", inputs="float[B,S,6] a", outputs="float y")
    outcome = optimized(model, skip=frozenset(skip))
    assert outcome.converted == converted
    assert not outcome.recentred


def test_a_layer_scale_of_a_branch_folds_into_a_weight_of_the_outer_graph() -> None:
    body = """y = If (on) <then_branch = yes () => (float[B,S,8] p) {
        q = MatMul(a, w) p = Mul(q, k) }, else_branch = no () => (float[B,S,8] r) {
        r = MatMul(a, w2) }>"""
    model = graph(body, WEIGHTS, inputs="float[B,S,6] a, bool on", outputs="float y")
    for on in (True, False):
        outcome = optimized(model, feeds={"on": np.array(on)})
        assert outcome.counts["layer scales folded"] == 1


def test_a_layer_scale_of_a_captured_value_stays() -> None:
    body = """q = MatMul(a, w) y = If (on) <then_branch = yes () => (float[B,S,8] p) {
        p = Mul(q, k) }, else_branch = no () => (float[B,S,8] r) { r = MatMul(a, w2) }>"""
    model = graph(body, WEIGHTS, inputs="float[B,S,6] a, bool on", outputs="float y")
    outcome = optimized(model, feeds={"on": np.array(True)})
    assert outcome.counts["layer scales folded"] == 0


@pytest.mark.parametrize(("factor", "folds"), [(1e-1, True), (1e-5, False), (0.0, True)])
def test_a_half_is_left_alone_where_digits_would_be_lost(factor: float, folds: bool) -> None:
    """2^-14 is the smallest normal float16: what falls below it has fewer digits."""
    random = np.random.default_rng(3)
    constants = {
        "w": random.normal(0, 0.3, (6, 8)).astype(np.float16),
        "k": np.full(8, factor, np.float16),
    }
    model = graph(
        "p = MatMul(a, w) y = Mul(p, k)",
        inputs="float16[B,S,6] a",
        outputs="float16[B,S,8] y",
        constants=constants,
        float64=False,
    )
    InferShapes()(model)
    fold = FoldLayerScale()
    fold(model)
    assert fold.record == {"layer scales folded": int(folds)}
    if folds:
        exact = constants["w"].astype(np.float64) * constants["k"].astype(np.float64)
        found = model.graph.initializers["w"].const_value.numpy()
        assert (found == exact.astype(np.float16)).all()


def test_folding_a_half_costs_no_more_than_rounding() -> None:
    """The error of a folded float16 weight is at most half a unit in the last place."""
    random = np.random.default_rng(5)
    weight = random.normal(0, 0.3, (6, 8)).astype(np.float16)
    factor = random.uniform(0.05, 2, 8).astype(np.float16)
    model = graph(
        "p = MatMul(a, w) y = Mul(p, k)",
        inputs="float16[6,6] a",
        outputs="float16[6,8] y",
        constants={"w": weight, "k": factor},
        float64=False,
    )
    InferShapes()(model)
    FoldLayerScale()(model)
    identity = np.eye(6, dtype=np.float16)
    exact = weight.astype(np.float64) * factor.astype(np.float64)
    found = evaluate(model, {"a": identity})["y"].astype(np.float64)
    assert (np.abs(found - exact) <= 2**-11 * np.abs(exact) + 2**-25).all()
