"""The environments of servers and of their client: each has packages that the others refuse."""

from __future__ import annotations

from pathlib import Path

from tests.versions.environments import ROOT, python_with

__all__ = ["client", "kserve", "mlserver", "pinned"]

_CLIENT = (
    *("click", "networkx", "numpy", "onnx", "onnx-ir", "onnx-shape-inference", "onnxruntime"),
    *("onnxscript", "pytest", "rich"),
)


def kserve() -> Path:
    """Python with KServe's SDK, ONNX Runtime and graphopt."""
    return python_with("kserve", *pinned("kserve", "onnxruntime"), graphopt=True)


def mlserver() -> Path:
    """Python with MLServer, ONNX Runtime and graphopt."""
    return python_with("mlserver", *pinned("mlserver", "onnxruntime"), graphopt=True)


def client() -> Path:
    """Python with tritonclient and all that graphopt needs."""
    (version,) = pinned("tritonclient")
    wanted = version.replace("tritonclient", "tritonclient[http,grpc]")
    return python_with("endpoint", wanted, *pinned(*_CLIENT), graphopt=True)


def pinned(*names: str) -> list[str]:
    """The requirements of packages, each with the version of constraints-dev.txt."""
    lines = (ROOT / "constraints-dev.txt").read_text(encoding="utf-8").splitlines()
    pins = {line.split("==")[0]: line for line in lines if "==" in line}
    return [pins[name] for name in names]
