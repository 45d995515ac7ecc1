"""Models with local functions that cannot be inlined are refused."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import graphopt
from graphopt.errors import ModelError

_CALLS = """<ir_version: 8, opset_import: ["": 18, "local": 1]>
    graph (float[B,8] x) => (float[B,8] y) {{ y = local.Double(x) }}
    <domain: "local", opset_import: ["": {opset}]> Double (a) => (b) {{ b = Add(a, a) }}"""


def _save(text: str, path: Path) -> Path:
    onnx.save(onnx.parser.parse_model(text), path)
    return path


@pytest.mark.parametrize("run", [graphopt.optimize, graphopt.inspect])
def test_a_function_of_another_opset_is_refused(run: object, tmp_path: Path) -> None:
    path = _save(_CALLS.format(opset=17), tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=r"model.onnx: function local.Double imports opset 17 of"):
        run(path)


def test_a_function_of_the_same_opset_is_inlined(tmp_path: Path) -> None:
    path = _save(_CALLS.format(opset=18), tmp_path / "model.onnx")
    assert graphopt.inspect(path).norms == ()


_CHOICE = """<ir_version: 8, opset_import: ["": 18, "local": 1]>
    graph (float[B,8] x, bool c) => (float[B,8] y) { y = local.Choose(c, x) }
    <domain: "local", opset_import: ["": 18]> Choose (c, a) => (b) { b = If (c) }"""


def test_a_graph_that_a_function_takes_from_its_call_is_refused(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(_CHOICE)
    for name in ("then_branch", "else_branch"):
        model.functions[0].attribute.append(name)
        model.functions[0].node[0].attribute.add(
            name=name, ref_attr_name=name, type=onnx.AttributeProto.GRAPH
        )
    onnx.save(model, tmp_path / "model.onnx")
    said = r"model.onnx: If 'b' of function 'Choose' takes the graph 'then_branch' from its call"
    with pytest.raises(ModelError, match=said):
        graphopt.inspect(tmp_path / "model.onnx")


def test_a_reference_outside_of_a_function_is_refused(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["": 18]>
        g (float[B,8] x, float[8] s) => (float[B,8] y) { y = LayerNormalization(x, s) }"""
    model = onnx.parser.parse_model(text)
    model.graph.node[0].attribute.add(
        name="epsilon", ref_attr_name="e", type=onnx.AttributeProto.FLOAT
    )
    onnx.save(model, tmp_path / "model.onnx")
    said = r"LayerNormalization 'y' takes its 'epsilon' from the call of a function, and is in none"
    with pytest.raises(ModelError, match=said):
        graphopt.inspect(tmp_path / "model.onnx")
