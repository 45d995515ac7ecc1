"""beta goes into the biases of linear maps, and only where every reader is one.

x [B, 4, 8] is normalized to n. Every case must stay the same function, and says what becomes of
beta.
"""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.passes import pipeline
from tests.passes.graphs import Outcome, graph, optimized

INPUTS = """float[B,4,4] a, float[B,4,8] free, float[B,2,8] token1, bool[B,4,1] m, float[6] given,
    float[8,6] u"""
WEIGHTS = """w[4,8] g[8] c[8] k[8,6] kt[6,8] k2[8,8] wide[8,20] b[6] b1[1] s[] column[4,1]
    full[4,6] conv[6,8,1] conv3[6,8,3] across[6,4,1] halves[6,4,1] rank3[1,8,6] rows[4,6]
    k32[32,6] w2[4,8] qkv[8,24] qkv_bias[24] qkv4[4,24] qkv4_bias[24]"""
INTS = {
    "flat": [-1, 8],
    "flat4": [-1, 4],
    "merged": [-1, 32],
    "heads": [0, 0, 2, 4],
    "i0": [0],
    "i1": [1],
    "i2": [2],
    "i3": [3],
    "last": [-1],
    "i4": [4],
    "by2": [1, 2, 1],
    "around": [0, 1, 0, 0, 1, 0],
    "places": [[0], [1]],
    "back": [7, 6, 5, 4, 3, 2, 1, 0],
}


def _outcome(fragment: str, inputs: str = INPUTS, **options: object) -> Outcome:
    body = f"x = MatMul(a, w) n = LayerNormalization(x, g, c) {fragment}"
    constants = {name: np.array(entries) for name, entries in INTS.items()}
    model = graph(body, WEIGHTS, inputs=inputs, outputs="float y", constants=constants)
    outcome = optimized(model, **options)
    assert outcome.converted == {"n"}
    return outcome


# What reads n: new bias Adds behind it
FOLDS = {
    "y = MatMul(n, k)": 1,
    "q = MatMul(n, k) y = Add(q, b)": 0,
    "q = MatMul(n, k) y = Add(b, q)": 0,
    "q = MatMul(n, k) y = Relu(q)": 1,
    "q = MatMul(n, k) y = Add(q, given)": 1,
    "q = MatMul(n, k) y = Add(q, b1)": 1,
    "q = MatMul(n, k) y = Add(q, full)": 1,
    "q = MatMul(n, k) y = Add(q, q)": 1,
    "q = MatMul(n, k) r = Add(q, b) t = Relu(q) y = Add(r, t)": 1,
    "f = Reshape(n, flat) y = Gemm(f, k)": 0,
    "f = Reshape(n, flat) y = Gemm(f, k, b)": 0,
    "f = Reshape(n, flat) y = Gemm<transB = 1>(f, kt, b)": 0,
    "f = Reshape(n, flat) y = Gemm<alpha = 0.5>(f, k, b)": 0,
    "f = Reshape(n, flat) y = Gemm<beta = 0.25>(f, k, b)": 0,
    "f = Reshape(n, flat) y = Gemm<alpha = 0.5, beta = -2.0, transB = 1>(f, kt, b)": 0,
    "f = Reshape(n, flat) y = Gemm<alpha = 0.5, beta = 2.0>(f, k, b1)": 0,
    "f = Reshape(n, flat) y = Gemm<beta = 2.0>(f, k, s)": 0,
    'f = Reshape(n, flat) y = Gemm<alpha = 3.0, beta = 2.0>(f, k, "")': 0,
    "f = Reshape(n, flat) y = Gemm<beta = 2.0>(f, k, given)": 1,
    "f = Gather(n, i0) h = Squeeze(f, i0) y = Gemm<beta = 2.0>(h, k, column)": 0,
    "f = Gather(n, i0) h = Squeeze(f, i0) y = Gemm<beta = 2.0>(h, k, full)": 0,
    "y = com.microsoft.FusedMatMul<alpha = 0.5>(n, k)": 1,
    "q = com.microsoft.FusedMatMul<alpha = 0.5, transB = 1>(n, kt) y = Add(q, b)": 0,
    "t = Transpose<perm = [0, 2, 1]>(n) y = Conv(t, conv)": 0,
    "t = Transpose<perm = [0, 2, 1]>(n) y = Conv(t, conv3, b)": 0,
    't = Transpose<perm = [0, 2, 1]>(n) y = Conv<auto_pad = "VALID">(t, conv3, b)': 0,
    "t = Transpose<perm = [0, 2, 1]>(n) y = Conv<strides = [2], dilations = [1]>(t, conv3)": 0,
    "y = com.microsoft.Attention<num_heads = 2>(n, qkv, qkv_bias)": 0,
    "i = Identity(n) y = MatMul(i, k)": 1,
    "t = Transpose<perm = [1, 0, 2]>(n) y = MatMul(t, k)": 1,
    "v = Slice(n, i0, i2, i1) y = MatMul(v, k)": 1,
    "v = Gather<axis = 1>(n, i2) y = MatMul(v, k)": 1,
    "v = GatherND(n, places) y = MatMul(v, k)": 1,
    "v = Tile(n, by2) y = MatMul(v, k)": 1,
    "v = ReduceMean<axes = [1]>(n) y = MatMul(v, k)": 1,
    "v = Unsqueeze(n, i0) y = MatMul(v, k)": 1,
    "f = Flatten<axis = 2>(n) y = MatMul(f, k)": 1,
    "v = Slice(n, i0, i1, i1) j = Concat<axis = 1>(v, n) y = MatMul(j, k)": 1,
}

