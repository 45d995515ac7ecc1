"""Compressed streams through If: what is compressed, encoded and decoded.

Every graph is run with both conditions, in float64.
"""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest

from graphopt.passes.planning import compression
from tests.passes.graphs import Case, cases, graph, optimized
from tests.passes.streams.forks import (
    CONSTANT,
    INPUTS,
    TWO_OUTPUTS,
    UPDATE,
    S,
    W,
    both_conditions,
    fork,
    fork2,
)
from tests.passes.streams.graphs_with_if import ALL


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
        fork("p = MatMul(a, w)", "q = MatMul(a, w2)"),
        {"streams compressed": 3, "weights encoded": 2, "encoders": 0, "decoders": 0},
    ),
    "a branch updates it": (
        S + fork(UPDATE, "q = Identity(s)"),
        {"streams compressed": 5, "weights encoded": 3, "readers absorbed": 2, "decoders": 0},
    ),
    "a branch gives a constant": (
        fork(f"p = {CONSTANT}", "q = Identity(b)", "e") + "v = MatMul(a, w) x = Add(v, e) ",
        {"streams compressed": 4, "weights encoded": 3, "encoders": 0, "decoders": 0},
    ),
    "a branch gives a constant that it reads, too": (
        fork2(f"p = {CONSTANT} p2 = Relu(p)", "q = Identity(b) q2 = Neg(b)", "e, z")
        + "v = MatMul(a, w) x = Add(v, e) ",
        {"streams compressed": 4, "weights encoded": 3, "encoders": 0, "decoders": 0},
    ),
    "a branch writes what is raw": (
        fork("r = MatMul(a, w) p = Relu(r)", "q = MatMul(a, w2)"),
        {"streams compressed": 2, "encoders": 1, "decoders": 0, "recentrings": 1},
    ),
    "a branch tolerates the mean": (
        S + fork("p = MatMul(a, w2)", "q = Softmax<axis = -1>(s)", "z") + "x = Identity(s) ",
        {"streams compressed": 1, "encoders": 1, "decoders": 0},
    ),
    "a branch gives what is read whole": (
        S
        + fork(_BLOCKS, "v = MatMul(a, w2) q = Relu(v)", "u")
        + "z = Softmax<axis = -1>(u) x = Identity(s) ",
        {"streams compressed": 8, "encoders": 0, "decoders": 1},
    ),
    "a branch reads it whole": (
        S
        + _BLOCKS.replace("p =", "t3 =")
        + fork("p = MatMul(a, w2)", "q = Softmax<axis = -1>(t3)", "z")
        + "x = Identity(t3) ",
        {"streams compressed": 8, "encoders": 0, "decoders": 1},
    ),
    "a Softmax reads it behind the If": (
        fork("p = MatMul(a, w)", "q = MatMul(a, w2)") + "z = Softmax<axis = -1>(x) ",
        {"streams compressed": 0, "encoders": 1, "decoders": 0},
    ),
    "a branch looks at its sizes": (
        S
        + fork("i = Shape(s) p = Cast<to = 1>(i)", "k = Shape(a) q = Cast<to = 1>(k)", "z")
        + "x = Identity(s) ",
        {"streams compressed": 2, "encoders": 0, "decoders": 0, "sizes edited": 1},
    ),
}


@pytest.mark.parametrize(("body", "counts"), COMPRESSED.values(), ids=COMPRESSED)
@both_conditions
@pytest.mark.parametrize("basis", ["orthonormal", "drop"])
def test_what_is_compressed(body: str, counts: dict[str, int], on: bool, basis: str) -> None:
    body += "y2 = LayerNormalization(x, g, c) y = MatMul(y2, m2)"
    given = TWO_OUTPUTS if "z = " in body or ", z" in body else INPUTS
    with mock.patch.object(compression, "_SHARE_OF_DECODER", 50.0):
        outcome = optimized(
            graph(body, W, **given), feeds={"on": np.array(on)}, variant="crms", basis=basis
        )
    assert {name: outcome.counts[name] for name in counts} == counts
    assert all(norm.compressed for norm in outcome.summary.norms)


def test_a_dead_result_keeps_its_shape() -> None:
    body = (
        fork2("p = MatMul(a, w) p2 = Relu(a2)", "q = MatMul(a, w2) q2 = Neg(a2)", "x, u")
        + "n = LayerNormalization(x, g, c) y = MatMul(n, m2)"
    )
    inputs = "float[B,S,4] a, float[B,S,8] a2, bool on"
    outcome = optimized(
        graph(body, W, inputs=inputs, declared="float[B,S,8] x, float[B,S,8] u"),
        variant="crms",
    )
    assert outcome.counts["streams compressed"] == 3
    node = next(node for node in outcome.after.graph if node.op_type == "If")
    assert [value.shape[2] for value in node.outputs] == [7, 8]
