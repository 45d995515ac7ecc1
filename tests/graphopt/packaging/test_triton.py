"""Triton's repository: what is in it, what its configuration says, and what Triton cannot serve."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner

from graphopt.cli import cli
from graphopt.errors import GraphoptError, UsageError
from graphopt.golden import load_golden
from graphopt.options import Sample
from graphopt.packaging import job
from graphopt.packaging.job import PackageOptions, write_package
from graphopt.packaging.triton_options import TritonOptions
from graphopt.packaging.triton_releases import least_release
from graphopt.runtime.library import find_library
from tests.graphopt.model_files import block, save_external, save_inline, snapshot

SMALL = Sample(dims={"batch": 2, "rows": 3})
TWO = Sample(dims={"batch": 2})
EVERYTHING = TritonOptions(4, True, 2, True, 7, "extended", "/srv/models/")
ROWS = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[batch, 3] x, int64[batch] ids) => (float[batch, 3] y, float[batch] z) {
    row = Constant <value = float[3] {1, 2, 3}> ()
    scaled = Mul (x, row)
    shape = Constant <value = int64[2] {-1, 1}> ()
    column = Reshape (ids, shape)
    numbers = Cast <to = 1> (column)
    y = Add (scaled, numbers)
    z = Cast <to = 1> (ids)
}
"""
NEEDS = "Triton 24.12 or newer (ONNX Runtime 1.20.1) reads opset 17 and IR version 8"
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


def saved(text: str, path: Path) -> Path:
    return save_inline(onnx.parser.parse_model(text), path)


def packed(
    model: Path, output: Path, options: TritonOptions, sample: Sample = SMALL, **others: object
) -> Path:
    """The folder of the model in the repository that is written."""
    made = write_package(
        model,
        "triton",
        output,
        PackageOptions(triton=options, **others),  # type: ignore[arg-type]
        sample,
    )
    return output / made.name


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


FIXED = """<ir_version: 8, opset_import: ["" : 17]>
g (float[1, 3] x) => (float[1, 3] y) { y = Neg (x) }"""
SCALAR = """<ir_version: 8, opset_import: ["" : 17]>
g (float[batch, 3] x) => (float y) { y = ReduceSum <keepdims = 0> (x) }"""
OTHER_ROWS = """<ir_version: 8, opset_import: ["" : 17]>
g (float[batch, 3] x, float[tokens, 3] t) => (float[batch, 3] y) {
    one = ReduceSum <keepdims = 0> (t)
    y = Add (x, one)
}"""
MEAN_OF_ROWS = """<ir_version: 8, opset_import: ["" : 17]>
g (float[batch, 3] x) => (float[batch, 3] y) {
    mean = ReduceMean <axes = [0]> (x)
    y = Sub (x, mean)
}"""
COUNTED = """<ir_version: 8, opset_import: ["" : 17]>
g (float[batch, 3] x) => (float[batch, 3] y) {
    shape = Constant <value = int64[2] {2, 3}> ()
    two = Reshape (x, shape)
    y = Neg (two)
}"""


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (FIXED, TritonOptions(4), "'x' has the fixed size 1 where its batch would be: leave out"),
        (SCALAR, TritonOptions(), "'y' is a scalar, or its dimensions are not known, and Triton"),
        (OTHER_ROWS, TritonOptions(4), r"no one batch \(2 of 'x', 5 of 't', 2 of 'y'\)"),
        (MEAN_OF_ROWS, TritonOptions(4), "requests cannot be joined: .* \\(output 'y': largest"),
        (COUNTED, TritonOptions(4), "'y' has the fixed size 2 where its batch would be: leave"),
        (ROWS, TritonOptions(1), "have 2 rows and --max-batch-size is 1: give a smaller size"),
        (
            ROWS,
            TritonOptions(dynamic_batching=True),
            "--dynamic-batching .*: give --max-batch-size",
        ),
        (ROWS, TritonOptions(repository="models"), "--repository 'models': give the absolute path"),
        (ROWS, TritonOptions(repository="/a/../b"), "--repository '/a/../b': give the absolute"),
    ],
    ids=lambda value: None if isinstance(value, TritonOptions) else str(value)[:20],
)
def test_what_triton_cannot_serve_is_said_in_one_line(
    text: str, options: TritonOptions, said: str, tmp_path: Path
) -> None:
    model = saved(text, tmp_path / "model.onnx")
    sizes = {name: size for name, size in {"batch": 2, "tokens": 5}.items() if name in text}
    before = snapshot(tmp_path)
    with pytest.raises(UsageError, match=said) as caught:
        packed(model, tmp_path / "repo", options, Sample(dims=sizes))
    assert "\n" not in str(caught.value)
    assert snapshot(tmp_path) == before
    assert not (tmp_path / "repo").exists()


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "a b"])
def test_names_that_leave_the_repository_are_refused(name: str, tmp_path: Path) -> None:
    model = saved(ROWS, tmp_path / "rows.onnx")
    with pytest.raises(UsageError, match=r"--name .*: for Triton give letters"):
        packed(model, tmp_path / "repo", TritonOptions(), TWO, name=name)
    assert not (tmp_path / "repo").exists()


