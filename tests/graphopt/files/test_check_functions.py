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
