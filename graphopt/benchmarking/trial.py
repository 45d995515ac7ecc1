"""Runs a model once in a process of its own: does it run, in how much memory, and where."""

from __future__ import annotations

__all__ = ["Trial", "try_model"]

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphopt.benchmarking.execution import Execution, open_model
from graphopt.benchmarking.model_process import receive, send
from graphopt.benchmarking.placement import nodes_by_provider
from graphopt.errors import EnvironmentFailure
from graphopt.passes.targets import provider_named
from graphopt.runtime.gpu import device_memory
from graphopt.runtime.own_process import serve
from graphopt.runtime.sessions import ort_version

_CALLS = 2
_STATUS = Path("/proc/self/status")


@dataclasses.dataclass(frozen=True)
class Trial:
    """What one process saw of one model.

    Attributes:
        memory: Peak bytes that opening and running the model added, on the device for CUDA (its
            context too, and what other processes take meanwhile); None where it does not say.
        nodes: Nodes on each execution provider; empty on the CPU, which runs all of them.
    """

    memory: int | None
    nodes: dict[str, int]


def try_model(path: Path, inputs: Mapping[str, np.ndarray], execution: Execution) -> Trial:
    """Opens a model, runs it, and returns what that took.

    Args:
        path: The model.
        inputs: One array for each graph input.
        execution: How to run it.

    Raises:
        ProcessFailed: The model does not run; the message says why.
    """
    return Trial(**send("graphopt.benchmarking.trial", path, inputs, execution))


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    path, inputs, execution = receive(request)
    on_device = execution.is_device
    ort_version()  # imports ONNX Runtime, whose own memory is no model's
    before = device_memory() if on_device else _resident()
    call = open_model(path, inputs, execution)
    for _ in range(_CALLS):
        call()
    after = device_memory() if on_device else _peak()
    nodes = nodes_by_provider(path, inputs, execution) if on_device else {}
    runtime = provider_named(execution.provider).runtime
    if on_device and runtime not in nodes:
        raise EnvironmentFailure(
            f"no node of {path.name} runs on {runtime}: choose another provider"
        )
    memory = None if before is None or after is None else max(0, after - before)
    return {"memory": memory, "nodes": nodes}


def _resident() -> int:
    """Bytes of this process that are in memory now."""
    # Where /proc is missing, a process that only grew so far is as large as its maximum.
    return _status("VmRSS") if _STATUS.exists() else _peak()


def _peak() -> int:
    """The most bytes of this process that were in memory."""
    if _STATUS.exists():
        # Not ru_maxrss: on Linux it starts at the size of the process that started this one.
        return _status("VmHWM")
    import resource  # Windows has none

    maximum = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return maximum if sys.platform == "darwin" else 1024 * maximum


def _status(key: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{key}:"):
            return 1024 * int(line.split()[1])
    raise OSError(f"{_STATUS} has no {key}")


if __name__ == "__main__":
    serve(_answer)
