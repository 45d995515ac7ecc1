"""graphopt as a pass of Olive, by itself and before the passes that quantize."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.graphopt.model_files import block, save_inline
from tests.olive.environment import olive_python
from tests.pages import ROOT, blocks, execute

pytestmark = pytest.mark.slow

OPTIMIZE = {"type": "GraphoptOptimize", "variant": "rms"}
QUANTIZERS = {
    "OnnxDynamicQuantization": "DynamicQuantizeLinear",
    "OnnxBlockWiseRtnQuantization": "MatMulNBits",
}
"""Each quantizing pass of Olive, and an operator that it writes."""
NOISE = 1.1
"""A rounding of one's own gives another error (tests/test_zoo_quantized.py)."""
PAGE = ROOT / "docs" / "deploy-native.md"
# Olive sends telemetry unless it is told not to, and reads the variable as it is imported.
QUIET = {"OLIVE_DISABLE_TELEMETRY": "1", "CI": "1"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_inline(block(), tmp_path_factory.mktemp("model") / "block.onnx")


def workflow(
    model: Path, folder: Path, *passes: dict[str, Any]
) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    script = Path(__file__).with_name("run_workflow.py")
    return subprocess.run(
        [str(olive_python()), str(script), str(model), str(folder), json.dumps(passes)],
        cwd=folder,
        env={**os.environ, **QUIET},
        capture_output=True,
        text=True,
        check=False,
    )


def made(model: Path, folder: Path, *passes: dict[str, Any]) -> Path:
    done = workflow(model, folder, *passes)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


def outputs(model: Path) -> np.ndarray:
    entries = np.random.default_rng(1).normal(size=(2, 3, 40)).astype(np.float32)
    # Olive's 4-bit pass renames an output that a quantized product gives.
    (found,) = onnxruntime.InferenceSession(str(model)).run(None, {"x": entries})
    return np.asarray(found)


def operators(model: Path) -> set[str]:
    return {node.op_type for node in onnx.load(model).graph.node}


def test_the_pass_makes_what_optimize_makes(model: Path, tmp_path: Path) -> None:
    result = made(model, tmp_path / "custom", OPTIMIZE)
    assert "LayerNormalization" not in operators(result)
    np.testing.assert_allclose(outputs(result), outputs(model), rtol=1e-4, atol=1e-5)
    domains = {node.domain for node in onnx.load(result).graph.node}
    assert "graphopt" in domains
    plain = made(model, tmp_path / "any", {**OPTIMIZE, "target": "any"})
    assert {node.domain for node in onnx.load(plain).graph.node} <= {"", "ai.onnx"}


@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_quantizing_after_it_costs_no_more_than_without_it(
    quantizer: str, model: Path, tmp_path: Path
) -> None:
    quantize = {"type": quantizer}
    alone = made(model, tmp_path / "alone", quantize)
    after = made(model, tmp_path / "after", OPTIMIZE, quantize)
    assert QUANTIZERS[quantizer] in operators(after)
    assert "LayerNormalization" not in operators(after)
    exact = outputs(model)
    errors = [np.abs(outputs(each) - exact).mean() for each in (after, alone)]
    assert errors[0] <= NOISE * errors[1]


@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_a_quantized_model_is_refused(quantizer: str, model: Path, tmp_path: Path) -> None:
    done = workflow(model, tmp_path / "before", {"type": quantizer}, OPTIMIZE)
    assert done.returncode != 0
    assert "the model is quantized (" in done.stderr + done.stdout
    assert "optimize before quantizing" in done.stderr + done.stdout
    assert not list((tmp_path / "before" / "output").glob("*.onnx"))


def test_the_page_says_how_it_is_run(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "model.onnx").write_bytes(model.read_bytes())
    ran = [block for block in blocks(PAGE) if block.environment == "olive"]
    for block_ in ran:
        if block_.language == "json":
            (tmp_path / "workflow.json").write_text(block_.text, encoding="utf-8")
        else:
            execute(block_, tmp_path, olive_python())
    assert ran
    results = list((tmp_path / "optimized").glob("*.onnx"))
    assert len(results) == 1
    assert "DynamicQuantizeLinear" in operators(results[0])
