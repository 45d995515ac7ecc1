"""A transposed weight is stored transposed, unless others read it as it is."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.passes.fold_transposes import FoldTransposes
from graphopt.passes.graph import constants
from tests.passes.graphs import graph, optimized

WEIGHTS = "w[8,4] v[8,8] r[2,8,4] g[8] c[8] k[8,4]"
INPUTS = "float[2,S,4] a, float[8,4] given"

# body: Transposes that fold
BODIES = {
    "t = Transpose(w) y = MatMul(a, t)": 1,
    "t = Transpose<perm = [1, 0]>(w) y = MatMul(a, t)": 1,
    "t = Transpose<perm = [0, 2, 1]>(r) y = MatMul(a, t)": 1,
    "t = Transpose(w) p = MatMul(a, t) q = MatMul(a, t) y = Add(p, q)": 1,
    "t = Transpose(w) p = MatMul(a, t) u = Transpose(k) q = MatMul(a, u) y = Add(p, q)": 2,
    "t = Transpose(w) u = Transpose(t) v2 = Transpose(u) y = MatMul(a, v2)": 3,
    "t = Transpose(w) p = MatMul(a, t) y = MatMul(p, w)": 0,
    "t = Transpose(w) p = MatMul(a, t) u = Transpose(w) q = MatMul(a, u) y = Add(p, q)": 0,
    "y = Transpose(w)": 0,
    "t = Transpose(given) y = MatMul(a, t)": 0,
    "y = Transpose(a)": 0,
}


@pytest.mark.parametrize(("body", "count"), BODIES.items(), ids=BODIES)
def test_a_transposed_weight_is_stored_transposed(body: str, count: int) -> None:
    outcome = optimized(graph(body, WEIGHTS, inputs=INPUTS, outputs="float y"))
    assert outcome.counts["transposes folded"] == count
    before = sum(node.op_type == "Transpose" for node in outcome.before.graph)
    assert outcome.count("Transpose") == before - count


def test_a_transposed_weight_absorbs_the_mean() -> None:
    body = "t = Transpose(w) x = MatMul(a, t) y = LayerNormalization(x, g, c)"
    outcome = optimized(graph(body, WEIGHTS, outputs="float y"))
    assert outcome.converted == {"y"}
    (found,) = [name for name in outcome.after.graph.initializers if name.startswith("w.")]
    weight = outcome.before.graph.initializers["w"].const_value.numpy().T
    expected = weight - weight.mean(axis=1, keepdims=True)
    tensor = outcome.after.graph.initializers[found].const_value
    np.testing.assert_allclose(constants.exact(tensor), expected, atol=1e-15)


def test_a_transpose_of_a_branch_folds_into_the_outer_graph() -> None:
    body = """y = If (on) <then_branch = yes () => (float[2,S,8] p) { t = Transpose(w)
        p = MatMul(a, t) }, else_branch = no () => (float[2,S,8] q) { u = Transpose(k)
        q = MatMul(a, u) }>"""
    model = graph(body, WEIGHTS, inputs="float[2,S,4] a, bool on", outputs="float y")
    assert optimized(model).counts["transposes folded"] == 2


def test_a_weight_that_is_a_graph_output_stays() -> None:
    body = "t = Transpose(w) y = MatMul(a, t)"
    outcome = optimized(graph(body, WEIGHTS, outputs="float y, float[8,4] w"))
    assert outcome.counts["transposes folded"] == 0


@pytest.mark.parametrize("order", [[1], [1, 0], [0, 2], [0, 1, 1], [3, 1, 2], [-1, 1, 0]])
def test_an_order_that_is_none_of_its_axes_stays(order: list[int]) -> None:
    model = graph(f"t = Transpose<perm = {order}>(r) y = MatMul(a, t)", WEIGHTS, outputs="float y")
    assert not FoldTransposes()(model).modified
