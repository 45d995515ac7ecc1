"""`graphopt optimize` from the command line: what it writes, and what it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from graphopt.errors import EnvironmentFailure
from graphopt.passes.options import Options, steps
from graphopt.printing import reports
from tests.graphopt.cli.command_line import run
from tests.graphopt.model_files import snapshot


def test_optimize_names_the_output_after_the_variant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    before = snapshot(tmp_path)
    code, out, error = run(capsys, "optimize", model)
    assert (code, error) == (0, "")
    added = snapshot(tmp_path).keys() - before.keys()
    assert added == {"model.rms.onnx", "model.rms.onnx.data"}
    assert "2 of 2 LayerNorms become RMSNorms\n" in out
    assert not re.search(r"^y +float32 .* ok\n", out, re.MULTILINE)
    assert "symbolic dimensions were given sizes: batch=" in out
    assert re.search(r"\nverification: PASSED in .*: 1 output, relative difference at most \d", out)
    assert "\nnot measured: --measure times it" in out
    assert re.search(r"\nwrote \S+/model\.rms\.onnx \([\d.]+ kB; the input has [\d.]+ kB\)\n", out)


def test_the_plan_is_on_the_screen_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    printed: list[str] = []

    def refuse(*_: object, **__: object) -> None:
        printed.append(capsys.readouterr().out)
        raise EnvironmentFailure("the disk is full")

    before = snapshot(tmp_path)
    monkeypatch.setattr("graphopt.files.saving.staged", refuse)
    assert run(capsys, "optimize", model)[0] == 3
    assert printed[0].startswith("2 of 2 LayerNorms become RMSNorms\nforecast for the norms alone:")
    assert snapshot(tmp_path) == before


def test_who_stops_reading_after_the_plan_gets_the_file_all_the_same(model: Path) -> None:
    command = f"{sys.executable} -m graphopt optimize {model} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("141", "")
    assert model.with_name("model.rms.onnx").exists()


def test_quiet_prints_the_path_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    code, out, error = run(capsys, "optimize", "-q", model, "-o", tmp_path / "out.onnx")
    assert (code, out, error) == (0, f"{tmp_path / 'out.onnx'}\n", "")


def test_verbose_adds_the_passes_and_the_times(
    capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    _, out, _ = run(capsys, "optimize", "-v", "--no-verify", model)
    assert re.search(r"^convert-norms +\d\.\d{3} +norms converted: 2", out, re.MULTILINE)
    assert re.search(r"^seconds: load \d.*, optimize \d.*, write \d", out, re.MULTILINE)
    assert "onnxruntime 1." in out


def test_verbose_and_the_report_say_how_often_each_pass_acted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], zoo_model: Callable[[str], Path]
) -> None:
    output, report = tmp_path / "out.onnx", tmp_path / "report.json"
    model = zoo_model("gpt2-tiny")
    _, out, _ = run(
        capsys, "optimize", "-v", "--no-verify", model, "-o", output, "--report", report
    )
    records = {each["name"]: each for each in json.loads(report.read_text())["passes"]}
    assert list(records) == [step.name for step in steps(Options())]
    acted = {name for name, record in records.items() if record["changed"]}
    assert {"drop-idle-masks", "drop-nan-guards", "settle-sizes", "fold-scales"} < acted
    for name, record in records.items():
        counts = [f"{what}: {count}" for what, count in record["detail"].items() if count]
        row = rf"^{name} +\d+\.\d{{3}} *{re.escape(', '.join(counts))} *$"
        assert re.search(row, out, re.MULTILINE), name


def test_the_report_is_saved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    report = tmp_path / "report.json"
    assert run(capsys, "optimize", model, "--report", report)[0] == 0
    found = json.loads(report.read_text())
    assert found["schema"] == "graphopt.report/1"
    assert found["output"]["path"] == str(tmp_path / "model.rms.onnx")

    code, _, error = run(capsys, "optimize", model, "--report", report, "-o", tmp_path / "b.onnx")
    assert (code, error.count("\n")) == (2, 1)
    assert "exists: choose another file, or replace it (--force)" in error
    assert not (tmp_path / "b.onnx").exists()
    for target in (model, tmp_path / "model.rms.onnx"):
        before = snapshot(tmp_path)
        code, _, error = run(capsys, "optimize", model, "--report", target, "--force")
        assert (code, snapshot(tmp_path)) == (2, before)
        assert "is a model of this run" in error


def test_inputs_shapes_and_dims_are_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    np.save(tmp_path / "x.npy", np.ones((1, 7, 40), np.float32))
    for option, value, sizes in (
        ("--input", f"x:{tmp_path / 'x.npy'}", ""),
        ("--input-shape", "x:1,7,40", ""),
        ("--dim", "batch=1", "rows=16"),
    ):
        code, out, _ = run(capsys, "optimize", "--force", model, option, value, "--seed", 3)
        assert code == 0
        assert "verification: PASSED" in out
        defaulted = re.search(r"given sizes: (.*) \(--dim", out)
        assert (defaulted[1] if defaulted else "") == sizes


def test_an_existing_output_is_refused_without_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    (tmp_path / "model.rms.onnx").write_text("something of the user's")
    before = snapshot(tmp_path)
    code, _, error = run(capsys, "optimize", model)
    assert (code, snapshot(tmp_path)) == (2, before)
    assert "exists: choose another output, or replace it (--force)" in error
    assert run(capsys, "optimize", model, "--force")[0] == 0


def test_the_input_is_refused_as_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    before = snapshot(tmp_path)
    code, _, error = run(capsys, "optimize", model, "-o", model, "--force")
    assert (code, snapshot(tmp_path)) == (2, before)
    assert "is the input, which is never written to" in error


REGISTRATION = {
    "cpu": "session_options.register_custom_ops_library(str(graphopt.library_path()))",
    "cuda": 'session_options.register_custom_ops_library(str(graphopt.library_path("cuda")))',
}


@pytest.mark.parametrize("provider", REGISTRATION)
@pytest.mark.parametrize("variant", ["rms", "crms"])
def test_optimize_tells_how_to_register_the_kernels(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    model: Path,
    variant: str,
    provider: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    command = ["optimize", model, "--variant", variant, "--provider", provider, "--force"]
    monkeypatch.setattr(reports, "library_path", lambda provider: Path("library"))
    code, out, _ = run(capsys, *command)
    assert code == 0
    assert out.endswith(f"\nnative kernels: {REGISTRATION[provider]}\n")
    assert "native kernels:" not in run(capsys, *command, "--ops", "standard")[1]

    def missing(provider: str) -> Path:
        advice = f'run "python -m graphopt.native.build {provider}"'
        raise EnvironmentFailure(f"the kernels for {provider} were not built: {advice}")

    monkeypatch.setattr(reports, "library_path", missing)
    out = run(capsys, *command)[1]
    assert out.endswith(
        f"\nnative kernels: for {provider} were not built: run "
        f'"python -m graphopt.native.build {provider}"\n'
    )


@pytest.mark.parametrize(
    ("options", "row", "last"),
    [
        ([], "40 to 39 +RMSNorm", "2 of 2 LayerNorms become RMSNorms over d - 1 features"),
        (["--basis", "drop"], "40 to 39 +CRMSNorm", "2 of 2 LayerNorms become CRMSNorms"),
    ],
)
def test_crms_tells_what_is_compressed(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    model: Path,
    options: list[str],
    row: str,
    last: str,
) -> None:
    code, out, _ = run(capsys, "optimize", "-v", model, "--variant", "crms", *options)
    assert code == 0
    assert re.search(row, out)
    assert f"{last}\n" in out
    assert "note: crms is seldom faster than rms: --measure compares them\n" in out
    assert ("basis drop: graphopt's native kernels are fast" in out) == bool(options)
    assert (tmp_path / "model.crms.onnx").exists()


def test_optimize_does_not_import_torch(model: Path) -> None:
    code = (
        "import sys; from graphopt.cli import exit_codes; from graphopt.cli import cli; "
        "code = exit_codes.run(cli, ['optimize', '-q', sys.argv[1]]); "
        "print(code, sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, model], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("\n0 []\n")


def test_sigterm_cleans_up(tmp_path: Path, model: Path) -> None:
    code = (
        "import os, signal, sys; from graphopt.cli import main; "
        "from graphopt.files import serializing; "
        "serializing._copy = lambda *_: os.kill(os.getpid(), signal.SIGTERM); "
        "main(['optimize', '--no-verify', sys.argv[1]])"
    )
    before = snapshot(tmp_path)
    done = subprocess.run([sys.executable, "-c", code, model], capture_output=True, check=False)
    assert (done.returncode, snapshot(tmp_path)) == (143, before)
