"""What comes of the verification: a wrong result is rejected, and a doubt is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

import graphopt
from graphopt.options import Sample
from graphopt.passes import pipeline
from graphopt.verification import Original, OutputError, Verification
from tests.graphopt.model_files import snapshot


def rejecting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pipeline produce a model that is not the same function."""
    run_pipeline = pipeline.run

    def wrong(model: ir.Model, *arguments: object) -> object:
        outcome = run_pipeline(model, *arguments)
        head = model.graph.initializers["head"]
        head.const_value = ir.Tensor(2 * head.const_value.numpy(), name="head")
        return outcome

    monkeypatch.setattr(pipeline, "run", wrong)


def test_a_wrong_result_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    rejecting(monkeypatch)
    before = snapshot(tmp_path)
    with pytest.raises(graphopt.OutputRejected, match=r"1 of 1 outputs differ.* 'y'") as caught:
        graphopt.optimize(model, output=tmp_path / "out.onnx")
    assert caught.value.report.verification.status == "failed"
    assert snapshot(tmp_path) == before


def test_a_wrong_result_leaves_the_replaced_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    graphopt.optimize(model, output=tmp_path / "out.onnx")
    before = snapshot(tmp_path)
    rejecting(monkeypatch)
    with pytest.raises(graphopt.OutputRejected):
        graphopt.optimize(model, output=tmp_path / "out.onnx", force=True)
    assert snapshot(tmp_path) == before


def test_what_could_not_be_verified_is_written_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    unverified = Verification("unverified", reason="no kernel for Frobnicate")
    monkeypatch.setattr("graphopt.verification.verify", lambda *_, **__: unverified)
    report = graphopt.optimize(model, output=tmp_path / "out.onnx").report
    assert (tmp_path / "out.onnx").exists()
    assert report.verification == unverified


def test_given_inputs_and_tolerances_reach_the_verification(
    monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    asked, originals = [], []

    def verify(base: Original, candidate: Path, **options: object) -> Verification:
        originals.append(base)
        asked.append(options)
        return Verification("passed", (OutputError("y", "float32", 0, 0, 0, 0, True),))

    monkeypatch.setattr("graphopt.verification.verify", verify)
    monkeypatch.setattr(
        "graphopt.optimization.checking.find_library", lambda provider: Path("library")
    )
    sample = {
        "inputs": {"x": np.zeros((1, 2, 40), np.float32)},
        "input_shapes": {"x": (1, 2, 40)},
        "dims": {"batch": 5},
        "seed": 3,
        "custom_op_libraries": ("own.so",),
    }
    graphopt.optimize(model, rtol=0.1, atol=0.2, **sample)
    norms: dict[str, tuple[str, ...]] = {"normed": (), "final": ()}  # no If stands before them
    expected = {"rtol": 0.1, "atol": 0.2, "provider": "cpu", "norms": norms}
    assert asked == [{**expected, "library": None}, {**expected, "library": Path("library")}]
    assert [original.sample for original in originals] == [Sample(**sample)] * 2
    assert originals[0] is originals[1]
    asked.clear()
    graphopt.optimize(model, ops="standard")
    assert len(asked) == 1


def with_kernels(monkeypatch: pytest.MonkeyPatch, outcome: Verification | Exception) -> None:
    """Decide what comes of the verification with kernels."""

    def verify(*_: Path, library: Path | None = None, **__: object) -> Verification:
        if library is None:
            return Verification("passed")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr("graphopt.verification.verify", verify)
    monkeypatch.setattr(
        "graphopt.optimization.checking.find_library", lambda provider: Path("library")
    )


def test_a_result_that_the_kernels_compute_wrongly_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    wrong = OutputError("y", "float32", 3.0, 0.5, 1e-3, 1e-4, passed=False)
    with_kernels(monkeypatch, Verification("failed", (wrong,), runtime="1.31.1 (cpu, kernels)"))
    message = r"failed in ONNX Runtime 1\.31\.1 \(cpu, kernels\), no output was written"
    with pytest.raises(graphopt.OutputRejected, match=message) as caught:
        graphopt.optimize(model, output=tmp_path / "out.onnx")
    assert caught.value.report.verification == Verification("passed")
    assert not (tmp_path / "out.onnx").exists()


def test_a_runtime_that_refuses_the_kernels_leaves_them_unverified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    with_kernels(monkeypatch, graphopt.EnvironmentFailure("too old"))
    report = graphopt.optimize(model, output=tmp_path / "out.onnx").report
    assert report.verification == Verification("passed")
    assert report.verification_with_kernels == Verification("unverified", reason="too old")
    assert (tmp_path / "out.onnx").exists()


def test_kernels_that_were_not_built_are_not_verified(
    monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    monkeypatch.setattr("graphopt.optimization.checking.find_library", lambda provider: None)
    report = graphopt.optimize(model).report
    assert report.verification is not None
    assert report.verification_with_kernels is None
