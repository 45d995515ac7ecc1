"""`--measure` and `--only-if-faster`: what was measured is said plainly, and obeyed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from graphopt.benchmarking.speedup import Speedup
from graphopt.measuring.comparison import Comparison
from graphopt.measuring.intervals import Estimate
from graphopt.runtime.environment import Environment
from tests.graphopt.cli.command_line import run
from tests.graphopt.model_files import snapshot

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
