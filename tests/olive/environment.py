"""The environment of Olive, which wants PyTorch, and of graphopt in it."""

from __future__ import annotations

from pathlib import Path

from tests.graphopt.serving.environments import pinned
from tests.versions.environments import python_with

__all__ = ["olive_python"]

# Olive imports requests, and does not require it.
_PACKAGES = (
    *("olive-ai", "requests", "torch", "transformers", "onnxruntime", "onnx", "onnx-ir"),
    *("onnx-shape-inference", "onnxscript", "networkx", "click", "rich"),
)


def olive_python() -> Path:
    """Python with Olive and graphopt."""
    return python_with("olive", *pinned(*_PACKAGES), graphopt=True)
