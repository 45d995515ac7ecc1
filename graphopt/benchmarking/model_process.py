"""Hands a model, its inputs and how to run it to a process of its own."""

from __future__ import annotations

__all__ = ["receive", "send"]

import dataclasses
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from graphopt.benchmarking.execution import Execution
from graphopt.benchmarking.own_process import run_module

_SECONDS = 900.0


def send(
    module: str,
    path: Path,
    inputs: Mapping[str, np.ndarray],
    execution: Execution,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Runs a module that calls :func:`receive`, and returns the last line that it prints.

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


def receive(argument: str) -> tuple[Path, dict[str, np.ndarray], Execution]:
    """The model, its inputs and how to run it, out of the argument of the process."""
    arguments = json.loads(argument)
    settings = arguments["execution"]
    settings["library"] = Path(settings["library"]) if settings["library"] else None
    with np.load(arguments["arrays"]) as file:
        inputs = {name: file[f"arr_{i}"] for i, name in enumerate(arguments["names"])}
    return Path(arguments["path"]), inputs, Execution(**settings)
