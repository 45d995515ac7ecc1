"""What fails on the way: one clear line, the right exit code, and nothing half written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from graphopt.errors import EnvironmentFailure
from tests.graphopt.cli.command_line import assert_one_line, run
from tests.graphopt.model_files import block, save_external, save_inline, snapshot


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
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # nor do they write what they compile of it
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
    assert "\nnot measured: the error below says why\n" in out


def test_a_command_without_verbosity_is_not_told_of_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("graphopt.verification.verify", broken)
    code, _, error = run(capsys, "verify", model, model)
    assert_one_line(error, "a defect of graphopt, please report it: RuntimeError: no")
    assert code == 70
