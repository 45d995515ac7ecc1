"""A model that was optimized before is optimized again: its operators come back, every one."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.passes import pipeline
from graphopt.passes.unfuse_custom_norms import UnfuseCustomNorms
from tests.onnx_runtime import OptimizedSession
from tests.passes.graphs import graph, optimized

_BODY = """x = MatMul(a, w) n = LayerNormalization(x, g, c) p = MatMul(n, v) p2 = Add(p, b)
    s = Add(x, p2) m = LayerNormalization(s, h, c) q = MatMul(m, v) q2 = Add(q, b)
    t = Add(s, q2) l = LayerNormalization(t, k, c) y = MatMul(l, u)"""
_WEIGHTS = "w[4,8] g[8] c[8] v[8,8] b[8] h[8] k[8] u[8,6]"


def _operators(model: ir.Model) -> Counter[str]:
    return Counter(f"{node.domain}.{node.op_type}" for node in model.graph.all_nodes())


@pytest.mark.parametrize("basis", ["none", "orthonormal", "drop"])
def test_optimizing_twice_is_optimizing_once(basis: str) -> None:
    options: dict[str, str] = {"ops": "custom"}
    if basis != "none":
        options |= {"variant": "crms", "basis": basis}
    once = optimized(graph(_BODY, _WEIGHTS), **options)
    assert sum(node.domain == "graphopt" for node in once.after.graph) == 3
    twice = optimized(once.after, **options)
    assert twice.counts["operators read back"] == 3
    assert _operators(twice.after) == _operators(once.after)
    assert twice.after.functions.keys() == once.after.functions.keys()


def test_the_operators_can_be_written_in_another_spelling() -> None:
    once = optimized(graph(_BODY, _WEIGHTS), ops="custom")
    standard = optimized(once.after)
    assert not any(node.domain for node in standard.after.graph)
    assert not standard.after.functions
    assert "graphopt" not in standard.after.graph.opset_imports


def test_the_operators_are_known_by_their_bodies_behind_a_file() -> None:
    for dtype in ("float", "float16"):
        model = ir.from_onnx_text(
            f"""<ir_version: 8, opset_import: ["" : 17]> g ({dtype}[B, 8] x, {dtype}[B, 8] s)
            => ({dtype}[B, 8] y) <{dtype}[8] gamma = {{1, 2, 3, 4, 5, 6, 7, 8}}> {{
                t = Add(x, s) n = RMSNormalization(t, gamma) m = RMSNormalization(x, gamma)
                y = Add(n, m) }}"""
        )
        pipeline.run(model, pipeline.Options(ops="custom"))
        again = ir.from_proto(ir.to_proto(model))
        unfuse = UnfuseCustomNorms()
        unfuse(again)
        assert unfuse.record == {"operators read back": 2}


_FOREIGN = """<ir_version: 8, opset_import: ["" : 17, "graphopt" : 1]>
    g (float[B, 4] x) => (float[B, 4] y) <float[4] gamma = {{1, 2, 3, 4}}> {{
        z = graphopt.RMSNorm<epsilon = 0.5>(x, gamma) w = Relu(z) y = Add(w, x) }}
    <domain: "graphopt", opset_import: ["" : 17]>
    RMSNorm <epsilon> (X, gamma) => (Y) {{ {body} }}"""


@pytest.mark.parametrize(
    "body",
    [
        "t = Mul(X, gamma) e = Constant<value_float: float = @epsilon>() Y = Add(t, e)",
        # an RMSNorm, but for the exponent
        """three = Constant<value_float = 3.0>() q = Pow(X, three)
        m = ReduceMean<axes = [-1], keepdims = 1>(q) e = Constant<value_float: float = @epsilon>()
        s = Add(m, e) r = Sqrt(s) n = Div(X, r) Y = Mul(n, gamma)""",
    ],
)
@pytest.mark.parametrize("ops", ["custom", "standard"])
def test_a_foreign_function_of_the_domain_keeps_its_meaning(body: str, ops: str) -> None:
    model = ir.from_onnx_text(_FOREIGN.format(body=body))
    feeds = {"x": np.abs(np.random.default_rng(0).normal(1, 1, (3, 4))).astype(np.float32)}
    expected = OptimizedSession(model).run(feeds)["y"]
    pipeline.run(model, pipeline.Options(ops=ops))
    np.testing.assert_allclose(OptimizedSession(model).run(feeds)["y"], expected, rtol=1e-5)


def test_a_foreign_operator_without_a_body_is_left_alone() -> None:
    model = ir.from_onnx_text(
        """<ir_version: 8, opset_import: ["" : 17, "graphopt" : 1]>
        g (float[B, 4] a) => (float[B, 8] y, float[B, 8] z)
        <float[4,8] w = {1, 2, 3, 4, 5, 6, 7, 8, 2, 1, 2, 1, 2, 1, 2, 1, 3, 1, 3, 1, 3, 1, 3, 1, 0,
                         1, 0, 1, 0, 1, 0, 1}, float[8] g = {1, 2, 3, 4, 5, 6, 7, 8}> {
            x = MatMul(a, w) y = LayerNormalization(x, g) z = graphopt.Mystery(y) }"""
    )
    summary, _ = pipeline.run(model, pipeline.Options(ops="custom"))
    assert summary.converted == 1
    assert not model.functions
    assert [node.op_type for node in model.graph if node.domain] == ["Mystery"]
