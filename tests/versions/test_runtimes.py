"""Other runtimes than ONNX Runtime read what ``--target`` writes for them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import graphopt
from graphopt.passes.targets import DESTINATIONS
from tests.conftest import ZooModel
from tests.versions.environments import ROOT, python_with

RUNNER = ROOT / "benchmarks" / "runtime_runner.py"
REQUIREMENTS = {
    "openvino": ("openvino==2026.4.1", "numpy==2.4.6"),
    "tract": ("tract==0.23.9", "numpy==2.4.6"),
}

# What a runtime does not run as it was exported either.
NOT_RUN = {("tract", "gpt2-tiny")}


def run(python: Path, runtime: str, model: Path, inputs: Path, outputs: Path) -> tuple[str, str]:
    """The version of a runtime, and why it did not run a model."""
    done = subprocess.run(
        [python, RUNNER, runtime, model, inputs, outputs],
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    version, reason = json.loads(done.stdout.splitlines()[-1])
    return version, reason


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vit-ti-16-tiny", "gpt2-tiny", "bert-base-tiny"])
@pytest.mark.parametrize("runtime", REQUIREMENTS)
def test_a_target_reads_its_file(
    runtime: str, model: str, zoo_model: ZooModel, tmp_path: Path
) -> None:
    original, optimized = zoo_model(model, exporter="dynamo"), tmp_path / "optimized.onnx"
    graphopt.optimize(original, output=optimized, target=runtime)
    inputs, outputs = tmp_path / "inputs.npz", tmp_path / "outputs.npz"
    arrays = graphopt.generate_inputs(original, seed=3).arrays
    np.savez(inputs, **arrays)
    python = python_with(runtime, *REQUIREMENTS[runtime])
    runs = run(python, runtime, original, inputs, outputs)[1] == ""
    assert runs == ((runtime, model) not in NOT_RUN)
    if not runs:
        return
    assert run(python, runtime, optimized, inputs, outputs)[1] == ""
    found = dict(np.load(outputs)).values()  # tract calls outputs by other names
    truths = graphopt.evaluate(original, arrays).values()
    for output, truth in zip(found, truths, strict=True):
        assert np.abs(output - truth).max() <= 1e-4 * np.abs(truth).max()
    custom = tmp_path / "custom.onnx"
    graphopt.optimize(original, output=custom, target="onnxruntime", verify=False)
    assert run(python, runtime, custom, inputs, outputs)[1] != ""


def test_the_pages_name_each_target() -> None:
    page = (ROOT / "docs" / "runtimes.md").read_text(encoding="utf-8")
    use = (ROOT / "docs" / "use.md").read_text(encoding="utf-8")
    for name in DESTINATIONS:
        assert re.search(rf"^\| `{re.escape(name)}` \|", page, re.MULTILINE), name
        assert f"`{name}`" in use, name
