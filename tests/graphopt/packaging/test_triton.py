"""Triton's repository: what is in it, and what its configuration says."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from graphopt.golden import load_golden
from graphopt.options import Sample
from graphopt.packaging.triton_options import TritonOptions
from graphopt.runtime.library import find_library
from tests.graphopt.model_files import block, save_external
from tests.graphopt.packaging.triton_models import EVERYTHING, NEEDS, ROWS, packed, saved

WHOLE = (
    f"# Written by graphopt. {NEEDS}.\n"
    + """\
name: "rows"
backend: "onnxruntime"
max_batch_size: 4
input {
  name: "x"
  data_type: TYPE_FP32
  dims: 3
}
input {
  name: "ids"
  data_type: TYPE_INT64
  dims: 1
  reshape {
  }
}
output {
  name: "y"
  data_type: TYPE_FP32
  dims: 3
}
output {
  name: "z"
  data_type: TYPE_FP32
  dims: 1
  reshape {
  }
}
instance_group {
  count: 2
  kind: KIND_CPU
}
optimization {
  graph {
    level: 1
  }
}
parameters {
  key: "intra_op_thread_count"
  value {
    string_value: "3"
  }
}
parameters {
  key: "inter_op_thread_count"
  value {
    string_value: "1"
  }
}
parameters {
  key: "execution_mode"
  value {
    string_value: "0"
  }
}
dynamic_batching {
}
model_warmup {
  name: "golden_1"
  batch_size: 1
  inputs {
    key: "x"
    value {
      data_type: TYPE_FP32
      dims: 3
      input_data_file: "input_0"
    }
  }
  inputs {
    key: "ids"
    value {
      data_type: TYPE_INT64
      dims: 1
      input_data_file: "input_1"
    }
  }
  count: 1
}
model_warmup {
  name: "golden_4"
  batch_size: 4
  inputs {
    key: "x"
    value {
      data_type: TYPE_FP32
      dims: 3
      input_data_file: "input_0"
    }
  }
  inputs {
    key: "ids"
    value {
      data_type: TYPE_INT64
      dims: 1
      input_data_file: "input_1"
    }
  }
  count: 1
}
model_operations {
  op_library_filename: "/srv/models/rows/own.so"
}
"""
)


def test_the_configuration_says_all_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = find_library("cpu")
    if kernels is None:
        pytest.skip("the kernels were not built")
    own = tmp_path / "own.so"  # a library of the user's
    own.write_bytes(kernels.read_bytes())
    sample = Sample(dims={"batch": 2}, custom_op_libraries=(own,))
    home = packed(
        saved(ROWS, tmp_path / "rows.onnx"), tmp_path / "repo", EVERYTHING, sample, threads=3
    )
    assert (home / "config.pbtxt").read_text() == WHOLE
    assert sorted(str(file.relative_to(home)) for file in home.rglob("*") if file.is_file()) == [
        *("7/model.onnx", "config.pbtxt", "golden.npz", "own.so"),
        *("warmup/input_0", "warmup/input_1"),
    ]
    first = load_golden(home / "golden.npz").requests[0].inputs
    for number, (name, dtype) in enumerate((("x", "<f4"), ("ids", "<i8"))):
        stored = np.frombuffer((home / "warmup" / f"input_{number}").read_bytes(), dtype)
        np.testing.assert_array_equal(stored, first[name][0].reshape(-1))


def test_without_a_batch_requests_are_handed_on_as_they_are(tmp_path: Path) -> None:
    model = save_external(block(), tmp_path / "block.onnx")
    home = packed(model, tmp_path / "repo", TritonOptions(warmup=True))
    text = (home / "config.pbtxt").read_text()
    whole = '  name: "x"\n  data_type: TYPE_FP32\n  dims: -1\n  dims: -1\n  dims: 40\n'
    assert whole in text
    assert "max_batch_size: 0\n" in text
    assert re.findall("batch_size: .*", text) == ["batch_size: 0", "batch_size: 1"]
    assert (home / "warmup" / "input_0").stat().st_size == 2 * 3 * 40 * 4
    assert "dynamic_batching" not in text
    assert "model_operations" not in text


def test_a_repository_that_was_moved_holds_all_that_it_names(tmp_path: Path) -> None:
    if find_library("cpu") is None:
        pytest.skip("the kernels were not built")
    model = save_external(block(), tmp_path / "block.onnx")
    packed(model, tmp_path / "repo", TritonOptions(), library=True)
    moved = (tmp_path / "repo").rename(tmp_path / "moved")
    for file in tmp_path.glob("block.onnx*"):
        file.unlink()
    home = moved / "block"
    # The server sees the repository as /models, wherever it lies outside.
    named = re.findall(r'op_library_filename: "(.*)"', (home / "config.pbtxt").read_text())
    files = [moved / Path(name).relative_to("/models") for name in named]
    assert [file.name for file in files] == ["libgraphopt_cpu.so"]
    options = onnxruntime.SessionOptions()
    for file in files:
        options.register_custom_ops_library(str(file))
    session = onnxruntime.InferenceSession(str(home / "1" / "model.onnx"), options)
    for request in load_golden(home / "golden.npz").requests:
        (found,) = session.run(["y"], dict(request.inputs))
        np.testing.assert_allclose(found, request.outputs["y"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("provider", "kind"), [("cpu", "KIND_CPU"), ("cuda", "KIND_GPU")], ids=["cpu", "cuda"]
)
def test_instances_run_where_the_provider_does(
    provider: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graphopt.packaging import triton_config

    assert triton_config._instances(provider, 3) == {"count": 3, "kind": kind}
