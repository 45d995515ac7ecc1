"""What make runs, with a GPU and without one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cuda_benchmark.machine import ROOT


def commands(tmp_path: Path, *arguments: str, gpu: bool) -> str:
    """What make would run, where there is a GPU or none."""
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "uname"):
        (tools / name).symlink_to(shutil.which(name) or "")
    if gpu:
        tool = tools / "nvidia-smi"
        tool.write_text("#!/bin/sh\n")
        tool.chmod(0o755)
    done = subprocess.run(
        [make, "-n", *arguments],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tools), "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_with_a_gpu_make_installs_what_is_brought_and_measures(tmp_path: Path) -> None:
    shown = commands(tmp_path, "bench-cuda", "WHEELS=/w", "MODELS=/m", "VENV_CUDA=v", gpu=True)
    assert "v/bin/python benchmarks/cuda.py  --models '/m'" in shown
    installed = [line for line in shown.splitlines() if " install " in line]
    assert any("'.[gpu,bench,test]'" in line for line in installed)
    assert all("--no-index --find-links '/w'" in line for line in installed)


@pytest.mark.parametrize(
    ("gpu", "arguments", "expected"),
    [
        (False, ["bench-cuda"], "benchmarks/cuda.py --dry-run"),
        (True, ["bench-cuda", "DRY_RUN=1"], "benchmarks/cuda.py --dry-run"),
        (True, ["test-cuda", "CUDA_PYTHON=p"], "p benchmarks/cuda.py   --checks"),
        (False, ["test-cuda"], "--dry-run  --checks"),
    ],
)
def test_without_a_gpu_make_runs_dry(
    gpu: bool, arguments: list[str], expected: str, tmp_path: Path
) -> None:
    shown = commands(tmp_path, *arguments, gpu=gpu)
    assert expected in shown
    assert "onnxruntime-gpu" not in shown
