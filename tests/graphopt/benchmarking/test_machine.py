"""Where a benchmark ran: the machine, the GPU that NVIDIA's tool names, the providers of nodes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from graphopt.benchmarking.execution import Execution
from graphopt.benchmarking.machine import describe
from graphopt.benchmarking.placement import count_nodes, nodes_by_provider
from graphopt.errors import EnvironmentFailure
from graphopt.runtime.gpu import describe_gpu, device_memory
from tests.graphopt.model_files import WIDTH, block, save_inline

FOREVER = 1e6

TOOL = """#!/bin/sh
case "$*" in
  *name,driver_version*--id=2) echo "NVIDIA H100, 570.1" ;;
  *memory.used*nounits*--id=2) echo 300 ;;
  *) exit 6 ;;
esac
"""


def install(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = directory / "nvidia-smi"
    tool.write_text(TOOL)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")


def test_the_first_visible_gpu_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert describe_gpu() == "NVIDIA H100 (driver 570.1)"
    assert device_memory() == 300 * 2**20
    assert describe(library=None, cuda=True).gpu == "NVIDIA H100 (driver 570.1)"
    assert describe(library=None, cuda=False).gpu == ""


def test_a_gpu_that_nobody_names_is_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert describe_gpu() == "a GPU that nvidia-smi does not name"
    assert device_memory() is None
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert device_memory() is None


def test_the_environment_is_that_of_this_machine(tmp_path: Path) -> None:
    here = describe(library=None, cuda=False)
    assert here.cores >= 1
    assert here.onnxruntime == onnxruntime.__version__
    assert here.library == ""
    assert str(here).endswith(", no kernel library")
    (tmp_path / "libother.so").write_bytes(b"no library")
    with pytest.raises(EnvironmentFailure, match="is no library of kernels"):
        describe(library=tmp_path / "libother.so", cuda=False)


def test_nodes_are_counted_once_by_their_provider() -> None:
    def event(name: str, provider: str | None, category: str = "Node") -> dict[str, object]:
        return {"cat": category, "name": name, "args": {"provider": provider} if provider else {}}

    events = [
        event("a_kernel_time", "CUDAExecutionProvider"),
        event("a_kernel_time", "CUDAExecutionProvider"),  # in a loop
        event("b_kernel_time", "CUDAExecutionProvider"),
        event("b_fence_before", None),
        event("c_kernel_time", "CPUExecutionProvider"),
        event("model_run", "CPUExecutionProvider", "Session"),
    ]
    assert count_nodes(events) == {"CUDAExecutionProvider": 2, "CPUExecutionProvider": 1}


def test_a_run_tells_the_provider_of_every_node(tmp_path: Path) -> None:
    path = save_inline(block(), tmp_path / "model.onnx")
    inputs = {"x": np.ones((1, 2, WIDTH), np.float32)}
    assert nodes_by_provider(path, inputs, Execution()).keys() == {"CPUExecutionProvider"}
