"""ONNX Runtime may end its process, and the original is loaded and run once."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import graphopt
from graphopt.errors import EnvironmentFailure, UsageError
from graphopt.files import loading
from graphopt.runtime.library import library_path
from graphopt.runtime.session_process import Opened, RuntimeDied, SessionProcess
from graphopt.runtime.sessions import RuntimeRefused
from graphopt.verification import Original, verify
from tests.graphopt.model_files import block, save_external, snapshot

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'
BASE = ir.from_onnx_text(f"{HEAD} g (float[batch, 4] x) => (float[batch, 4] y) {{ y = Exp(x) }}")
EMPTY_BIAS = f"""{HEAD} g (int64[B, S] ids) => (float[B, S, 3] y)
<float[10, 8] table = {{{", ".join(str((7 * i) % 11 / 11 - 0.4) for i in range(80))}}},
 float[8] s = {{1, 2, 0.5, 1.5, 0.7, 1.1, 0.9, 2}},
 float[8, 3] w = {{{", ".join(str((5 * i) % 7 / 7 - 0.4) for i in range(24))}}}> {{
    x = Gather (table, ids) n = LayerNormalization <axis = -1> (x, s, "") y = MatMul (n, w)
}}"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "input").mkdir()
    return save_external(block(), tmp_path / "input" / "model.onnx")


def ends_the_runtime(path: Path) -> bool:
    code = (
        "import sys, onnxruntime; "
        "onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])"
    )
    return subprocess.run([sys.executable, "-c", code, path], check=False).returncode < 0


def test_a_model_that_ends_the_runtime_could_not_be_verified_and_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, output = tmp_path / "model.onnx", tmp_path / "out.onnx"
    onnx.save(onnx.parser.parse_model(EMPTY_BIAS), path)
    if not ends_the_runtime(path):
        pytest.skip("this ONNX Runtime takes an empty bias")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    report = graphopt.optimize(path, output=output).report
    checked = report.verification
    assert checked is not None
    assert checked.status == "unverified"
    assert checked.reason.startswith("ONNX Runtime ended with signal 11 on the original; with its ")
    assert report.plan.converted == 1
    assert {file.name for file in tmp_path.iterdir()} == {"model.onnx", "out.onnx", "temporary"}
    assert not list((tmp_path / "temporary").iterdir())


