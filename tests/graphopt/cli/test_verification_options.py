"""What a user reads and gives: sizes, notes, and libraries of operators of their own."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from graphopt.errors import EnvironmentFailure
from graphopt.runtime.library import library_path
from tests.graphopt.cli.command_line import run

OWN = """<ir_version: 8, opset_import: ["" : 17, "graphopt" : 1]>
g (float[batch, 4] x) => (float[batch, 4] y) <float[4] s = {1, 2, 3, 4}> {
    n = graphopt.RMSNorm <epsilon = 0.00001> (x, s) y = Exp (n) }"""


@pytest.fixture
def library() -> Path:
    try:
        return library_path()
    except EnvironmentFailure as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("command", ["optimize", "verify", "bench"])
def test_a_library_of_the_users_own_operators(
    command: str,
    library: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernels stand for such a library here: of this model they are all of the operators."""
    monkeypatch.setattr("graphopt.optimization.checking.find_library", lambda provider: None)
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(OWN), path)
    few = ("--iterations", 6, "--sessions", 6, "--warmup", 1, "--no-floor", "--no-library")
    arguments = {
        "optimize": (path, "-o", tmp_path / "out.onnx"),
        "verify": (path, path),
        "bench": (path, path, *few),
    }[command]
    own = ("--custom-op-library", library)
    code, out, error = run(capsys, command, *arguments, *own)
    assert code == 0, error
    if command != "bench":
        assert "verification: PASSED" in out
    code, _, error = run(capsys, command, *arguments, "--custom-op-library", tmp_path / "no.so")
    assert (code, "no.so: there is no such file" in error) == (2, True)


@pytest.mark.parametrize("command", ["optimize", "verify"])
@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--dim", "n=1", "--dim", "n=2"), "--dim 'n=2': 'n' has a size already: give one"),
        (
            ("--input-shape", "x:1,2", "--input-shape", "x:2,2"),
            "--input-shape 'x:2,2': 'x' has a shape already: give one",
        ),
        (("--seed", -1), "seed -1: give 0 or more"),
        (("--rtol", "nan"), "rtol nan is no tolerance: give 0 or more"),
        (("--atol", -1), "atol -1.0 is no tolerance: give 0 or more"),
        (("--rtol", "inf"), "rtol inf is no tolerance: give 0 or more"),
    ],
)
def test_values_that_are_refused_before_the_model_is_read(
    command: str,
    option: tuple[object, ...],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "model.onnx"
    path.touch()
    arguments = (path, path) if command == "verify" else (path,)
    code, out, error = run(capsys, command, *arguments, *option)
    assert (code, out, error) == (2, "", f"graphopt: error: {said}\n")


def test_the_sizes_that_were_chosen_are_printed_with_their_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (float[batch, 3, h, w] pixel_values) => (float[batch, 3, h, w] y) {
            y = Exp (pixel_values) }"""
    onnx.save(onnx.parser.parse_model(text), path)
    (tmp_path / "config.json").write_text(json.dumps({"image_size": 20}))
    code, out, _ = run(capsys, "verify", path, path)
    assert code == 0
    assert (
        "symbolic dimensions were given sizes: batch=2, h=20, w=20; h, w from config.json (--dim "
        "sets others)\n"
    ) in out


def test_notes_and_computing_types_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (float[batch, 4] x) => (float[batch, 4] y, float[batch, 4] z) {
            h = Cast <to = 10> (x) e = Exp (h) y = Cast <to = 1> (e)
            d = Sub (x, x) z = Exp (d) }"""
    onnx.save(onnx.parser.parse_model(text), path)
    code, out, _ = run(capsys, "verify", path, path)
    assert code == 0
    assert "float32, by float16" in out
    assert "note: output z proves nothing: it is 1 everywhere\n" in out
    assert "verification: PASSED" in out
