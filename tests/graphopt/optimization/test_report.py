"""The report as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import onnxruntime

import graphopt
from graphopt.json_values import to_json


def test_the_report_is_json(tmp_path: Path, model: Path) -> None:
    report = graphopt.optimize(model, output=tmp_path / "out.onnx").report
    found = json.loads(report.to_json())
    assert list(found) == [
        "schema",
        "input",
        "output",
        "variant",
        "ops",
        "target",
        "provider",
        "plan",
        "passes",
        "verification",
        "verification_with_kernels",
        "verification_on_cuda",
        "has_custom_operators",
        "readers",
        "cautions",
        "speedup",
        "tuning",
        "environment",
        "seconds",
    ]
    assert found["schema"] == "graphopt.report/1"
    sizes = [
        sum(file.stat().st_size for file in tmp_path.glob(f"{name}*")) for name in ("model", "out")
    ]
    assert [found["input"]["bytes"], found["output"]["bytes"]] == sizes
    assert found["plan"]["norms"][0]["converted"] is True
    assert found["verification"]["status"] == "passed"
    assert found["environment"]["onnxruntime"] == onnxruntime.__version__
    assert list(found["seconds"]) == ["load", "optimize", "write", "verify"]


def test_numbers_that_json_lacks_are_strings() -> None:
    assert json.loads(to_json({"a": float("inf"), "b": [float("nan"), 1.5]})) == {
        "a": "inf",
        "b": ["nan", 1.5],
    }
