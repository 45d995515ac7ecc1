"""Weights are read when they are needed, from a file that may have changed by then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from graphopt.errors import EnvironmentFailure
from graphopt.files import loading, saving
from tests.graphopt.model_files import block, save_external, save_inline, snapshot, weights

CUT_WHILE_IT_RUNS = """
import os, sys
from graphopt.passes import pipeline
run = pipeline.run
def cut(*arguments):
    os.truncate(sys.argv[2], 4096)
    return run(*arguments)
pipeline.run = cut
from graphopt.cli import main
main(["optimize", "--no-verify", sys.argv[1]])
"""


@pytest.mark.parametrize(("save", "cut"), [(save_inline, ""), (save_external, ".data")])
def test_a_file_that_is_cut_while_it_is_used(tmp_path: Path, save: object, cut: str) -> None:
    path = save(block(), tmp_path / "model.onnx")  # type: ignore[operator]
    data = f"{path}{cut}"
    done = subprocess.run(
        [sys.executable, "-c", CUT_WHILE_IT_RUNS, str(path), data],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert f"graphopt: error: {data}: weight '" in done.stderr
    assert "the file has become shorter since it was loaded" in done.stderr
    assert not list(tmp_path.glob("*.rms.onnx")) + list(tmp_path.glob(".*"))


def test_a_file_that_is_removed_while_it_is_used(tmp_path: Path) -> None:
    path = save_external(block(), tmp_path / "model.onnx")
    model = loading.load(path)
    Path(f"{path}.data").unlink()
    before = snapshot(tmp_path)
    with pytest.raises(EnvironmentFailure, match=r"copy.onnx: cannot be written: No such file"):
        saving.save(model, tmp_path / "copy.onnx")
    assert snapshot(tmp_path) == before


def test_rows_are_a_part_of_the_tensor(tmp_path: Path) -> None:
    path = save_external(block(), tmp_path / "model.onnx")
    tensor = loading.load(path).graph.initializers["weight_1"].const_value
    whole = weights(path)["weight_1"]
    np.testing.assert_array_equal(tensor.rows(3, 7), whole[3:7])  # type: ignore[union-attr]
    np.testing.assert_array_equal(tensor.rows(38, 99), whole[38:])  # type: ignore[union-attr]
    with pytest.raises(EnvironmentFailure, match="shorter"):
        Path(f"{path}.data").write_bytes(b"")
        tensor.rows(0, 1)  # type: ignore[union-attr]
