"""What cannot be done: one clear line, the right exit code, and nothing touched or left behind."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from graphopt.cli import cli, exit_codes
from graphopt.errors import EnvironmentFailure
from tests.graphopt.model_files import (
    block,
    initializer,
    point_to,
    save_external,
    save_inline,
    snapshot,
)
from tests.message_table import is_of_a_row


@dataclasses.dataclass(frozen=True)
class Row:
    """A bad input: what it is, how to make it in a directory, and what must be said."""

    what: str
    make: Callable[[Path], Path]
    message: str
    code: int = 2


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        (directory / name).write_bytes(content)
        return directory / name

    return make


def truncated(share: float) -> Callable[[Path], Path]:
    whole = block().SerializeToString()
    return written("model.onnx", whole[: int(len(whole) * share)])


def changed(change: Callable[[onnx.ModelProto], object]) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        model = block()
        change(model)
        return save_inline(model, directory / "model.onnx")

    return make


def graph(text: str) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        header = '<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>'
        return save_inline(onnx.parser.parse_model(header + text), directory / "model.onnx")

    return make


def with_data(change: Callable[[onnx.ModelProto], object]) -> Callable[[Path], Path]:
    """A model with external data whose references are changed after it was saved."""

    def make(directory: Path) -> Path:
        path = save_external(block(), directory / "model.onnx")
        model = onnx.load(path, load_external_data=False)
        change(model)
        return save_inline(model, path)

    return make


def outside(location: str) -> Callable[[Path], Path]:
    return with_data(lambda model: point_to(initializer(model, "weight_1"), location))


def without_its_data(directory: Path) -> Path:
    path = save_external(block(), directory / "model.onnx")
    (directory / "model.onnx.data").unlink()
    return path


def with_short_data(directory: Path) -> Path:
    path = save_external(block(), directory / "model.onnx")
    data = directory / "model.onnx.data"
    data.write_bytes(data.read_bytes()[:-7])
    return path


def zip_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"...")
    return buffer.getvalue()


def safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(4)


def quantized_weight(model: onnx.ModelProto) -> None:
    weight = initializer(model, "weight_1")
    array = np.ones((40, 40), np.int8)
    weight.CopyFrom(numpy_helper.from_array(array, "weight_q"))
    model.graph.initializer.append(numpy_helper.from_array(np.float32(0.1), "scale"))
    node = helper.make_node("DequantizeLinear", ["weight_q", "scale"], ["weight_1"], name="dq")
    model.graph.node.insert(0, node)


def four_bit_weight(model: onnx.ModelProto) -> None:
    weight = helper.make_tensor("packed", TensorProto.INT4, [40, 40], np.ones(1600, np.int8))
    model.graph.initializer.append(weight)


def set_opset(version: int) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        model.opset_import[0].version = version

    return change


def set_ir_version(model: onnx.ModelProto) -> None:
    model.ir_version = 99


def no_opset(model: onnx.ModelProto) -> None:
    del model.opset_import[:]


def twice_initialized(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(initializer(model, "weight_1"))


def sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add().values.name = "s"


TABLE = [
    Row("a missing file", lambda d: d / "model.onnx", "no such file"),
    Row("an empty file", written("model.onnx", b""), "is empty"),
    Row("text", written("model.onnx", b"I am a model\n"), "not an ONNX file but text"),
    Row("JSON", written("config.json", b'{"model_type": "gpt2"}'), "not an ONNX file but text"),
    Row("a PyTorch checkpoint", written("model.pt", zip_archive()), "a PyTorch checkpoint?"),
    Row("a pickle", written("model.pkl", b"\x80\x02}q\x00."), "Python pickle"),
    Row("safetensors", written("model.safetensors", safetensors()), "safetensors file"),
    Row("an LFS pointer", written("m.onnx", b"version https://git-lfs...\n"), "git lfs pull"),
    Row("random bytes", written("model.onnx", bytes([7, 200, 3, 255] * 99)), "not an ONNX file"),
    Row("other protobuf", written("m.onnx", b"\x0a\x03abc\x12\x03def"), "not an ONNX file"),
    Row("a file cut in half", truncated(0.5), "truncated ("),
    Row("a file cut near its end", truncated(0.99), "truncated"),
    Row("a model without a graph", changed(lambda m: m.ClearField("graph")), "holds no graph"),
    Row(
        "missing external data",
        without_its_data,
        "weight 'embedding' is in external data 'model.onnx.data', which is missing from",
    ),
    Row("truncated external data", with_short_data, "weight 'head' ends at byte"),
    Row(
        "external data of the wrong size",
        with_data(lambda m: point_to(initializer(m, "head"), "model.onnx.data", length=12)),
        "weight 'head' has 12 bytes of data where its shape and type need 6400",
    ),
    Row(
        "external data without numbers",
        with_data(lambda m: point_to(initializer(m, "head"), "model.onnx.data", offset="x")),
        "no number as offset or length",
    ),
    Row("external data above", outside("../secret"), "outside the model's directory"),
    Row("external data far above", outside("a/../../secret"), "outside the model's directory"),
    Row("external data at the root", outside("/etc/passwd"), "outside the model's directory"),
    Row("external data on a drive", outside("C:\\secret"), "outside the model's directory"),
    Row("external data without a name", outside(""), "outside the model's directory"),
    Row("an opset of the future", changed(set_opset(999)), "opset 999 is newer than onnx"),
    Row("an opset of long ago", changed(set_opset(6)), "opset 6 is older than 7"),
    Row("no opset", changed(no_opset), "imports no ONNX opset"),
    Row("a format of the future", changed(set_ir_version), "IR version 99 is newer than onnx"),
    Row(
        "a domain without an opset",
        graph("g (float[2] x) => (float[2] y) { y = other.Op (x) }"),
        "the graph is invalid: No opset import for domain 'other'",
    ),
    Row(
        "a cycle",
        graph(
            "g (float[2] x) => (float[2] y) { a = Add (x, c) b = Neg (a) c = Abs (b) y = Abs (c) }"
        ),
        "is cyclic: Add 'a' -> Neg 'b' -> Abs 'c' -> Add 'a'",
    ),
    Row(
        "a name that nothing produces",
        graph("g (float[2] x) => (float[2] y) { y = Add (x, ghost) }"),
        "Add 'y' of graph 'g' reads 'ghost', which nothing produces",
    ),
    Row(
        "an output that nothing produces",
        graph("g (float[2] x) => (float[2] y, float[2] z) { y = Relu (x) }"),
        "nothing produces 'z', an output of graph 'g'",
    ),
    Row(
        "a name that is produced twice",
        graph("g (float[2] x) => (float[2] y) { y = Relu (x) y = Neg (x) }"),
        "value 'y' of graph 'g' is produced twice, the second time by Neg 'y'",
    ),
    Row("a weight that appears twice", changed(twice_initialized), "'weight_1' appears twice"),
    Row("sparse weights", changed(sparse), "holds sparse initializers"),
    Row(
        "training information",
        changed(lambda m: m.training_info.add()),
        "holds training information",
    ),
    Row(
        "types that do not match",
        graph("g (float[2] x, int64[2] n) => (float[2] y) { y = Add (x, n) }"),
        "the graph is invalid: (op_type:Add",
    ),
    Row(
        "shapes that do not match",
        graph("g (float[2, 3] x, float[4, 5] w) => (float[2, 5] y) { y = MatMul (x, w) }"),
        "Incompatible dimensions for matrix multiplication",
    ),
    Row(
        "an operator that does not exist",
        graph("g (float[2] x) => (float[2] y) { y = Frobnicate (x) }"),
        "No Op registered for Frobnicate",
    ),
    Row(
        "an attribute that does not exist",
        graph("g (float[2] x) => (float[2] y) { y = Relu <slope = 1> (x) }"),
        "Unrecognized attribute: slope",
    ),
    Row(
        "a dequantized weight",
        changed(quantized_weight),
        "the model is quantized (DequantizeLinear 'dq'): optimize before quantizing",
    ),
    Row(
        "dynamic quantization",
        graph(
            "g (float[2, 3] x) => (uint8[2, 3] y, float s, uint8 z) "
            "{ y, s, z = DynamicQuantizeLinear (x) }"
        ),
        "(DynamicQuantizeLinear 'y'): optimize before quantizing",
    ),
    Row(
        "block-quantized weights",
        graph(
            "g (float[2, 32] x, uint8[8, 1, 16] w, float[8] s) => (float[2, 8] y) "
            "{ y = com.microsoft.MatMulNBits <K = 32, N = 8, bits = 4, block_size = 32> (x, w, s) }"
        ),
        "(MatMulNBits 'y'): optimize before quantizing",
    ),
    Row("4-bit weights", changed(four_bit_weight), "(weight 'packed' is INT4)"),
]


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Run the command line in this process; return the exit code, stdout and stderr."""
    code = exit_codes.run(cli, [str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def assert_one_line(error: str, message: str) -> None:
    assert error.startswith("graphopt: error: "), error
    assert error.count("\n") == 1, error
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.what)
def test_bad_input(row: Row, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = row.make(tmp_path)
    before = snapshot(tmp_path)
    for command in (["optimize", "--no-verify"], ["inspect"]):
        code, out, error = run(capsys, *command, path)
        assert_one_line(error, row.message)
        said = error.removeprefix("graphopt: error: ").strip()
        assert is_of_a_row(said) or is_of_a_row(said.removeprefix(f"{path}: "))
        assert (code, out) == (row.code, "")
        assert str(path) in error
        assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("command", "message"),
    [("optimize", "has no .onnx file"), ("inspect", "is a directory: give a .onnx file")],
)
def test_a_directory_without_a_model(
    command: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, error = run(capsys, command, tmp_path)
    assert_one_line(error, message)
    assert (code, out) == (2, "")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_external(block(), tmp_path / "model.onnx")


def test_an_unreadable_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    def refuse(self: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    code, _, error = run(capsys, "inspect", model)
    assert_one_line(error, f"{model}: cannot be read (Permission denied)")
    assert code == 3


def test_an_unwritable_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    def refuse(**_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    before = snapshot(tmp_path)
    code, _, error = run(capsys, "optimize", "--no-verify", model)
    assert_one_line(error, "model.rms.onnx: cannot be written: Permission denied")
    assert code == 3
    assert snapshot(tmp_path) == before


def test_without_onnxruntime_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "onnxruntime.py").write_text("raise ImportError('there is none')")
    monkeypatch.syspath_prepend(tmp_path / "path")  # what other processes import, too
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    before = snapshot(tmp_path)
    code, _, error = run(capsys, "optimize", model)
    assert_one_line(error, "pip install")
    assert (code, snapshot(tmp_path)) == (3, before)
    assert run(capsys, "optimize", "--no-verify", model)[0] == 0


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))
from graphopt.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("save", [save_inline, save_external])
def test_a_file_that_cannot_grow(
    tmp_path: Path, save: Callable[[onnx.ModelProto, Path], Path]
) -> None:
    path = save(block(), tmp_path / "model.onnx")
    before = snapshot(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "optimize", "--no-verify", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert_one_line(done.stderr, "model.rms.onnx: cannot be written: File too large")
    assert done.returncode == 3
    assert snapshot(tmp_path) == before


def test_ctrl_c(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("graphopt.files.serializing._copy", interrupted)
    before = snapshot(tmp_path)
    code, _, error = run(capsys, "optimize", "--no-verify", model)
    assert_one_line(error.lstrip("\n"), "interrupted; no output was written")
    assert code == 130
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (OSError(5, "Input/output error", "w.data"), "w.data: Input/output error: check the disk"),
        (MemoryError(), "out of memory"),
    ],
)
def test_a_machine_that_fails_in_the_middle(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    model: Path,
    raised: Exception,
    message: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr("graphopt.passes.pipeline.run", fail)
    before = snapshot(tmp_path)
    code, _, error = run(capsys, "optimize", model)
    assert_one_line(error, message)
    assert (code, snapshot(tmp_path)) == (3, before)


def test_a_defect_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("graphopt.passes.pipeline.run", broken)
    code, _, error = run(capsys, "optimize", model)
    assert_one_line(error, "a defect of graphopt, please report it (-v prints the traceback)")
    assert code == 70
    code, _, error = run(capsys, "optimize", "-v", model)
    assert "Traceback" in error
    assert code == 70


def test_what_cannot_be_measured_is_reported_all_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise EnvironmentFailure("no clock: buy one")

    monkeypatch.setattr("graphopt.benchmarking.speedup.measure_speedup", broken)
    output, report = model.with_name("out.onnx"), model.with_name("report.json")
    code, out, error = run(capsys, "optimize", model, "--measure", "-o", output, "--report", report)
    assert_one_line(error, "no clock: buy one")
    assert (code, output.exists(), report.exists()) == (3, True, True)
    assert f"wrote {output}" in out


def test_a_command_without_verbosity_is_not_told_of_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("graphopt.verification.verify", broken)
    code, _, error = run(capsys, "verify", model, model)
    assert_one_line(error, "a defect of graphopt, please report it: RuntimeError: no")
    assert code == 70
