"""What is for CUDA is verified there, too, or said not to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

import graphopt
from graphopt.passes import pipeline
from graphopt.verification import OutputError, Verification
from tests.graphopt.model_files import block


def test_what_is_for_cuda_is_verified_there_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    asked: list[tuple[str, str]] = []

    def verify(*_: Any, provider: str = "cpu", library: Any = None, **__: Any) -> Verification:
        asked.append((provider, library))
        wrong = OutputError("y", "float32", 3.0, 0.5, 1e-3, 1e-4, passed=False)
        return Verification("failed", (wrong,)) if provider == "cuda" else Verification("passed")

    monkeypatch.setattr(
        "graphopt.optimization.checking.find_library", lambda provider: f"{provider}.so"
    )
    monkeypatch.setattr("graphopt.verification.verify", verify)
    with pytest.raises(graphopt.OutputRejected, match="1 of 1 outputs differ"):
        graphopt.optimize(model, provider="cuda", output=tmp_path / "out.onnx")
    assert asked == [("cpu", None), ("cpu", "cpu.so"), ("cuda", "cuda.so")]
    assert not (tmp_path / "out.onnx").exists()
    asked.clear()
    assert graphopt.optimize(model).report.verification_on_cuda is None
    assert asked == [("cpu", None), ("cpu", "cpu.so")]


def test_without_cuda_what_is_for_it_is_said_to_be_unverified_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    report = graphopt.optimize(model, provider="cuda", output=tmp_path / "out.onnx").report
    assert report.verification is not None
    assert report.verification.status == "passed"
    assert report.verification_on_cuda is not None
    assert report.verification_on_cuda.status == "unverified"
    assert "CUDAExecutionProvider does not start" in report.verification_on_cuda.reason
    assert (tmp_path / "out.onnx").exists()


def only_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without CUDA, wherever the test runs."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])


def with_an_operator_of_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pipeline write an operator that ONNX Runtime has no kernel for on the CPU."""
    run_pipeline = pipeline.run

    def lowered(model: ir.Model, *arguments: object) -> object:
        outcome = run_pipeline(model, *arguments)
        relu = next(node for node in model.graph if node.op_type == "Relu")
        channels = ir.Value(name="channels", const_value=ir.tensor(np.zeros(1, np.float32)))
        model.graph.register_initializer(channels)
        relu.domain, relu.op_type = "com.microsoft", "BiasAdd"
        relu.resize_inputs(3)
        relu.replace_input_with(1, channels)
        relu.replace_input_with(2, relu.inputs[0])
        model.graph.opset_imports["com.microsoft"] = 1
        return outcome

    monkeypatch.setattr(pipeline, "run", lowered)


def test_what_the_cpu_has_no_kernel_for_is_unverified_there_and_verified_where_it_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    only_the_cpu(monkeypatch)
    with_an_operator_of_cuda(monkeypatch)
    target = {"ops": "ort", "provider": "cuda", "output": tmp_path / "out.onnx"}
    report = graphopt.optimize(model, **target).report
    assert report.verification is not None
    assert (report.verification.status, report.verification.outputs) == ("unverified", ())
    assert "it was made for cuda" in report.verification.reason
    assert "BiasAdd" in report.verification.reason
    assert report.verification_on_cuda is not None
    assert report.verification_on_cuda.status == "unverified"
    assert report.doubt.startswith("could not be verified on CUDA: CUDAExecutionProvider does not")
    assert (tmp_path / "out.onnx").exists()

    verify = graphopt.verification.verify
    wrong = OutputError("y", "float32", 3.0, 0.5, 1e-3, 1e-4, passed=False)
    outcomes = [Verification("passed"), Verification("failed", (wrong,))]

    def on_cuda(*given: Any, provider: str = "cpu", **others: Any) -> Verification:
        return outcomes.pop(0) if provider == "cuda" else verify(*given, **others)

    monkeypatch.setattr("graphopt.verification.verify", on_cuda)
    assert graphopt.optimize(model, force=True, **target).report.doubt == ""
    with pytest.raises(graphopt.OutputRejected, match="1 of 1 outputs differ"):
        graphopt.optimize(model, force=True, **target)


@pytest.mark.parametrize("target", [{"ops": "ort"}, {"ops": "standard", "provider": "cuda"}])
def test_what_the_cpu_should_run_and_does_not_is_rejected(
    monkeypatch: pytest.MonkeyPatch, model: Path, target: dict[str, str]
) -> None:
    only_the_cpu(monkeypatch)
    with_an_operator_of_cuda(monkeypatch)
    with pytest.raises(graphopt.OutputRejected, match=r"the candidate does not run: .*BiasAdd"):
        graphopt.optimize(model, **target)


def test_what_the_cpu_cannot_run_at_all_is_still_verified_on_cuda(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def verify(*_: Any, provider: str, **__: Any) -> Verification:
        asked.append(provider)
        return Verification("passed" if provider == "cuda" else "unverified")

    monkeypatch.setattr("graphopt.verification.verify", verify)
    report = graphopt.optimize(ir.from_proto(block()), provider="cuda").report
    assert asked == ["cpu", "cuda"]
    assert report.verification_with_kernels is None
    assert report.doubt == ""
