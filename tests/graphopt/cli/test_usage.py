"""What the command line says of arguments that it does not take."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.graphopt.cli.command_line import run

BAD_USAGE = {
    "no such command": (["optimise"], "No such command 'optimise'"),
    "no such option": (["optimize", "m.onnx", "--fast"], "No such option"),
    "no model": (["optimize"], "Missing argument 'MODEL'"),
    "variant": (
        ["optimize", "m.onnx", "--variant", "batch"],
        "'batch' is not one of 'rms', 'crms'",
    ),
    "ops": (
        ["optimize", "m.onnx", "--ops", "all"],
        "'all' is not one of 'custom', 'standard', 'ort'",
    ),
    "basis": (
        ["optimize", "m.onnx", "--variant", "crms", "--basis", "fourier"],
        "'fourier' is not one of 'orthonormal', 'drop'",
    ),
    "a basis for rms": (
        ["optimize", "m.onnx", "--basis", "drop"],
        "basis 'drop' is for the variant crms: leave it out for rms",
    ),
    "a basis for the passes of rms": (
        ["passes", "--basis", "orthonormal"],
        "basis 'orthonormal' is for the variant crms: leave it out for rms",
    ),
    "shape": (["optimize", "m.onnx", "--input-shape", "x=3"], "write it as NAME:1,128"),
    "negative shape": (["optimize", "m.onnx", "--input-shape", "x:-1"], "write it as NAME:1,128"),
    "dim": (["optimize", "m.onnx", "--dim", "batch:3"], "write it as NAME=N"),
    "zero": (["optimize", "m.onnx", "--dim", "batch=0"], "with N at least 1"),
    "input": (["optimize", "m.onnx", "--input", "x"], "write it as NAME:FILE.npy"),
    "no array": (["verify", "a", "b", "--input", "x:none.npy"], "no such file, none.npy"),
    "skip": (["optimize", "m.onnx", "--skip", "recentre"], "cannot be skipped"),
    "no name": (["export"], "Missing argument 'NAME'"),
    "zoo": (["export", "gpt-two"], "unknown model 'gpt-two'"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD_USAGE.values(), ids=BAD_USAGE)
def test_bad_usage_is_one_line_and_exits_with_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    code, out, error = run(capsys, *arguments)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith("graphopt: error: ")
    assert message in error


@pytest.mark.parametrize("content", [b"text", b""])
def test_a_file_without_an_array_is_bad_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path, content: bytes
) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    code, _, error = run(capsys, "optimize", model, "--input", f"x:{tmp_path / 'x.npy'}")
    assert code == 2
    assert "holds no plain NumPy array" in error
