"""The profile of a model that runs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from graphopt.errors import EnvironmentFailure, UsageError
from graphopt.profile_roles import ROLES
from graphopt.profiling import OperatorTime, Profile, profile_model
from graphopt.sessions import RuntimeRefused
from tests.graphopt.model_files import WIDTH, block, conditional, save_external, save_inline

X = np.random.default_rng(0).normal(size=(2, 300, WIDTH)).astype(np.float32)


def profile(operators: dict[tuple[str, str], float]) -> Profile:
    times = tuple(OperatorTime(op, role, value, 1) for (op, role), value in operators.items())
    return Profile(times, seconds=10.0, runs=1, provider="CPUExecutionProvider", threads=1)


def test_shares_are_of_the_time_in_kernels() -> None:
    found = profile(
        {("MatMul", "linear"): 4.0, ("Add", "bias add"): 3.0, ("Add", "residual add"): 2.0}
    )
    assert found.kernel_seconds == 9.0
    assert found.by_operator == {"Add": 5.0, "MatMul": 4.0}
    assert list(found.by_role) == list(ROLES)
    assert found.share("bias add") == pytest.approx(1 / 3)
    assert found.share("normalization") == 0
    assert profile({}).share("linear") == 0


@pytest.mark.parametrize("save", [save_inline, save_external])
@pytest.mark.parametrize("named", [True, False])
def test_the_nodes_of_a_block_get_their_roles(
    tmp_path: Path, save: Callable[[onnx.ModelProto, Path], Path], named: bool
) -> None:
    model = block()
    for index, node in enumerate(model.graph.node):
        node.name = f"node {index}" if named else ""
    path = save(model, tmp_path / "block.onnx")
    found = profile_model(path, {"x": X}, warmup=1, runs=3)
    assert {(time.op_type, time.role): time.calls for time in found.operators} == {
        ("MatMul", "linear"): 4,
        ("Add", "bias add"): 2,
        ("Relu", "activation"): 1,
        ("LayerNormalization", "normalization"): 1,
        ("SkipLayerNormalization", "normalization"): 1,  # with the residual sum
    }
    assert (found.runs, found.threads, found.provider) == (3, 1, "CPUExecutionProvider")
    assert 0 < found.kernel_seconds <= found.seconds


def test_nodes_of_a_branch_are_found_by_name(tmp_path: Path) -> None:
    model = conditional(block())
    for branch in model.graph.node[0].attribute:
        for index, node in enumerate(branch.g.node):
            node.name = f"{branch.name} {index}"
    path = save_inline(model, tmp_path / "branch.onnx")
    found = profile_model(path, {"x": X, "flag": np.array(True)}, warmup=0, runs=2)
    roles = {(time.op_type, time.role): time.seconds for time in found.operators}
    assert roles["Add", "bias add"] > 0
    assert roles["MatMul", "linear"] > roles["If", "rest"]


def test_runs_of_the_warm_up_do_not_count(tmp_path: Path) -> None:
    path = save_inline(block(), tmp_path / "block.onnx")
    assert profile_model(path, {"x": X}, warmup=4, runs=2).runs == 2
    with pytest.raises(UsageError, match="runs is at least 1"):
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
    with pytest.raises(UsageError, match="unknown execution provider 'tpu'"):
        profile_model(path, {"x": X}, provider="tpu")
    (tmp_path / "empty.onnx").write_bytes(onnx.ModelProto().SerializeToString())
    with pytest.raises(RuntimeRefused, match=r"cannot load empty\.onnx"):
        profile_model(tmp_path / "empty.onnx", {})
