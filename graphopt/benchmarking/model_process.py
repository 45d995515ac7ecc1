"""Hands a model, its inputs and how to run it to a process of its own."""

from __future__ import annotations

__all__ = ["receive", "send"]

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphopt.benchmarking.execution import Execution
from graphopt.runtime.own_process import run_module

_SECONDS = 900.0


def send(
    module: str,
    path: Path,
    inputs: Mapping[str, np.ndarray],
    execution: Execution,
    environment: Mapping[str, str] | None = None,
) -> Any:
    """Runs a module that calls :func:`receive`, and returns its answer.

    Args:
        module: Name of the module.
        path: The model.
        inputs: One array for each graph input.
        execution: How to run it.
        environment: Environment variables to set beside those of this process.

    Raises:
        ProcessFailed: The process failed; the message says why.
    """
    library = str(execution.library) if execution.library else None
    with tempfile.TemporaryDirectory(prefix="graphopt-inputs-") as directory:
        arrays = Path(directory) / "inputs.npz"
        np.savez(arrays, *inputs.values())
        arguments = {
            "path": str(path),
            "names": list(inputs),
            "arrays": str(arrays),
            "execution": dataclasses.asdict(execution) | {"library": library},
        }
        return run_module(module, arguments, seconds=_SECONDS, environment=environment)


def receive(arguments: dict[str, Any]) -> tuple[Path, dict[str, np.ndarray], Execution]:
    """The model, its inputs and how to run it, out of the request to the process."""
    settings = arguments["execution"]
    settings["library"] = Path(settings["library"]) if settings["library"] else None
    settings["custom_op_libraries"] = tuple(settings["custom_op_libraries"])
    with np.load(arguments["arrays"]) as file:
        inputs = {name: file[f"arr_{i}"] for i, name in enumerate(arguments["names"])}
    return Path(arguments["path"]), inputs, Execution(**settings)
