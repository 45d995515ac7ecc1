"""How a timed call runs; CUDA with a session, bindings and device arrays that only log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from graphopt.benchmarking import execution
from graphopt.benchmarking.execution import Execution, open_model
from graphopt.errors import EnvironmentFailure


class Device:
    """Stands for CUDA: what sessions and bindings are asked to do, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.options: dict[str, str] = {}
        device = self

        class Value:
            @staticmethod
            def ortvalue_from_numpy(array: np.ndarray, where: str, number: int) -> str:
                assert array.flags.c_contiguous
                device.log.append(("copy", array.shape, where, number))
                return f"device array {array.shape}"

        class Binding:
            def bind_ortvalue_input(self, name: str, value: str) -> None:
                device.log.append(("input", name, value))

            def bind_output(self, name: str, where: str, number: int) -> None:
                device.log.append(("free output", name, where, number))

            def bind_ortvalue_output(self, name: str, value: str) -> None:
                device.log.append(("fixed output", name, value))

            def get_outputs(self) -> list[str]:
                return ["allocated"]

            def synchronize_outputs(self) -> None:
                device.log.append(("synchronize",))

        class Output:
            name = "y"

        class Session:
            def io_binding(self) -> Binding:
                return Binding()

            def get_outputs(self) -> list[Output]:
                return [Output()]

            def run_with_iobinding(self, binding: Binding, options: Any = None) -> None:
                entry = options.get_run_config_entry("gpu_graph_id") if options else None
                device.log.append(("run", entry))

        def create_session(path: Path, **options: Any) -> Session:
            device.options = options
            return Session()

        monkeypatch.setattr(execution, "create_session", create_session)
        monkeypatch.setattr(onnxruntime, "OrtValue", Value)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    return Device(monkeypatch)


def test_a_cuda_call_keeps_everything_on_the_device_and_waits(device: Device) -> None:
    inputs = {"x": np.ones((4, 3), np.float32).T}
    call = open_model(Path("model.onnx"), inputs, Execution("cuda"))
    assert device.log == [
        ("copy", (3, 4), "cuda", 0),
        ("input", "x", "device array (3, 4)"),
        ("free output", "y", "cuda", 0),
        ("run", "-1"),  # finds the sizes of the outputs, and captures no CUDA graph
        ("synchronize",),
        ("fixed output", "y", "allocated"),
    ]
    device.log.clear()
    call()
    call()
    assert device.log == [("run", None), ("synchronize",)] * 2


@pytest.mark.parametrize(
    ("choice", "options"),
    [
        ({}, {"use_tf32": "1"}),
        ({"tf32": False}, {"use_tf32": "0"}),
        ({"cuda_graph": True}, {"use_tf32": "1", "enable_cuda_graph": "1"}),
    ],
)
def test_choices_become_options_of_the_provider(
    device: Device, choice: dict[str, bool], options: dict[str, str]
) -> None:
    open_model(Path("model.onnx"), {}, Execution("cuda", library=Path("kernels.so"), **choice))
    options["arena_extend_strategy"] = "kSameAsRequested"
    assert device.options["provider_options"] == options
    assert device.options["library"] == Path("kernels.so")


def test_a_call_on_the_cpu_runs_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (float[n] x) => (float[n] y) { y = Neg (x) }"""
    ir.save(ir.from_onnx_text(text), tmp_path / "neg.onnx")
    inputs = {"x": np.ones(3, np.float32)}
    call = open_model(tmp_path / "neg.onnx", inputs, Execution("cpu", threads=1))
    (y,) = call()  # type: ignore[misc]  # a call returns anything
    np.testing.assert_array_equal(y, -inputs["x"])


def test_a_provider_that_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(EnvironmentFailure, match="CUDAExecutionProvider does not start"):
        open_model(Path("model.onnx"), {}, Execution("cuda"))
