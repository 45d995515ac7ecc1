"""What other tools do to an optimized file is what docs/later-tools.md says, line by line."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import graphopt
from graphopt.runtime.library import find_library
from tests.conftest import ZooModel
from tests.versions.environments import ROOT, python_with
from tests.versions.later_tools import CPU, TOOLS

PAGE = ROOT / "docs" / "later-tools.md"
OPS = ("custom", "standard", "ort")


def said() -> dict[str, dict[str, str]]:
    """What the page says of each tool, by operators."""
    table = PAGE.read_text(encoding="utf-8").split("<!-- table: later tools -->")[1]
    rows = re.findall(r"^\| (.+) \|$", table, re.MULTILINE)[2:]
    cells = [row.split(" | ") for row in rows]
    return {tool: dict(zip(OPS, outcomes, strict=True)) for tool, *outcomes in cells}


def test_the_page_has_a_line_for_each_tool() -> None:
    assert said().keys() == TOOLS.keys()
    meanings = re.findall(r"^- \*\*(.+)\*\*:", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {outcome for row in said().values() for outcome in row.values()} == set(meanings)


def apply(name: str, source: Path, target: Path) -> None:
    """Run a tool, in an environment of its own where it needs one."""
    tool = TOOLS[name]
    if not tool.requirements:
        tool.run(source, target)
        return
    python = python_with("later-tools", *tool.requirements)
    script = Path(__file__).with_name("later_tools.py")
    environment = {**os.environ, "PYTHONPATH": ""}
    subprocess.run([python, script, name, source, target], env=environment, check=True)


def outputs(path: Path, inputs: dict[str, np.ndarray], library: Path | None) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if library is not None:
        options.register_custom_ops_library(str(library))
    return list(onnxruntime.InferenceSession(path, options, providers=CPU).run(None, inputs))


@pytest.mark.slow
@pytest.mark.parametrize("ops", OPS)
@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize("model", ["vit-ti-16-tiny", "gpt2-tiny"])
def test_a_tool_does_what_the_page_says(
    model: str, name: str, ops: str, zoo_model: ZooModel, tmp_path: Path
) -> None:
    if "library" in name and find_library("cpu") is None:
        pytest.skip("no kernels were built")
    original = zoo_model(model, exporter="dynamo")
    source, target = tmp_path / "optimized.onnx", tmp_path / "later.onnx"
    graphopt.optimize(original, output=source, ops=ops, verify=False)
    inputs = dict(graphopt.generate_inputs(original, seed=3).arrays)
    truth = list(graphopt.evaluate(original, inputs).values())
    expected = said()[name][ops]
    if expected == "refused":
        with pytest.raises(RuntimeError, match="has no"):
            apply(name, source, target)
        return
    apply(name, source, target)
    library = None
    if expected != "runs":
        assert not onnx.load(target).functions
        with pytest.raises(Exception, match="is not a registered function/op"):
            outputs(target, inputs, None)
        library = find_library("cpu")
        if library is None:
            return
    for found, wanted in zip(outputs(target, inputs, library), truth, strict=True):
        assert np.abs(found - wanted).max() <= TOOLS[name].tolerance * np.abs(wanted).max()
