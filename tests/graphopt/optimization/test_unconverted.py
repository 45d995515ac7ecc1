"""A model in which no norm converts is left as it was, but for what is fused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import graphopt
from tests.graphopt.model_files import save_inline, weights

NO_LAYER_NORM = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N, 4] x) => (float[N, 4] y) { y = Relu (x) }
"""
KEPT = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N, 4] x, float[4] s) => (float[N, 4] y, float[N, 4] z) {
    y = LayerNormalization (x, s) z = Relu (x)
}
"""


@pytest.mark.parametrize(("text", "norms"), [(NO_LAYER_NORM, 0), (KEPT, 1)])
def test_nothing_to_convert_is_not_an_error(tmp_path: Path, text: str, norms: int) -> None:
    path = save_inline(onnx.parser.parse_model(text), tmp_path / "model.onnx")
    report = graphopt.optimize(path, output=tmp_path / "out.onnx").report
    assert (len(report.plan.norms), report.plan.converted) == (norms, 0)
    assert all(norm.reason for norm in report.plan.norms)
    assert (tmp_path / "out.onnx").exists()


def test_what_was_optimized_already_is_not_an_error(tmp_path: Path, model: Path) -> None:
    graphopt.optimize(model, output=tmp_path / "once.onnx")
    report = graphopt.optimize(tmp_path / "once.onnx", output=tmp_path / "twice.onnx").report
    assert report.plan.norms == ()
    first, second = weights(tmp_path / "once.onnx"), weights(tmp_path / "twice.onnx")
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


def _described(node: onnx.NodeProto) -> tuple[object, ...]:
    return node.domain, node.op_type, list(node.input), list(node.output), list(node.attribute)


_UNTOUCHED = """<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1, "local" : 1]>
    g (float[B, 4] a, float[B, 4] b) => (float[B, 4] y)
    <float[4] g = {1, 2, 3, 4}, float[4] c = {1, 0, 1, 0}, float[4, 4] w = {1, 2, 3, 4, 2, 3, 4, 5,
     3, 4, 5, 6, 1, 1, 2, 2}, float[4] dead = {1, 2, 3, 4}> {
        s, "", "", u = com.microsoft.SkipLayerNormalization<epsilon = 0.001>(a, b, g, c)
        t = Transpose(w) m = MatMul(s, t) k = Mul(m, g) r = local.Half(k)
        y = com.microsoft.SkipLayerNormalization<epsilon = 0.001>(u, r, g, c) }
    <domain: "local", opset_import: ["" : 17]> Half (X) => (Y) {
        h = Constant<value_float = 0.5>() Y = Mul(X, h) }"""


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_model_in_which_nothing_converts_is_left_as_it_was(
    tmp_path: Path, in_memory: bool
) -> None:
    path, target = tmp_path / "model.onnx", tmp_path / "out.onnx"
    proto = onnx.parser.parse_model(_UNTOUCHED)
    onnx.save(proto, path)
    model = ir.from_proto(proto) if in_memory else path
    report = graphopt.optimize(model, output=target, fuse=False).report
    assert [norm.converted for norm in report.plan.norms] == [False, False]
    assert all(norm.reason for norm in report.plan.norms)
    assert report.passes[-1].name == "leave-as-it-was"
    assert {r.changed for r in report.passes if r.name != "plan"} == {0}
    made = onnx.load(target)
    assert [_described(node) for node in made.graph.node] == [
        _described(node) for node in proto.graph.node
    ]
    kept, given = made.graph.initializer, proto.graph.initializer
    assert [tensor.name for tensor in kept] == [tensor.name for tensor in given]
    ((written,), (read,)) = made.functions, proto.functions
    assert [_described(node) for node in written.node] == [_described(node) for node in read.node]
    assert made.opset_import == proto.opset_import
    assert not made.metadata_props


def test_what_is_fused_beside_norms_that_stay_is_written(tmp_path: Path) -> None:
    result = graphopt.optimize(
        ir.from_proto(onnx.parser.parse_model(_UNTOUCHED)), output=tmp_path / "out.onnx"
    )
    assert result.report.plan.converted == 0
    assert result.report.verification is not None
    assert result.report.verification.status == "passed"
    counts = {what: n for record in result.report.passes for what, n in record.detail.items()}
    assert counts["scales folded"] == 1
    assert "Mul" not in [node.op_type for node in onnx.load(tmp_path / "out.onnx").graph.node]
