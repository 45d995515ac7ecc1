from __future__ import annotations

import html
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from graphopt.benchmarking.speedup import Speedup
from graphopt.cli import cli, exit_codes
from graphopt.cli.progress import progress_bar
from graphopt.errors import EnvironmentFailure
from graphopt.measuring.comparison import Comparison
from graphopt.measuring.intervals import Estimate
from graphopt.passes.options import Options, steps
from graphopt.printing import console, reports
from graphopt.printing.names import joined_names
from graphopt.runtime.environment import Environment
from graphopt.verification import OutputError, Verification
from tests.graphopt.model_files import block, save_external, save_inline, snapshot

LONG_NAME = "/encoder/layers.11/" + "a_module_with_a_long_name/" * 4 + "LayerNormalization"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_external(block(), tmp_path / "model.onnx")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = exit_codes.run(cli, [str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "graphopt", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


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


def test_the_bar_leaves_the_screen_to_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_bar(still=True) as bar:
        assert bar is not None
        bar("step", 0.5)
        with bar.hidden():
            drawn = screen.tell()
            bar("step", 0.6)
            assert screen.tell() == drawn
        assert screen.tell() > drawn


def test_each_norm_has_one_row(capsys: pytest.CaptureFixture[str], model: Path) -> None:
    _, out, _ = run(capsys, "inspect", "-v", model)
    rows = [line.split() for line in out.splitlines() if "  40  " in line]
    assert [row[1:4] for row in rows] == [["2", "40", "RMSNorm"]] * 2
    assert "mean taken out of position, embedding" in out
    assert "taken out of weight_2 and 2 weights of the rows above" in out


def test_inspect_json_is_the_plan(capsys: pytest.CaptureFixture[str], model: Path) -> None:
    code, out, _ = run(capsys, "inspect", model, "--json")
    found = json.loads(out)
    assert (code, found["schema"]) == (0, "graphopt.plan/1")
    assert [norm["value"] for norm in found["plan"]["norms"]] == ["stream", "residual"]
    assert set(found["plan"]["norms"][0]["absorbed_by"]) == {"embedding", "position"}


def test_inspect_html_draws_what_json_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    page = tmp_path / "plan.html"
    code, out, _ = run(capsys, "inspect", model, "--json", "--html", page)
    text = page.read_text()
    assert (code, html.escape(out) in text) == (0, True)
    assert "2 of 2 LayerNorms become RMSNorms" in text
    code, _, error = run(capsys, "inspect", model, "--html", page)
    assert (code, "exists: choose another file" in error) == (2, True)
    code, out, _ = run(capsys, "inspect", model, "--html", page, "--force")
    assert (code, "2 of 2 LayerNorms" in out) == (0, True)
    before = model.read_bytes()
    code, _, error = run(capsys, "inspect", model, "--html", model, "--force")
    assert (code, "is a model of this run" in error) == (2, True)
    assert model.read_bytes() == before


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


def test_a_failed_verification_exits_with_1(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    model: Path,
) -> None:
    wrong = OutputError("y", "float32", 3.0, 0.5, 1e-3, 1e-4, passed=False)
    monkeypatch.setattr(
        "graphopt.verification.verify", lambda *_, **__: Verification("failed", (wrong,))
    )
    before = snapshot(tmp_path)
    report = tmp_path / "report.json"
    code, out, error = run(capsys, "optimize", model, "--report", report)
    assert (code, error.count("\n")) == (1, 1)
    assert "verification failed, no output was written: 1 of 1 outputs differ" in error
    assert "verification: FAILED" in out
    assert json.loads(report.read_text())["verification"]["status"] == "failed"
    report.unlink()
    assert snapshot(tmp_path) == before


def test_what_could_not_be_verified_exits_with_0(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    unverified = Verification("unverified", reason="no kernel")
    monkeypatch.setattr("graphopt.verification.verify", lambda *_, **__: unverified)
    for command in (["optimize", model], ["verify", model, model]):
        code, out, _ = run(capsys, *command)
        assert code == 0
        assert "COULD NOT BE VERIFIED: no kernel" in out
        assert "PASSED" not in out


def test_verify_with_kernels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    asked = []

    def verify(*_: Path, library: Path | None, **__: object) -> Verification:
        asked.append(library)
        return Verification("passed", runtime="1.31.1 (cpu, native kernels)")

    monkeypatch.setattr("graphopt.verification.verify", verify)
    monkeypatch.setattr(
        "graphopt.runtime.library.library_path", lambda provider: Path(f"for {provider}")
    )
    run(capsys, "verify", model, model)
    out = run(capsys, "verify", model, model, "--kernels")[1]
    assert asked == [None, Path("for cpu")]
    assert "verification: PASSED in ONNX Runtime 1.31.1 (cpu, native kernels)\n" in out


@pytest.mark.parametrize("reference", ["ort", "float64"])
def test_verify_prints_the_error_of_each_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path, reference: str
) -> None:
    run(capsys, "optimize", "--no-verify", model)
    good, bad = tmp_path / "model.rms.onnx", tmp_path / "bad.onnx"
    changed = block()
    changed.graph.node[5].op_type = "Sigmoid"
    save_inline(changed, bad)
    code, out, error = run(capsys, "verify", model, good, "--reference", reference)
    assert (code, error) == (0, "")
    assert re.search(r"^y +float32 .* ok\n", out, re.MULTILINE)
    assert "verification: PASSED" in out
    code, out, error = run(capsys, "verify", model, bad, "--reference", reference)
    assert (code, error.count("\n")) == (1, 1)
    assert re.search(r"^y +float32 .* FAILED\n", out, re.MULTILINE)
    assert "verification: FAILED" in out
    code, out, _ = run(capsys, "verify", model, bad, "--json", "--reference", reference)
    assert (code, json.loads(out)["result"]["status"]) == (1, "failed")


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


SPEEDUPS = {
    "slower": (1.05, 1.02, 1.08, "slower"),
    "no difference": (0.99, 0.97, 1.01, "no faster"),
    "faster": (0.95, 0.93, 0.97, "faster"),
}


@pytest.mark.parametrize("case", SPEEDUPS.values(), ids=SPEEDUPS)
def test_measure_says_plainly_whether_crms_pays(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    model: Path,
    case: tuple[float, float, float, str],
) -> None:
    *ratio, word = case

    def row(name: str, *ratio: float) -> Comparison:
        return Comparison(name, 2e-3, 3e-3, 4e-3, 500.0, Estimate(*ratio))

    environment = Environment("a CPU", 1, "CPUExecutionProvider", "1.31.1", "0.1.0")
    rows = (row("input", 1, 1, 1), row("crms", 0.9, 0.8, 0.95), row("rms", 0.8, 0.7, 0.9))
    measured = Speedup(rows, row("crms", *ratio), True, environment)
    monkeypatch.setattr("graphopt.benchmarking.speedup.measure_speedup", lambda *_, **__: measured)
    report = tmp_path / "report.json"
    command = ["optimize", model, "--variant", "crms", "--measure", "--report", report]
    code, out, _ = run(capsys, *command)
    assert code == 0
    interval = "{:.3f} [{:.3f}, {:.3f}]".format(*ratio)
    verdict = f"crms is {word} than rms for this model and machine: {interval} times its latency\n"
    assert verdict in out
    assert "crms is seldom" not in out
    assert re.search(r"^rms +2\.000 +0\.800 \[0\.700, 0\.900\] +faster\n", out, re.MULTILINE)
    assert "measured with native kernels on a CPU, 1 thread" in out
    assert json.loads(report.read_text())["speedup"]["crms_to_rms"]["ratio"]["value"] == ratio[0]


def measured_as(*ratio: float) -> Callable[..., Speedup]:
    """A measurement that finds ``ratio`` for rms beside the input."""

    def row(name: str, *ratio: float) -> Comparison:
        return Comparison(name, 2e-3, 3e-3, 4e-3, 500.0, Estimate(*ratio))

    environment = Environment("a CPU", 1, "CPUExecutionProvider", "1.31.1", "0.1.0")
    rows = (row("input", 1, 1, 1), row("rms", *ratio))
    return lambda *_, **__: Speedup(rows, None, True, environment)


MEASURED = {
    "faster": ((0.985, 0.98, 0.99), "measured: 1.5% faster ("),
    "no difference": ((0.985, 0.96, 1.01), "measured: no difference ("),
    "slower": ((1.15, 1.1, 1.2), "measured: 15% SLOWER than the input ("),
}


@pytest.mark.parametrize("verdict", MEASURED)
def test_measure_says_in_a_line_what_it_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, model: Path, verdict: str
) -> None:
    ratio, line = MEASURED[verdict]
    monkeypatch.setattr("graphopt.benchmarking.speedup.measure_speedup", measured_as(*ratio))
    code, out, error = run(capsys, "optimize", model, "--measure")
    assert (code, error) == (0, "")
    assert f"\n{line}" in out
    assert "not measured" not in out
    code, out, error = run(capsys, "optimize", model, "--measure", "--force", "-q")
    assert (code, out.count("\n")) == (0, 1)
    assert error.startswith(f"graphopt: warning: {line}" if verdict == "slower" else "")
    assert bool(error) == (verdict == "slower")


@pytest.mark.parametrize("verdict", MEASURED)
def test_only_if_faster_writes_nothing_else(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    model: Path,
    verdict: str,
) -> None:
    ratio, line = MEASURED[verdict]
    before = snapshot(tmp_path)
    monkeypatch.setattr("graphopt.benchmarking.speedup.measure_speedup", measured_as(*ratio))
    code, out, error = run(capsys, "optimize", model, "--only-if-faster")
    if verdict == "faster":
        assert (code, error) == (0, "")
        assert f"\n{line}" in out
        assert (tmp_path / "model.rms.onnx").exists()
    else:
        assert (code, error.count("\n")) == (4, 1)
        assert out.startswith("2 of 2 LayerNorms become RMSNorms\nforecast")
        assert "wrote" not in out
        assert "keep the input, nothing was written" in error
        assert snapshot(tmp_path) == before


def test_only_if_faster_is_for_one_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, error = run(capsys, "optimize", tmp_path, "--only-if-faster")
    assert code == 2
    assert "--only-if-faster is for one model" in error


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


def test_export_refuses_an_existing_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.onnx").write_text("something of the user's")
    code, _, error = run(capsys, "export", "gpt2-tiny", "-o", tmp_path / "a.onnx")
    assert code == 2
    assert "exists: choose another output, or replace it (--force)" in error


def test_long_names_are_whole_in_a_pipe_and_lose_their_middle_in_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = block()
    long.graph.node[2].name = LONG_NAME
    path = save_inline(long, tmp_path / "model.onnx")
    monkeypatch.delenv("COLUMNS", raising=False)
    assert LONG_NAME in run(capsys, "inspect", "-v", path)[1]

    monkeypatch.setenv("COLUMNS", "80")
    for options in ([], ["-v"]):
        _, out, _ = run(capsys, "inspect", path, *options)
        assert max(map(len, out.splitlines())) <= 80
    name = next(line.split("  ")[0] for line in out.splitlines() if line.startswith("/encoder"))
    assert len(name) == 80 // 3
    head, _, tail = name.partition("...")
    assert LONG_NAME.startswith(head)
    assert LONG_NAME.endswith(tail)


def test_names_are_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    reports.console().print(console.table("[bold]a[/bold]"), end="")
    assert "[bold]a[/bold]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "joined"),
    [
        (["h.0.c.weight", "h.0.c.bias"], "h.0.c.{weight,bias}"),
        (["h.0.c.weight", "wte", "h.0.c.bias"], "h.0.c.{weight,bias}, wte"),
        (["wte", "wpe"], "wte, wpe"),
        (["val_1"], "val_1"),
    ],
)
def test_weights_of_one_module_share_braces(names: list[str], joined: str) -> None:
    assert joined_names(names) == joined


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from graphopt.cli import cli; cli.main(['optimize', '--help'], "
        "standalone_mode=False); heavy = {'numpy', 'onnx', 'onnx_ir', 'rich', 'torch'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")


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


def test_a_reader_that_leaves_is_no_error(model: Path) -> None:
    command = f"{sys.executable} -m graphopt inspect {model} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "141")


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
