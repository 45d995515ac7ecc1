"""Below IR version 4 the constants of a graph are listed among its inputs."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from graphopt.passes import pipeline
from tests.onnx_runtime import OptimizedSession

_GRAPH = """<ir_version: {version}, opset_import: ["" : {opset}]>
    g (float[B, 4] a, float[4,8] w, float[8] b, float[8] g, float[8] c) => (float[B, 8] y)
    <float[4,8] w = {{{w}}}, float[8] b = {{1, 2, 3, 4, 5, 6, 7, 8}},
     float[8] g = {{1, 2, 1, 2, 1, 2, 1, 2}}, float[8] c = {{1, 0, 1, 0, 1, 0, 1, 0}},
     float eps = {{0.001}}> {{
        p = MatMul(a, w) x = Add(p, b)
        m = ReduceMean<axes = [-1]>(x) d = Sub(x, m) s = Mul(d, d) v = ReduceMean<axes = [-1]>(s)
        e = Add(v, eps) r = Sqrt(e) n = Div(d, r) k = Mul(n, g) y = Add(k, c) }}"""


def _model(version: int, opset: int = 11) -> ir.Model:
    entries = np.random.default_rng(0).normal(0.6, 1, 32)
    text = _GRAPH.format(
        version=version, opset=opset, w=", ".join(f"{entry:f}" for entry in entries)
    )
    model = ir.from_onnx_text(text)
    if version < 4:  # the text may leave one out; a file may not
        model.graph.inputs.append(model.graph.initializers["eps"])
    return model


@pytest.mark.parametrize("ops", ["standard", "ort"])
def test_they_are_constants_and_stay_listed(ops: str) -> None:
    model = _model(3)
    feeds = {"a": np.random.default_rng(1).normal(0.7, 1, (3, 4)).astype(np.float32)}
    expected = OptimizedSession(model).run(feeds)["y"]
    summary, records = pipeline.run(model, pipeline.Options(ops=ops))
    assert summary.converted == 1
    counts = {record.name: record.detail for record in records}
    assert counts["unlist-constants"] == {"constants": 5}
    assert {value.name for value in model.graph.inputs} == {"a", *model.graph.initializers}
    if ops == "standard":
        onnx.checker.check_model(ir.to_proto(model))
    np.testing.assert_allclose(
        OptimizedSession(model).run(feeds)["y"], expected, rtol=1e-5, atol=1e-5
    )


def test_one_that_may_be_fed_is_none() -> None:
    model = _model(4)
    inputs = [value.name for value in model.graph.inputs]
    summary, _ = pipeline.run(model, pipeline.Options())
    assert summary.converted == 0
    assert [value.name for value in model.graph.inputs] == inputs


def test_a_version_that_rises_for_functions_needs_no_list() -> None:
    model = _model(3, opset=12)
    pipeline.run(model, pipeline.Options(ops="custom"))
    assert model.ir_version == 8
    assert [value.name for value in model.graph.inputs] == ["a"]
