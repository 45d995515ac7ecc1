"""Profiles a model in a process of its own.

ONNX Runtime sees when a CUDA kernel is launched, not when it ends, unless the environment makes
each launch wait. That must not be so where models are timed.
"""

from __future__ import annotations

__all__ = ["profile_apart"]

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from graphopt.benchmarking.execution import Execution
from graphopt.benchmarking.model_process import receive, send
from graphopt.benchmarking.own_process import report_failure
from graphopt.json_values import read_value, to_json
from graphopt.profiling.profile import profile_model
from graphopt.profiling.result import Profile

_BLOCKING = {"CUDA_LAUNCH_BLOCKING": "1"}


def profile_apart(path: Path, inputs: Mapping[str, np.ndarray], execution: Execution) -> Profile:
    """Where the time of a model goes, as :func:`graphopt.profiling.profile.profile_model` says.

    Raises:
        ProcessFailed: The model cannot be profiled; the message says why.
    """
    environment = _BLOCKING if execution.is_device else {}
    line = send("graphopt.benchmarking.profiles", path, inputs, execution, environment)
    profile: Profile = read_value(Profile, line)
    return profile


def _main(argument: str) -> None:
    path, inputs, execution = receive(argument)
    try:
        profile = profile_model(
            path,
            inputs,
            provider=execution.provider,
            threads=execution.threads,
            provider_options=dataclasses.replace(execution, cuda_graph=False).provider_options,
            library=execution.library,
        )
    except Exception as error:  # the failure is the result
        report_failure(error)
    print(" ".join(to_json(profile).split("\n")))


if __name__ == "__main__":
    _main(sys.argv[1])
