"""Names the machine and the software of a benchmark."""

from __future__ import annotations

__all__ = ["describe", "same_machine"]

import importlib.metadata
import os
import platform
from pathlib import Path

from graphopt.benchmarking.result import BenchmarkEnvironment
from graphopt.runtime.environment import processor
from graphopt.runtime.gpu import describe_gpu
from graphopt.runtime.library import instruction_set
from graphopt.runtime.sessions import ort_version

# What two benchmarks must share to be compared, and what each is called.
_IDENTITY = {
    "onnxruntime": "ONNX Runtime",
    "processor": "processor",
    "cores": "number of cores",
    "system": "operating system",
    "gpu": "GPU",
}


def describe(*, library: Path | None, cuda: bool) -> BenchmarkEnvironment:
    """The environment of sessions with this kernel library.

    Args:
        library: The library that sessions register, or None.
        cuda: Whether the GPU takes part.

    Raises:
        EnvironmentFailure: ONNX Runtime is missing, or the library cannot be loaded.
    """
    return BenchmarkEnvironment(
        processor=processor(),
        cores=_cores(),
        system=f"{platform.system()} {platform.machine()}",
        gpu=describe_gpu() if cuda else "",
        onnxruntime=ort_version(),
        graphopt=importlib.metadata.version("graphopt"),
        python=platform.python_version(),
        library=f"{library.name} ({instruction_set(library)})" if library else "",
    )


def same_machine(one: BenchmarkEnvironment, other: BenchmarkEnvironment) -> str:
    """Why times taken in the two environments cannot be compared, or "" where they can."""
    for field, name in _IDENTITY.items():
        first, second = getattr(one, field), getattr(other, field)
        if first != second:
            return f"the {name} differs: {first or 'none'} and {second or 'none'}"
    return ""


def _cores() -> int:
    # Fewer than the machine has where the process is confined to some, as in a container.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