def test_what_triton_would_not_hand_on_is_refused(tmp_path: Path) -> None:
    model = saved(ROWS, tmp_path / "rows.onnx")
    entry = {"session.intra_op.allow_spinning": "1"}
    with pytest.raises(UsageError, match=r"--session-option session.intra_op.allow_spinning: Tri"):
        packed(model, tmp_path / "repo", TritonOptions(), TWO, session_options=entry)
    known = {"session.use_device_allocator_for_initializers": "1"}
    home = packed(model, tmp_path / "repo", TritonOptions(), TWO, session_options=known)
    assert (
        'key: "session.use_device_allocator_for_initializers"'
        in (home / "config.pbtxt").read_text()
    )


@pytest.mark.parametrize(
    ("opset", "ir", "triton"),
    [
        (17, 8, "24.12"),
        (21, 10, "24.12"),
        (22, 10, "25.03"),
        (21, 11, "25.09"),
        (23, 10, "25.09"),
        (24, 10, "26.02"),
        (25, 13, "26.02"),
        (26, 10, "26.07"),
        (27, 10, None),
        (17, 14, None),
    ],
)
def test_the_least_release_is_the_first_that_reads_opset_and_format(
    opset: int, ir: int, triton: str | None
) -> None:
    release = least_release(opset, ir)
    assert (release.triton if release else None) == triton


def test_the_command_takes_the_options_for_triton_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, TritonOptions]] = []

    def remember(model: Path, kind: str, output: Path, options: PackageOptions, _: Sample) -> None:
        asked.append((kind, options.triton))
        raise GraphoptError("asked")

    monkeypatch.setattr(job, "write_package", remember)
    command = ["package", "a.onnx", "-o", str(tmp_path / "out"), "--format"]
    given = {
        "--max-batch-size": ["4"],
        "--dynamic-batching": [],
        "--instances": ["2"],
        "--warmup": [],
        "--version": ["7"],
        "--graph-level": ["extended"],
        "--repository": ["/srv/models/"],
    }
    every = [word for option, value in given.items() for word in (option, *value)]
    CliRunner().invoke(cli, [*command, "triton", *every])
    assert asked == [("triton", EVERYTHING)]
    for option, value in given.items():
        done = CliRunner().invoke(cli, [*command, "kserve", option, *value])
        assert done.exit_code == 2
        assert f"{option} goes with --format triton" in done.output
    assert len(asked) == 1


def test_the_command_says_which_release_reads_it(tmp_path: Path) -> None:
    model = saved(ROWS, tmp_path / "rows.onnx")
    out = tmp_path / "repo"
    done = CliRunner().invoke(cli, f"package {model} --format triton -o {out} --name r".split())
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        f"{out}: model 'r' for triton",
        NEEDS,
    ]
