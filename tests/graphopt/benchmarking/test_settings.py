"""Settings that cannot be used are refused, each with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import graphopt
from graphopt.benchmarking.settings import Settings
from graphopt.errors import ModelError, UsageError
from tests.graphopt.benchmarking.benchmark_runs import QUICK
from tests.graphopt.model_files import WIDTH, save_inline

pytestmark = pytest.mark.usefixtures("trials_here")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"providers": ("tpu",)}, "unknown provider 'tpu': choose cpu or cuda"),
        ({"dtypes": ("int8",)}, "unknown dtype 'int8': choose float32 or float16"),
        ({"quantize": ("int3",)}, "unknown quantizer 'int3': choose dynamic or matmul4"),
        ({"baseline": "rms no-fuse"}, "--baseline 'rms no-fuse': there is no such model"),
        ({"clock": "sun"}, "unknown clock 'sun': choose wall or thread_cpu"),
        ({"ops": "magic"}, "unknown ops 'magic'"),
        ({"threads": ()}, "give a provider and a thread count"),
        ({"threads": (1, -1)}, "threads -1"),
        ({"batches": (1, 0)}, "batch 0: give sizes of at least 1"),
        ({"dims": {"rows": (0,)}}, "rows 0: give sizes of at least 1"),
        ({"openings": 5}, "5 sessions of each model cannot carry a 95% interval: give at least 6"),
        ({"duration": 0.0}, "duration, iterations or warmup is not positive"),
        ({"iterations": 0}, "duration, iterations or warmup is not positive"),
        ({"clock": "thread_cpu", "threads": (1, 2)}, "sees the calling thread alone"),
        ({"cuda_graph": True}, "CUDA graphs are for the provider cuda"),
        ({"inputs": {"x": np.zeros((1, 4, WIDTH), np.float32)}}, "input 'x' is all zeros"),
        (
            {"baseline": "best"},
            "--baseline 'best': there is no such model: choose one of original, rms, crms, floor",
        ),
        ({"dims": {"columns": (1,)}}, "no symbolic dimension 'columns'"),
        ({"lengths": (4,)}, "--seq: no symbolic dimension"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    model: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        graphopt.benchmark(model, **QUICK | settings)


@pytest.mark.parametrize(("iterations", "rounds"), [(None, None), (1, 1), (12, 1), (13, 2)])
def test_iterations_are_spread_over_the_sessions(
    iterations: int | None, rounds: int | None
) -> None:
    assert Settings(iterations=iterations, openings=12).rounds == rounds


def test_what_cannot_be_measured_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give at least one model"):
        graphopt.benchmark([])
    with pytest.raises(UsageError, match="--dtype converts the one model"):
        graphopt.benchmark([model, model], dtypes=("float16",))
    with pytest.raises(ModelError, match="absent"):
        graphopt.benchmark(tmp_path / "absent.onnx")
    with pytest.raises(TypeError, match="speed"):
        graphopt.benchmark(model, speed=11)


def test_a_baseline_that_could_not_be_made_says_why(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (float[batch, 4] x) => (float[batch, 4] y) { y = Exp (x) }"""
    path = save_inline(onnx.parser.parse_model(text), tmp_path / "exp.onnx")
    with pytest.raises(UsageError, match=r"--baseline 'rms': it could not be made .no LayerNorm"):
        graphopt.benchmark(path, baseline="rms")


def test_a_baseline_that_is_no_other_model_than_the_result_says_so(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (float[batch, 4] x) => (float[batch, 4] y) <float[4] gamma = {1, 2, 3, 4}> {
            centred = Neg (x) y = LayerNormalization <axis = -1> (centred, gamma) }"""
    path = save_inline(onnx.parser.parse_model(text), tmp_path / "norm.onnx")
    with pytest.raises(
        UsageError, match="'floor no-fuse': it was not made, because there is nothing to fuse"
    ):
        graphopt.benchmark(path, baseline="floor no-fuse")