# What reads n: why beta stays
STAYS = {
    "y = Relu(n)": "Relu y reads it",
    "y = Identity(n)": "graph output y reads it",
    "q = MatMul(n, k) r = Relu(n) f = MatMul(r, k) y = Sub(q, f)": "Relu r reads it",
    "p = Pad(n, around) y = MatMul(p, k)": "Pad p reads it",
    "f = Cast<to = 1>(m) p = Mul(n, f) y = MatMul(p, k)": "Mul p reads it",
    "p = Where(m, n, s) y = MatMul(p, k)": "Where p reads it",
    "p = ReduceSum(n, i1) y = MatMul(p, k)": "ReduceSum p reads it",
    "p = ReduceMax<axes = [1]>(n) y = MatMul(p, k)": "ReduceMax p reads it",
    "p = Concat<axis = 1>(n, free) y = MatMul(p, k)": "Concat p joins it with other values",
    "q = Concat<axis = 1>(n, token1) y = MatMul(q, k)": "Concat q joins it with other values",
    "q = Add(n, free) y = MatMul(q, k)": "Add q reads it",
    "q = Mul(n, g) y = MatMul(q, k)": "Mul q reads it",
    "t = Transpose<perm = [0, 2, 1]>(n) y = MatMul(kt, t)": "MatMul y reads it",
    "h = Reshape(n, flat) r = Transpose(h) y = MatMul(h, r)": "MatMul y reads it",
    "y = Conv(n, across)": "Conv y reads it",
    "t = Transpose<perm = [0, 2, 1]>(n) y = Conv<group = 2>(t, halves)": "Conv y reads it",
    "y = MatMul(n, rank3)": "MatMul y reads it",
    "f = Reshape(n, merged) y = MatMul(f, k32)": "MatMul y reads it",
    "t = Transpose<perm = [0, 2, 1]>(n) y = MatMul(t, rows)": "MatMul y reads it",
    "f = Gather(n, i0) h = Squeeze(f, i0) t = Transpose(h) y = Gemm(t, rows)": "Gemm y reads it",
    "f = Reshape(n, flat) r = Reshape(a, flat4) y = Gemm(r, w2, f)": "Gemm y reads it",
    "y = com.microsoft.FusedMatMul<transA = 1>(n, rows)": "FusedMatMul y reads it",
    "f = Gather(n, i0) h = Squeeze(f, i0) y = Gemm<transA = 1>(h, rows)": "Gemm y reads it",
    "t = Transpose<perm = [0, 2, 1]>(n) "
    "y = com.microsoft.Attention<num_heads = 2>(t, qkv4, qkv4_bias)": "Attention y reads it",
    "y = com.microsoft.MultiHeadAttention<num_heads = 2>(n, n, n)": (
        "MultiHeadAttention y reads it"
    ),
    "p = Neg(n) y = MatMul(p, k)": "Neg p reads it",
    "p = Softmax(n) y = MatMul(p, k)": "Softmax p reads it",
    "y = MatMul(n, u)": "MatMul y reads it",
    "t = Transpose<perm = [0, 2, 1]>(n) y = Conv<pads = [1, 1]>(t, conv3)": "Conv y reads it",
    't = Transpose<perm = [0, 2, 1]>(n) y = Conv<auto_pad = "SAME_UPPER">(t, conv3)': (
        "Conv y reads it"
    ),
    "h = Reshape(n, heads) q = Slice(h, i0, i4, last) y = Relu(q)": "Reshape h reads it",
    "v = Gather<axis = 2>(n, back) y = MatMul(v, k)": "Gather v reads it",
    "v, r = Split<axis = 2>(n) p = Concat<axis = 2>(r, v) y = MatMul(p, k)": "Split v reads it",
    "y = MatMul(n, wide)": "MatMul y has no bias to take it",
}


