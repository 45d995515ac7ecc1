"""The models that benchmarks measure, how they are measured, and how results are saved."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graphopt import Benchmark, benchmark

__all__ = ["CACHE", "Subject", "measure", "model_file", "write_whole"]

CACHE = Path(__file__).parent.parent / ".model-cache"


@dataclasses.dataclass(frozen=True)
class Subject:
    """A model of the tables.

    Attributes:
        label: What the tables call it.
        name: Its name in the zoo.
        dims: Sizes of its symbolic dimensions, beside the batch.
        model_type: What onnxruntime.transformers calls its architecture.
        int8: Measure it quantized too.
    """

    label: str
    name: str
    dims: dict[str, int]
    model_type: str
    int8: bool = False


def model_file(subject: Subject) -> Path:
    """The file of a model, which is exported once, with random weights.

    Raises:
        ImportError: It was not exported yet, and PyTorch or transformers is missing.
    """
    path = CACHE / "benchmarks" / subject.name / f"{subject.name}.onnx"
    if not path.exists():
        from graphopt.models import export  # needs PyTorch, which a file does not

        path.parent.mkdir(parents=True, exist_ok=True)
        export(subject.name, path)
    return path


def measure(subject: Subject, model: Path, batches: Sequence[int], **settings: Any) -> Benchmark:
    """A model at these batch sizes.

    Args:
        subject: What it is.
        model: Its file.
        batches: The batch sizes.
        **settings: Further settings of :func:`graphopt.benchmark`.

    Raises:
        GraphoptError: It cannot be measured.
    """
    return benchmark(
        model,
        batches=batches,
        dims={name: (size,) for name, size in subject.dims.items()},
        model_type=subject.model_type,
        **settings,
    )


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a run which is killed leaves no half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
