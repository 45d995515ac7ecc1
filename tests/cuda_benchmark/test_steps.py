"""The steps, and what each says came of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from graphopt import ModelError
from tests.cuda_benchmark.machine import ROOT


@pytest.mark.parametrize(
    ("error", "code", "last"),
    [
        (None, 0, "well"),
        ("skip", 3, "bring the models"),
        (ModelError("vit.onnx: no shape"), 1, "vit.onnx: no shape"),
        (ModelError("Failed to allocate memory for 9 GB"), 3, "Failed to allocate memory for 9 GB"),
        (ValueError("a defect"), 1, "ValueError: a defect"),
    ],
)
def test_a_step_says_in_its_last_line_what_came_of_it(
    error: Any,
    code: int,
    last: str,
    scripts: dict[str, ModuleType],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = scripts["cuda_steps"]

    def run(place: Any) -> None:
        print("well")
        if error is not None:
            raise steps.Skipped("bring the models") if error == "skip" else error

    step = steps.Step("a", "the a", run)
    monkeypatch.setattr(scripts["cuda"], "all_steps", lambda dry: [step])
    arguments = ["--dry-run", "--step", "a", "--record", str(path)]
    assert scripts["cuda"].main(arguments) == code
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_a_run_writes_the_page_and_says_that_a_step_failed(
    scripts: dict[str, ModuleType],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whole, in processes of its own: a step that does not exist fails in its process."""
    steps = scripts["cuda_steps"]
    step = steps.Step("nowhere", "a step that is nowhere", lambda place: None)
    monkeypatch.setattr(scripts["cuda"], "all_steps", lambda dry: [step])
    assert scripts["cuda"].main(["--dry-run", "--record", str(path)]) == 1
    assert "a step that is nowhere: failed: KeyError: 'nowhere'" in capsys.readouterr().out
    page = path.with_suffix(".md").read_text()
    assert "| a step that is nowhere | failed: KeyError: 'nowhere' |" in page


def test_every_step_has_a_name_of_its_own(scripts: dict[str, ModuleType]) -> None:
    steps = scripts["cuda_steps"]
    names = [step.name for step in steps.all_steps()]
    assert len(set(names)) == len(names)
    assert {step.name for step in steps.check_steps()} < set(names)
    assert names[:4] == ["harness", "library", "sessions", "vit-b-16.float16.custom"]
    for model in ("vit-b-16", "bert-base", "gpt2"):
        for dtype in ("float16", "float32"):
            assert {f"{model}.{dtype}.custom", f"{model}.{dtype}.ort"} < set(names)
    dry = [step.name for step in steps.all_steps(dry=True)]
    kinds = {name.split(".")[0] for name in dry}
    assert kinds == {
        *("harness", "library", "sessions", "memory", "operators", "study", "vit-ti-16-tiny")
    }


def test_models_are_brought_or_said_to_be_missing(
    scripts: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = scripts["cuda_steps"]
    vit, bert, gpt2 = steps.SUBJECTS
    nested = tmp_path / "bert-base" / "bert-base.onnx"
    nested.parent.mkdir()
    for file in (tmp_path / "vit-b-16.onnx", nested):
        file.touch()
    assert steps.find_model(vit, tmp_path) == tmp_path / "vit-b-16.onnx"
    assert steps.find_model(bert, tmp_path) == nested

    def no_torch(subject: Any) -> Path:
        raise ImportError("No module named 'torch'")

    monkeypatch.setattr(steps, "model_file", no_torch)
    with pytest.raises(steps.Skipped) as skipped:
        steps.find_model(gpt2, tmp_path)
    assert str(skipped.value) == (
        "gpt2.onnx cannot be exported here (No module named 'torch'): where PyTorch and "
        'transformers are, run "graphopt export gpt2 -o DIR/gpt2.onnx", and give DIR as MODELS'
    )


@pytest.mark.slow
def test_a_dry_run_takes_every_step(tmp_path: Path) -> None:
    """With exports, and nvcc where there is one."""
    path = tmp_path / "results-cuda.json"
    command = [sys.executable, "benchmarks/cuda.py", "--dry-run", "--record", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed" not in done.stdout
    page = path.with_suffix(".md").read_text()
    assert "### Models" in page and "### Operators alone" in page and "study" in page
