"""What comes of a verification: the words, and the exit code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from graphopt.verification import OutputError, Verification
from tests.graphopt.cli.command_line import assert_one_line, run
from tests.graphopt.model_files import block, save_inline, snapshot


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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "other.onnx: not an ONNX file"),
        (b"", "other.onnx: "),
        (None, "other.onnx: trunc"),
    ],
    ids=["text", "empty", "truncated"],
)
def test_a_candidate_that_holds_no_model_is_not_called_a_wrong_one(
    content: bytes | None,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    model: Path,
) -> None:
    whole = save_inline(block(), tmp_path / "whole.onnx").read_bytes()
    other = tmp_path / "other.onnx"
    other.write_bytes(whole[: len(whole) // 2] if content is None else content)
    code, _, error = run(capsys, "verify", model, other)
    assert_one_line(error, message)
    assert code == 2


def test_what_was_not_verified_is_said(capsys: pytest.CaptureFixture[str], model: Path) -> None:
    _, out, _ = run(capsys, "optimize", "--no-verify", model)
    assert "not verified (--no-verify)" in out
