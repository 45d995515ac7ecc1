"""The doctor tells what works, what is absent and what is broken."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from graphopt.native import build
from graphopt.runtime import doctor


def findings() -> dict[str, doctor.Finding]:
    return {finding.subject: finding for finding in doctor.examine()}


def test_this_environment_is_sound() -> None:
    build.build("cpu", only_if_changed=True)
    found = findings()
    assert [finding for finding in found.values() if finding.status == "problem"] == []
    assert found["Python"].text.startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert found["graphopt"].text == importlib.metadata.version("graphopt")
    assert found["ONNX Runtime"].text.startswith(f"{onnxruntime.__version__} (onnxruntime; ")
    assert found["CPUExecutionProvider"] == doctor.Finding("CPUExecutionProvider", "starts")
    assert found["Kernels for cpu"].status == "ok"
    assert found["Kernels for cpu"].text.startswith(str(build.SOURCES))


def test_no_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = findings()
    assert found["ONNX Runtime"].status == "problem"
    assert found["ONNX Runtime"].advice.startswith('pip install "graphopt[cpu]"')
    assert found["Kernels for cpu"].status == "note"


def test_both_distributions_of_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_is_installed", lambda name: True)
    finding = findings()["ONNX Runtime"]
    assert finding.status == "problem"
    assert "(onnxruntime and onnxruntime-gpu; " in finding.text
    assert "pip uninstall onnxruntime onnxruntime-gpu, then install one" in finding.advice


def test_a_provider_that_is_listed_but_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    found = findings()
    assert found["CUDAExecutionProvider"].status == "problem"
    assert found["CUDAExecutionProvider"].text.startswith("does not start: ")
    assert found["CUDAExecutionProvider"].advice == "install the CUDA and cuDNN it was built for"
    assert found["CPUExecutionProvider"].text == "starts"


def test_kernels_that_were_not_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    finding = findings()["Kernels for cpu"]
    assert (finding.text, finding.status) == ("the kernels for cpu were not built", "note")
    assert finding.advice.endswith('run "python -m graphopt.native.build cpu"')


def test_kernels_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / build.library_name("cpu")).write_bytes(b"no library")
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    finding = findings()["Kernels for cpu"]
    assert finding.status == "problem"
    assert "is no library of kernels" in finding.text
    assert finding.advice == 'run "python -m graphopt.native.build cpu"'


def test_kernels_that_compute_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = np.array([[3, 4]], np.float32)  # right for the provider, and no norm
    monkeypatch.setattr(onnxruntime.InferenceSession, "run", lambda *_: [wrong])
    found = findings()
    assert found["CPUExecutionProvider"].status == "ok"
    assert found["Kernels for cpu"].status == "problem"
    assert "fails: computed [[3.0, 4.0]]" in found["Kernels for cpu"].text
