"""Norms that compute the same thing are one node; gammas that differ go into the weights first.

Both norms n and o read x, and one linear map each reads them, as in a parallel-residual block.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.passes.merge_twins import MergeTwins
from tests.passes.graphs import graph, optimized

WEIGHTS = "w[4,8] g[8] c[8] g2[8] c2[8] k[8,6] k2[8,6] b[6] gs[1]"
_READ = "q = MatMul(n, k) r = MatMul(o, k2) y = Add(q, r)"

# name: (what computes n, o and y from x, twins merged, gammas folded)
TWINS = {
    "equal in everything": (
        "n = LayerNormalization(x, g, c) o = LayerNormalization(x, g, c)" + _READ,
        1,
        2,
    ),
    "equal gamma, another beta": (
        "n = LayerNormalization(x, g, c) o = LayerNormalization(x, g, c2)" + _READ,
        1,
        2,
    ),
    "another gamma and beta": (
        "n = LayerNormalization(x, g, c) o = LayerNormalization(x, g2, c2)" + _READ,
        1,
        2,
    ),
    "no beta": ("n = LayerNormalization(x, g) o = LayerNormalization(x, g2)" + _READ, 1, 2),
    "gamma of one number": (
        "n = LayerNormalization(x, gs, c) o = LayerNormalization(x, g2, c2)" + _READ,
        1,
        2,
    ),
    "three": (
        """n = LayerNormalization(x, g, c) o = LayerNormalization(x, g2, c2)
        u = LayerNormalization(x, c, g2) v = MatMul(u, k3) q = MatMul(n, k) r = MatMul(o, k2)
        y = Sum(q, r, v)""",
        2,
        3,
    ),
    "several readers each": (
        """n = LayerNormalization(x, g, c) o = LayerNormalization(x, g2, c2)
        q = MatMul(n, k) s = MatMul(n, k3) t = Add(s, b) r = MatMul(o, k2) y = Sum(q, r, t)""",
        1,
        2,
    ),
    "a beta for which the biases would cost more": (
        """n = LayerNormalization(x, g, c) o = LayerNormalization(x, g2, c2)
        q = MatMul(n, k) s = MatMul(n, k3) r = MatMul(o, k2) y = Sum(q, r, s)""",
        0,
        0,
    ),
    "another epsilon": (
        """n = LayerNormalization<epsilon = 0.1>(x, g, c)
        o = LayerNormalization<epsilon = 0.2>(x, g2, c2)"""
        + _READ,
        0,
        0,
    ),
    "another epsilon, equal gamma": (
        """n = LayerNormalization<epsilon = 0.1>(x, g, c)
        o = LayerNormalization<epsilon = 0.2>(x, g, c)"""
        + _READ,
        0,
        0,
    ),
    "another stash type, equal gamma": (
        """n = LayerNormalization(x, g, c)
        o = LayerNormalization<stash_type = 16>(x, g, c)"""
        + _READ,
        0,
        0,
    ),
    "another stash type": (
        """n = LayerNormalization(x, g, c)
        o = LayerNormalization<stash_type = 16>(x, g2, c2)"""
        + _READ,
        0,
        0,
    ),
    "one weight for both": (
        """n = LayerNormalization(x, g, c) o = LayerNormalization(x, g2, c2)
        q = MatMul(n, k) r = MatMul(o, k) y = Add(q, r)""",
        0,
        0,
    ),
    "one weight for both, equal gamma": (
        """n = LayerNormalization(x, g, c) o = LayerNormalization(x, g, c2)
        q = MatMul(n, k) r = MatMul(o, k) y = Add(q, r)""",
        1,
        0,
    ),
    "a weight that others read": (
        """n = LayerNormalization(x, g, c) o = LayerNormalization(x, g2, c2)
        q = MatMul(n, k) r = MatMul(o, k2) s = Relu(k) t = ReduceSum<keepdims = 0>(s)
        y = Sum(q, r, t)""",
        0,
        0,
    ),
    "a reader that is not linear": (
        """n = LayerNormalization(x, g) o = LayerNormalization(x, g2)
        q = MatMul(n, k) s = Relu(o) r = MatMul(s, k2) y = Add(q, r)""",
        0,
        0,
    ),
    "a reader that is not linear, equal gamma": (
        """n = LayerNormalization(x, g) o = LayerNormalization(x, g)
        q = MatMul(n, k) s = Relu(o) r = MatMul(s, k2) y = Add(q, r)""",
        1,
        0,
    ),
    "betas that stay": (
        """n = LayerNormalization(x, g, c) o = LayerNormalization(x, g, c2)
        i = Relu(n) j = Relu(o) q = MatMul(i, k) r = MatMul(j, k2) y = Add(q, r)""",
        1,
        0,
    ),
    "a gamma that is given": (
        "n = LayerNormalization(x, given, c) o = LayerNormalization(x, g2, c2)" + _READ,
        0,
        0,
    ),
    "a gamma that is given to both": (
        "n = LayerNormalization(x, given) o = LayerNormalization(x, given)" + _READ,
        1,
        0,
    ),
    "two values": (
        "z = Neg(x) n = LayerNormalization(x, g) o = LayerNormalization(z, g)" + _READ,
        0,
        0,
    ),
}


@pytest.mark.parametrize(("body", "merged", "folded"), TWINS.values(), ids=TWINS)
def test_twins(body: str, merged: int, folded: int) -> None:
    outcome = optimized(
        graph(
            "x = MatMul(a, w)\n" + body,
            WEIGHTS + " k3[8,6]",
            inputs="float[B,S,4] a, float[8] given",
            outputs="float y",
        )
    )
    norms = sum(node.op_type == "LayerNormalization" for node in outcome.before.graph)
    assert len(outcome.converted) == norms
    assert outcome.counts["twins merged"] == merged
    assert outcome.counts["gammas folded"] == folded
    assert outcome.counts["norms converted"] - merged == outcome.count("Sqrt")


def test_a_copied_weight_that_several_maps_share_does_not_take_gamma() -> None:
    body = """x = MatMul(a, w) n = LayerNormalization(x, g, c) o = LayerNormalization(x, g2, c2)
        i = Relu(free) p = MatMul(n, m) q = MatMul(i, m) s = Add(p, q)
        y = LayerNormalization(s, g, c) z = MatMul(i, m) u = MatMul(o, k)"""
    model = graph(
        body,
        WEIGHTS + " m[8,8]",
        inputs="float[B,S,4] a, float[B,S,8] free",
        outputs="float y, float z, float u",
    )
    outcome = optimized(model)
    assert outcome.converted == {"n", "o", "y"}
    assert outcome.copied.keys() == {"m"}
    assert outcome.counts["gammas folded"] == 0


@pytest.mark.parametrize("on", [True, False])
def test_a_norm_in_a_branch_stays_there(on: bool) -> None:
    body = """x = MatMul(a, w) s = If (on) <then_branch = yes () => (float[B,S,8] p) {
        q = MatMul(a, w) p = LayerNormalization(q, g) },
        else_branch = no () => (float[B,S,8] r) { v = MatMul(a, w) r = LayerNormalization(v, g) }>
        n = LayerNormalization(x, g) y = Add(n, s)"""
    model = graph(body, WEIGHTS, inputs="float[B,S,4] a, bool on", outputs="float y")
    outcome = optimized(model, feeds={"on": np.array(on)})
    assert outcome.converted == {"p", "r", "n"}
    assert outcome.counts["twins merged"] == 0


def test_a_weight_that_is_a_graph_output_does_not_take_gamma() -> None:
    body = "x = MatMul(a, w) n = LayerNormalization(x, g) o = LayerNormalization(x, g2)" + _READ
    outcome = optimized(graph(body, WEIGHTS, outputs="float y, float[8,6] k"))
    assert outcome.counts["gammas folded"] == 0


def test_a_norm_does_not_merge_into_a_branch() -> None:
    body = """x = Relu(a) s = If (on) <then_branch = yes () => (float[B,S,8] p) {
        p = LayerNormalization(x, g) }, else_branch = no () => (float[B,S,8] r) { r = Neg(x) }>
        n = LayerNormalization(x, g) y = Add(n, s)"""
    model = graph(body, WEIGHTS, inputs="float[B,S,8] a, bool on", outputs="float y")
    outcome = optimized(model, feeds={"on": np.array(False)})
    assert outcome.converted == {"p", "n"}
    assert outcome.recentred == {"x"}
    assert outcome.counts["twins merged"] == 0


def test_two_graph_outputs_stay_two() -> None:
    body = "x = MatMul(a, w) y = LayerNormalization(x, g) z = LayerNormalization(x, g)"
    outcome = optimized(graph(body, WEIGHTS, outputs="float y, float z"))
    assert outcome.counts["twins merged"] == 0
    assert [value.name for value in outcome.after.graph.outputs] == ["y", "z"]


# name: (the norms n and o of x, the compressed stream, and twins merged)
COMPRESSED_TWINS = {
    "equal": ("n = {}<axis = 2>(x) o = {}<axis = 2>(x)", 1),
    "another epsilon": ("n = {}<axis = 2, epsilon = 0.1>(x) o = {}<axis = 2, epsilon = 0.2>(x)", 0),
    "another stash type": ("n = {}<axis = 2>(x) o = {}<axis = 2, stash_type = 16>(x)", 0),
    "two values": ("n = {}<axis = 2>(x) z = Neg(x) o = {}<axis = 2>(z)", 0),
    "an RMSNorm": ("n = {}<axis = 2>(x) o = RMSNormalization<axis = 2>(x, ones)", 0),
}


@pytest.mark.parametrize(("body", "merged"), COMPRESSED_TWINS.values(), ids=COMPRESSED_TWINS)
def test_twins_of_a_compressed_stream(body: str, merged: int) -> None:
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[B, S, 7] x) => (float[B, S, 7] y) <float[7] ones = {{1, 1, 1, 1, 1, 1, 1}}> {{
          {body.replace("{}", "CRMSNormalization")} y = Add(n, o) }}"""
    )
    merge = MergeTwins()
    assert merge(model).modified == bool(merged)
    assert merge.record == {"twins merged": merged}


@pytest.mark.parametrize("skip", ["merge-twins", "fold-affine"])
def test_twins_may_be_left(skip: str) -> None:
    body = "x = MatMul(a, w) n = LayerNormalization(x, g, c) o = LayerNormalization(x, g2, c2)"
    model = graph(body + _READ, WEIGHTS, outputs="float y")
    outcome = optimized(model, skip=frozenset({skip}))
    assert outcome.converted == {"n", "o"}
    assert outcome.count("Sqrt") == 2
