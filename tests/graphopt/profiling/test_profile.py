"""The profile of a model that runs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from graphopt.errors import EnvironmentFailure, UsageError
from graphopt.profiling.profile import profile_model
from graphopt.profiling.recording import record
from graphopt.runtime.sessions import RuntimeRefused
from tests.graphopt.model_files import WIDTH, block, conditional, save_external, save_inline

X = np.random.default_rng(0).normal(size=(2, 300, WIDTH)).astype(np.float32)


@pytest.mark.parametrize("save", [save_inline, save_external])
@pytest.mark.parametrize("named", [True, False])
def test_the_nodes_of_a_block_get_their_purposes(
    tmp_path: Path, save: Callable[[onnx.ModelProto, Path], Path], named: bool
) -> None:
    model = block()
    for index, node in enumerate(model.graph.node):
        node.name = f"node {index}" if named else ""
    path = save(model, tmp_path / "block.onnx")
    found = profile_model(path, {"x": X}, warmup=1, runs=3)
    assert {time.operator: time.nodes for time in found.operators} == {
        "MatMul": 4,
        "Add": 2,
        "Relu": 1,
        "LayerNormalization": 1,
        "com.microsoft.SkipLayerNormalization": 1,  # with the residual sum
    }
    seconds = {time.operator: time.seconds for time in found.operators}
    assert list(seconds.values()) == sorted(seconds.values(), reverse=True)
    assert 0 < found.seconds == pytest.approx(sum(seconds.values()))
    assert found.normalization == pytest.approx(
        seconds["LayerNormalization"] + seconds["com.microsoft.SkipLayerNormalization"]
    )
    assert 0 < found.bias == pytest.approx(seconds["Add"])
    assert found.residual == 0
    assert found.calls == 3
    assert {time.provider for time in found.operators} == {"CPUExecutionProvider"}


def test_two_purposes_of_an_operator_are_told_apart(tmp_path: Path) -> None:
    model = block()
    model.graph.node[-1].input[0] = "residual"  # no norm reads the sum: nothing to fuse it with
    del model.graph.node[-2]
    path = save_inline(model, tmp_path / "block.onnx")
    found = profile_model(path, {"x": X}, warmup=1, runs=3)
    (add,) = (time for time in found.operators if time.operator == "Add")
    assert add.nodes == 3
    assert found.residual > 0
    assert found.bias > 0
    assert found.residual + found.bias == pytest.approx(add.seconds)


def test_nodes_of_a_branch_are_found_by_name(tmp_path: Path) -> None:
    model = conditional(block())
    for branch in model.graph.node[0].attribute:
        for index, node in enumerate(branch.g.node):
            node.name = f"{branch.name} {index}"
    path = save_inline(model, tmp_path / "branch.onnx")
    found = profile_model(path, {"x": X, "flag": np.array(True)}, warmup=0, runs=2)
    seconds = {time.operator: time.seconds for time in found.operators}
    assert 0 < found.bias == pytest.approx(seconds["Add"])
    assert seconds.keys() > {"If", "MatMul"}


def test_no_time_of_a_branch_counts_twice(tmp_path: Path) -> None:
    path = save_inline(conditional(block()), tmp_path / "branch.onnx")
    inputs = {"x": X, "flag": np.array(True)}
    options: dict[str, Any] = {"provider_options": None, "library": None}
    recorded = record(path, inputs, provider="cpu", threads=1, warmup=0, runs=2, **options)
    for run in recorded.runs:
        rounding = 1e-6 * len(run.kernels)
        assert sum(kernel.seconds for kernel in run.kernels) <= run.seconds + rounding


def test_runs_of_the_warm_up_do_not_count(tmp_path: Path) -> None:
    path = save_inline(block(), tmp_path / "block.onnx")
    assert profile_model(path, {"x": X}, warmup=4, runs=2).calls == 2
    with pytest.raises(UsageError, match="0 runs after 3: give at least 1"):
        profile_model(path, {"x": X}, runs=0)


def test_no_file_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_inline(block(), tmp_path / "block.onnx")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.chdir(scratch)
    profile_model(path, {"x": X}, warmup=0, runs=1)
    with pytest.raises(RuntimeRefused, match="cannot run the model"):
        profile_model(path, {"x": X[0]}, warmup=0, runs=1)
    assert not list(scratch.iterdir())


def test_what_cannot_be_profiled_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_inline(block(), tmp_path / "block.onnx")
    monkeypatch.delenv("CUDA_LAUNCH_BLOCKING", raising=False)
    with pytest.raises(EnvironmentFailure, match="set the environment variable"):
        profile_model(path, {"x": X}, provider="cuda")
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "1")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(EnvironmentFailure, match="CUDAExecutionProvider does not start"):
            profile_model(path, {"x": X}, provider="cuda")
    with pytest.raises(UsageError, match="unknown execution provider 'tpu'"):
        profile_model(path, {"x": X}, provider="tpu")
    (tmp_path / "empty.onnx").write_bytes(onnx.ModelProto().SerializeToString())
    with pytest.raises(RuntimeRefused, match=r"cannot load empty\.onnx"):
        profile_model(tmp_path / "empty.onnx", {})
    path.with_suffix(".so").write_bytes(b"no library")
    with pytest.raises(EnvironmentFailure, match=r"refuses the kernels of .*block\.so"):
        profile_model(path, {"x": X}, library=path.with_suffix(".so"))
