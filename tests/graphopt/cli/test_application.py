"""The program as a whole, and the commands that need no model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ZooModel
from tests.graphopt.cli.command_line import run


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "graphopt", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_passes_marks_what_may_be_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "passes")
    rows = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert code == 0
    assert " yes " in rows["fold-affine"]
    assert " yes " not in rows["recentre"]
    assert "fuse-skip-norms" not in rows
    assert "fuse-skip-norms" in run(capsys, "passes", "--ops", "ort", "--provider", "cuda")[1]
    assert "fuse-custom-norms" in rows
    assert "\nfuse-custom-norms " not in run(capsys, "passes", "--ops", "standard")[1]
    assert "compress" not in rows
    assert "\ncompress " in run(capsys, "passes", "--variant", "crms", "--basis", "drop")[1]


def test_export_list_names_the_zoo(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "export", "--list")
    names = [line.split()[0] for line in out.splitlines() if line.strip()]
    assert code == 0
    assert {"vit-ti-16", "gpt2", "gpt2-with-past", "pythia-160m", "synthetic:"} <= set(names)


def test_export_writes_the_same_file_each_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], zoo_model: ZooModel
) -> None:
    """So the tests of pages may copy it; TorchScript exports ten times faster than dynamo."""
    path = tmp_path / "vit.onnx"
    code, out, error = run(
        capsys, "export", "vit-ti-16-tiny", "--exporter", "torchscript", "-o", path
    )
    assert (code, out.strip(), error) == (0, str(path), "")
    assert path.read_bytes() == zoo_model("vit-ti-16-tiny", "torchscript").read_bytes()


def test_export_refuses_an_existing_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.onnx").write_text("something of the user's")
    code, _, error = run(capsys, "export", "gpt2-tiny", "-o", tmp_path / "a.onnx")
    assert code == 2
    assert "exists: choose another output, or replace it (--force)" in error


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from graphopt.cli import cli; cli.main(['optimize', '--help'], "
        "standalone_mode=False); heavy = {'numpy', 'onnx', 'onnx_ir', 'rich', 'torch'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")


def test_the_module_runs_as_a_program(model: Path) -> None:
    done = process("inspect", model, COLUMNS="80")
    assert done.returncode == 0
    assert "2 of 2 LayerNorms become RMSNorms" in done.stdout


def test_doctor_reports_what_works_and_fails_where_something_does_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from graphopt.runtime import doctor

    found = (doctor.Finding("Python", "3.11"), doctor.Finding("ONNX Runtime", "none", "note"))
    monkeypatch.setattr(doctor, "examine", lambda: found)
    code, out, _ = run(capsys, "doctor")
    assert code == 0
    assert "ONNX Runtime" in out
    broken = doctor.Finding("Kernels for cpu", "cannot be loaded", "problem", "build them again")
    monkeypatch.setattr(doctor, "examine", lambda: (*found, broken))
    code, out, err = run(capsys, "doctor")
    assert code == 3
    assert "build them again" in out
    assert "Kernels for cpu does not work here" in err