@pytest.mark.parametrize(("reader", "added"), FOLDS.items(), ids=FOLDS)
def test_beta_folds_into_the_biases_of_linear_maps(reader: str, added: int) -> None:
    outcome = _outcome(reader)
    assert outcome.affine("n") == "beta folded"
    assert (outcome.counts["betas folded"], outcome.counts["biases added"]) == (1, added)
    assert outcome.counts["betas kept"] == 0


@pytest.mark.parametrize(("reader", "reason"), STAYS.items(), ids=STAYS)
def test_beta_stays_where_a_reader_would_see_it(reader: str, reason: str) -> None:
    outcome = _outcome(reader)
    assert outcome.affine("n") == f"beta kept: {reason}"
    assert outcome.counts["betas kept"] == 1


BRANCHES = """y = If (on) <then_branch = yes () => (float[B,4,6] p) { p = MatMul(n, k) },
    else_branch = no () => (float[B,4,6] q) { r = MatMul(n, k) q = Add(r, b) }>"""


@pytest.mark.parametrize("on", [True, False])
def test_beta_folds_into_linear_maps_of_branches(on: bool) -> None:
    outcome = _outcome(BRANCHES, INPUTS + ", bool on", feeds={"on": np.array(on)})
    assert outcome.affine("n") == "beta folded"
    assert outcome.counts["biases added"] == 1


def test_a_value_seen_on_two_axes_keeps_beta() -> None:
    body = """x = MatMul(a, w) n = LayerNormalization(x, g, c)
        t = Transpose<perm = [0, 2, 1]>(n) j = Concat<axis = 0>(n, t) y = MatMul(j, k)"""
    outcome = optimized(graph(body, WEIGHTS, inputs="float[B,8,4] a", outputs="float y"))
    assert outcome.affine("n") == "beta kept: Concat j joins it with itself on another axis"


@pytest.mark.parametrize(
    "reader",
    [
        "f = Reshape(n, flat) y = Gemm(f, k, c)",
        "f = Reshape(n, flat) y = Gemm<transB = 1>(f, kt, g)",
        "t = Transpose<perm = [0, 2, 1]>(n) y = Conv(t, conv, c)",
        "y = com.microsoft.Attention<num_heads = 2>(n, qkv, b)",
        "y = MatMul(n, w)",
        "f = Reshape(n, flat) y = Gemm(f, w)",
        "f = Reshape(n, flat) y = Gemm<transB = 1>(f, k)",
        "t = Transpose<perm = [0, 2, 1]>(n) y = Conv(t, across)",
        "y = com.microsoft.FusedMatMul(n, w)",
        "y = com.microsoft.Attention<num_heads = 2>(n, qkv4, qkv4_bias)",
    ],
)
def test_a_map_of_other_sizes_takes_no_beta(reader: str) -> None:
    """Nothing runs such a model; what is said of it is left to the runtime."""
    body = f"x = MatMul(a, w) n = LayerNormalization(x, g, c) {reader}"
    constants = {name: np.array(entries) for name, entries in INTS.items()}
    model = graph(body, WEIGHTS, inputs=INPUTS, outputs="float y", constants=constants)
    summary, records = pipeline.run(model, pipeline.Options(ops="standard"))
    counts = {name: count for record in records for name, count in record.detail.items()}
    assert [norm.converted for norm in summary.norms] == [True]
    assert counts["betas folded"] == 0


@pytest.mark.parametrize("shared", ["b", "c"])
def test_a_bias_that_others_read_is_copied(shared: str) -> None:
    body = (
        f"x = MatMul(a, w) n = LayerNormalization(x, g, c) q = MatMul(n, k2) y = Add(q, {shared})"
    )
    weights = "w[4,8] g[8] c[8] k2[8,8] b[8]"
    model = graph(body + " z = Relu(b)", weights, outputs="float y, float z")
    assert optimized(model).counts["betas folded"] == 1