def dying(monkeypatch: pytest.MonkeyPatch, *, opens: Any, error: RuntimeRefused) -> list[str]:
    """Let sessions fail whose number and level ``opens`` names; the levels that were asked for."""
    levels: list[str] = []
    opening = SessionProcess.open

    def open_session(self: SessionProcess, path: Any, **options: Any) -> Opened:
        levels.append(options["optimization"])
        if opens(len(levels) - 1, options["optimization"]):
            raise error
        return opening(self, path, **options)

    monkeypatch.setattr(SessionProcess, "open", open_session)
    return levels


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (11, "another release of ONNX Runtime may run it"),
        (9, "perhaps for want of memory: --dim gives smaller sizes"),
    ],
)
def test_an_original_that_dies_at_every_level_says_how(
    number: int, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = RuntimeDied(f"ONNX Runtime ended with signal {number}", number)
    levels = dying(monkeypatch, opens=lambda number, level: True, error=died)
    result = verify(BASE, BASE)
    assert (result.status, result.reason) == ("unverified", f"{died} on the original ({advice})")
    assert levels == ["all", "extended", "basic", "disable"]


def test_a_candidate_that_ends_the_runtime_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    died = RuntimeDied("ONNX Runtime ended with signal 11")
    dying(monkeypatch, opens=lambda number, level: number == 1, error=died)
    result = verify(BASE, BASE)
    assert result.status == "failed"
    assert result.reason == "the candidate does not run: ONNX Runtime ended with signal 11 on it"


def test_where_the_runtimes_optimizations_fail_a_lower_level_is_tried_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = RuntimeRefused("a fusion went wrong")
    levels = dying(
        monkeypatch, opens=lambda number, level: level in ("all", "extended"), error=refused
    )
    result = verify(BASE, BASE)
    assert result.status == "passed"
    assert "optimizations of the runtime: basic" in result.runtime
    assert levels == ["all", "extended", "basic", "basic"]


def test_at_a_lower_level_a_wrong_candidate_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    died = RuntimeDied("ONNX Runtime ended with signal 11")
    dying(monkeypatch, opens=lambda number, level: level == "all", error=died)
    wrong = ir.from_onnx_text(
        f"{HEAD} g (float[batch, 4] x) => (float[batch, 4] y) {{ e = Exp(x) y = Add(e, e) }}"
    )
    assert verify(BASE, wrong).status == "failed"
    assert verify(BASE, BASE).status == "unverified"


class Counts:
    """How often each file is loaded, opened and run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loaded: Counter[str] = Counter()
        self.opened: Counter[str] = Counter()
        self.run: Counter[str] = Counter()
        load, opening, running = loading.load, SessionProcess.open, SessionProcess.run
        current = ""

        def counted_load(path: Any) -> ir.Model:
            self.loaded[os.fspath(path)] += 1
            return load(path)

        def counted_open(process: SessionProcess, path: Any, **options: Any) -> Opened:
            nonlocal current
            current = os.fspath(path)
            self.opened[current] += 1
            return opening(process, path, **options)

        def counted_run(process: SessionProcess, inputs: Any) -> Any:
            self.run[current] += 1
            return running(process, inputs)

        monkeypatch.setattr(loading, "load", counted_load)
        monkeypatch.setattr("graphopt.benchmarking.running.load", counted_load)
        monkeypatch.setattr(SessionProcess, "open", counted_open)
        monkeypatch.setattr(SessionProcess, "run", counted_run)


DRAWS = {"optimize": 4, "verify": 4, "benchmark": 3}
"""The last one is of other sizes, and the benchmark is given its own."""


@pytest.mark.parametrize("command", ["optimize", "verify", "benchmark"])
def test_the_original_is_loaded_opened_and_run_once_for_a_command(
    command: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphopt.optimize(model, verify=False, output=tmp_path / "out.onnx")
    counts = Counts(monkeypatch)
    if command == "optimize":
        graphopt.optimize(model, output=tmp_path / "again.onnx")
    elif command == "verify":
        assert graphopt.verify(model, tmp_path / "out.onnx").status == "passed"
    else:
        quick = {"iterations": 6, "openings": 6, "warmup": 1, "dims": {"rows": (4,)}}
        (point,) = graphopt.benchmark(model, **quick).points
        assert [row.model for row in point.rows] == ["original", "rms", "crms", "floor"]
    original = str(model)
    # Verifying alone looks at the norms of the candidate, too: no plan says which were converted.
    candidate = {str(tmp_path / "out.onnx"): 1} if command == "verify" else {}
    assert counts.loaded == {original: 1, **candidate}
    assert (counts.opened[original], counts.run[original]) == (1, DRAWS[command])


def test_an_unknown_operator_is_found_in_a_library_of_the_users_own() -> None:
    try:
        library = library_path()
    except EnvironmentFailure as error:
        pytest.skip(str(error))
    custom = ir.from_onnx_text(
        """<ir_version: 8, opset_import: ["" : 17, "graphopt" : 1]>
        g (float[batch, 4] x) => (float[batch, 4] y) <float[4] s = {1, 2, 3, 4}> {
            y = graphopt.RMSNorm <epsilon = 0.00001> (x, s) }"""
    )
    result = verify(custom, custom)
    assert result.status == "unverified"
    assert "RMSNorm" in result.reason
    assert verify(custom, custom, custom_op_libraries=[library]).status == "passed"
    with pytest.raises(EnvironmentFailure, match=r"none\.so"):
        verify(custom, custom, custom_op_libraries=["none.so"])


@pytest.mark.parametrize("kind", ["string[1]", "seq(float[4])", "optional(float[4])"])
def test_inputs_that_cannot_be_generated_leave_it_unverified(kind: str, tmp_path: Path) -> None:
    text = f"""{HEAD} g (float[N, 4] x, {kind} tag) => (float[N, 4] y, {kind} t) {{
        y = Exp(x) t = Identity(tag) }}"""
    path, output = tmp_path / "model.onnx", tmp_path / "out.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    checked = graphopt.optimize(path, output=output).report.verification
    assert checked is not None
    assert checked.status == "unverified"
    assert checked.reason == (
        "input 'tag' is no tensor of numbers: no input can be generated (--input tag:FILE.npy "
        "gives a tensor)"
    )
    assert output.exists()


def test_strings_that_are_given_are_compared() -> None:
    text = f"{HEAD} g (string[N] x) => (string[N] y) {{ y = Identity(x) }}"
    base = ir.from_onnx_text(text)
    given = {"x": np.array(["one", "another"])}
    assert verify(base, base, inputs=given).status == "passed"


def test_nothing_is_left_of_a_verification(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model.parent.parent / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    before = snapshot(model.parent)
    with Original(model) as original:
        expected = original.expectation()
        assert expected.draws
        assert original.graphs_that_ran(expected) == [frozenset()] * 4
    with pytest.raises(UsageError):
        verify(model, model, dims={"nothing": 3})
    assert not list(folder.iterdir())
    assert snapshot(model.parent) == before
