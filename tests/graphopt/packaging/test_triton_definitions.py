"""Triton's configuration, parsed by its own definitions and compared field by field."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from graphopt.options import Sample
from graphopt.packaging.job import PackageOptions, write_package
from graphopt.packaging.triton_options import TritonOptions
from graphopt.runtime.library import find_library
from tests.graphopt.model_files import block, save_inline
from tests.graphopt.packaging.triton_models import EVERYTHING, ROWS, saved
from tests.graphopt.serving import environments

THREADS = {
    "intra_op_thread_count": {"string_value": "3"},
    "inter_op_thread_count": {"string_value": "1"},
    "execution_mode": {"string_value": "0"},
}
X = {"data_type": "TYPE_FP32", "dims": ["3"], "input_data_file": "input_0"}
IDS = {"data_type": "TYPE_INT64", "dims": ["1"], "input_data_file": "input_1"}


@pytest.mark.slow
def test_every_field_is_read_back_by_the_definitions_of_triton(tmp_path: Path) -> None:
    kernels = find_library("cpu")
    assert kernels is not None
    own = tmp_path / "größe.so"
    own.write_bytes(kernels.read_bytes())
    write_package(
        saved(ROWS, tmp_path / "rows.onnx"),
        "triton",
        tmp_path / "full",
        PackageOptions(threads=3, triton=EVERYTHING),
        Sample(dims={"batch": 2}, custom_op_libraries=(own,)),
    )
    write_package(
        save_inline(block(), tmp_path / "block.onnx"),
        "triton",
        tmp_path / "plain",
        PackageOptions(threads=3, triton=TritonOptions(graph_level="basic")),
        Sample(dims={"batch": 2, "rows": 3}),
    )
    files = [tmp_path / "full/rows/config.pbtxt", tmp_path / "plain/block/config.pbtxt"]
    script = Path(__file__).with_name("parse_config.py")
    done = subprocess.run(
        [environments.client(), script, *files], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    full, plain = map(json.loads, done.stdout.splitlines())
    assert full == {
        "name": "rows",
        "backend": "onnxruntime",
        "max_batch_size": 4,
        "input": [
            {"name": "x", "data_type": "TYPE_FP32", "dims": ["3"]},
            {"name": "ids", "data_type": "TYPE_INT64", "dims": ["1"], "reshape": {}},
        ],
        "output": [
            {"name": "y", "data_type": "TYPE_FP32", "dims": ["3"]},
            {"name": "z", "data_type": "TYPE_FP32", "dims": ["1"], "reshape": {}},
        ],
        "instance_group": [{"count": 2, "kind": "KIND_CPU"}],
        "optimization": {"graph": {"level": 1}},
        "parameters": THREADS,
        "dynamic_batching": {},
        "model_warmup": [
            {
                "name": f"golden_{rows}",
                "batch_size": rows,
                "inputs": {"x": X, "ids": IDS},
                "count": 1,
            }
            for rows in (1, 4)
        ],
        "model_operations": {"op_library_filename": ["/srv/models/rows/größe.so"]},
    }
    sizes = {"data_type": "TYPE_FP32", "dims": ["-1", "-1", "40"]}
    assert plain == {
        "name": "block",
        "backend": "onnxruntime",
        "input": [{"name": "x", **sizes}],
        "output": [{"name": "y", **sizes}],
        "instance_group": [{"count": 1, "kind": "KIND_CPU"}],
        "optimization": {"graph": {"level": -1}},
        "parameters": THREADS,
    }