def test_two_norms_fold_into_maps_of_one_weight_and_one_bias() -> None:
    body = """x = MatMul(a, w) n = LayerNormalization(x, g, c) q = MatMul(n, k) y = Add(q, b)
        v = MatMul(a, w2) o = LayerNormalization(v, g2, c2) r = MatMul(o, k) z = Add(r, b)"""
    weights = "w[4,8] w2[4,8] g[8] c[8] g2[8] c2[8] k[8,6] b[6]"
    outcome = optimized(graph(body, weights, outputs="float y, float z"))
    assert outcome.counts["betas folded"] == 2
    assert outcome.counts["betas kept"] == 0


def test_beta_passes_a_weight_that_is_itself_recentred() -> None:
    body = """x = MatMul(a, w) n = LayerNormalization(x, g, c) q = MatMul(n, k2) r = Add(q, b)
        v = Add(x, r) y = LayerNormalization(v, g, c)"""
    weights = "w[4,8] g[8] c[8] k2[8,8] b[8]"
    outcome = optimized(graph(body, weights, outputs="float y"))
    assert outcome.converted == {"n", "y"}
    assert outcome.affine("n") == "beta folded"
    assert outcome.count("ReduceMean") == 2


def test_gamma_may_be_zero() -> None:
    gamma = np.array([0, 1, -2, 0, 3, 0, 0.5, 1], np.float32)
    body = "x = MatMul(a, w) n = LayerNormalization(x, gamma, c) y = MatMul(n, k)"
    model = graph(body, "w[4,8] c[8] k[8,6]", outputs="float y", constants={"gamma": gamma})
    assert optimized(model).counts["betas folded"] == 1


# beta, options: what the report says of it
OTHER_BETAS = {
    "absent": ("", {}, "no beta"),
    "zeros": ("zeros", {}, "no beta"),
    "one number": ("one", {}, "beta folded"),
    "a graph input": ("given", {}, "beta kept: beta given is not constant"),
    "skipped": ("c", {"skip": frozenset({"fold-affine"})}, "beta kept: affine folding is skipped"),
}


@pytest.mark.parametrize(("beta", "options", "words"), OTHER_BETAS.values(), ids=OTHER_BETAS)
def test_other_betas(beta: str, options: dict, words: str) -> None:
    operands = f"x, g, {beta}" if beta else "x, g"
    body = f"x = MatMul(a, w) n = LayerNormalization({operands}) y = MatMul(n, k)"
    constants = {"zeros": np.zeros(8, np.float32), "one": np.array([0.7], np.float32)}
    model = graph(
        body,
        "w[4,8] g[8] c[8] k[8,6]",
        inputs="float[B,S,4] a, float[8] given",
        outputs="float y",
        constants=constants,
    )
    outcome = optimized(model, **options)
    assert outcome.converted == {"n"}
    assert outcome.affine("n") == words


def test_an_unread_beta_costs_nothing() -> None:
    body = "x = MatMul(a, w) n = LayerNormalization(x, g, c) h = Shape(n) y = Cast<to = 1>(h)"
    assert optimized(graph(body, WEIGHTS, outputs="float y")).counts["betas kept"] == 0


@pytest.mark.parametrize("variant", ["rms", "crms"])
def test_beta_stays_where_the_result_is_centred_over_the_tokens(variant: str) -> None:
    """A mixer: behind a map over the features, norms over the tokens. There W beta has no place."""
    body = """x = MatMul(a, w) n = LayerNormalization(x, g, c) p = MatMul(n, k8) o = Add(p, b8)
        t = Transpose<perm = [0,2,1]>(o)
        m = LayerNormalization(t, g, c) q = MatMul(m, k) r = LayerNormalization(t, h, c)
        s = MatMul(r, k) l = LayerNormalization(t, h2, c) z = MatMul(l, k)
        y = Sum(q, s, z)"""
    weights = "w[4,6] g[8] c[8] k[8,6] k8[6,6] b8[6] h[8] h2[8]"
    body = body.replace("(x, g, c)", "(x, g6, c6)")
    model = graph(body, weights + " g6[6] c6[6]", inputs="float[B,8,4] a", outputs="float y")
    outcome = optimized(model, variant=variant)
    assert outcome.converted == {"n", "m", "r", "l"}
    assert outcome.affine("n") == "beta kept: o is centred over another axis"
