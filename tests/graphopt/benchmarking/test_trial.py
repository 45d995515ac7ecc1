"""The trial of a model, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from graphopt.benchmarking.execution import Execution
from graphopt.benchmarking.trial import try_model
from graphopt.runtime.own_process import ProcessFailed
from tests.graphopt.model_files import WIDTH, save_inline


def test_memory_grows_with_the_weights(tmp_path: Path) -> None:
    memory = []
    for width in (8, 2048):
        weight = np.full((width, width), 0.5, np.float32)
        text = f"""<ir_version: 8, opset_import: ["" : 17]>
            g (float[1, {width}] x) => (float[1, {width}] y) {{ y = MatMul (x, w) }}"""
        made = onnx.parser.parse_model(text)
        made.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
        path = save_inline(made, tmp_path / f"{width}.onnx")
        trial = try_model(path, {"x": np.ones((1, width), np.float32)}, Execution())
        assert trial.nodes == {}
        memory.append(trial.memory)
    assert memory[0] is not None
    assert memory[1] is not None
    assert memory[1] - memory[0] > 0.9 * 2048 * 2048 * 4


def test_a_trial_that_fails_says_why(model: Path) -> None:
    with pytest.raises(ProcessFailed, match="x"):
        try_model(model, {"x": np.ones((1, 4, WIDTH + 1), np.float32)}, Execution())
