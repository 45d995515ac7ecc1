"""Profiles a model in a process of its own.

ONNX Runtime sees when a CUDA kernel is launched, not when it ends, unless the environment makes
each launch wait. That must not be so where models are timed.
"""

from __future__ import annotations

__all__ = ["profile_apart"]

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphopt.benchmarking.execution import Execution
from graphopt.benchmarking.model_process import receive, send
from graphopt.json_values import read_value, to_json
from graphopt.profiling.profile import profile_model
from graphopt.profiling.result import Profile
from graphopt.runtime.own_process import serve

_BLOCKING = {"CUDA_LAUNCH_BLOCKING": "1"}


def profile_apart(path: Path, inputs: Mapping[str, np.ndarray], execution: Execution) -> Profile:
    """Where the time of a model goes, as :func:`graphopt.profiling.profile.profile_model` says.

    Raises:
        ProcessFailed: The model cannot be profiled; the message says why.
    """
    environment = _BLOCKING if execution.is_device else {}
    text = send("graphopt.benchmarking.profiles", path, inputs, execution, environment)
    profile: Profile = read_value(Profile, text)
    return profile


def _answer(request: dict[str, Any]) -> str:
    path, inputs, execution = receive(request)
    profile = profile_model(
        path,
        inputs,
        provider=execution.provider,
        threads=execution.threads,
        provider_options=dataclasses.replace(execution, cuda_graph=False).provider_options,
        library=execution.library,
        custom_op_libraries=execution.custom_op_libraries,
    )
    return to_json(profile)


if __name__ == "__main__":
    serve(_answer)
