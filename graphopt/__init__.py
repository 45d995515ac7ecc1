"""Removes the mean from the LayerNorms of an ONNX transformer ahead of time, exactly.

``import graphopt`` costs nothing: each name is imported from its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphopt.benchmarking.result import Benchmark
    from graphopt.benchmarking.running import benchmark
    from graphopt.directories import DirectoryRejected, DirectoryReport, optimize_directory
    from graphopt.errors import (
        EnvironmentFailure,
        GraphoptError,
        ModelError,
        UsageError,
        VerificationFailed,
    )
    from graphopt.evaluation.float64 import cast_to_float64
    from graphopt.files.loading import load
    from graphopt.files.saving import save
    from graphopt.inputs import GeneratedInputs, generate_inputs
    from graphopt.optimization import OutputRejected, Result, inspect, optimize
    from graphopt.passes.report import PlanSummary
    from graphopt.reporting import Report
    from graphopt.runtime.library import library_path
    from graphopt.verification import Verification, verify
    from graphopt.verification.truth import evaluate

__all__ = [
    "Benchmark",
    "DirectoryRejected",
    "DirectoryReport",
    "EnvironmentFailure",
    "GeneratedInputs",
    "GraphoptError",
    "ModelError",
    "OutputRejected",
    "PlanSummary",
    "Report",
    "Result",
    "UsageError",
    "Verification",
    "VerificationFailed",
    "benchmark",
    "cast_to_float64",
    "evaluate",
    "generate_inputs",
    "inspect",
    "library_path",
    "load",
    "optimize",
    "optimize_directory",
    "save",
    "verify",
]

_MODULES = {
    "Benchmark": "graphopt.benchmarking.result",
    "DirectoryRejected": "graphopt.directories",
    "DirectoryReport": "graphopt.directories",
    "EnvironmentFailure": "graphopt.errors",
    "GeneratedInputs": "graphopt.inputs",
    "GraphoptError": "graphopt.errors",
    "ModelError": "graphopt.errors",
    "OutputRejected": "graphopt.optimization",
    "PlanSummary": "graphopt.passes.report",
    "Report": "graphopt.reporting",
    "Result": "graphopt.optimization",
    "UsageError": "graphopt.errors",
    "Verification": "graphopt.verification",
    "VerificationFailed": "graphopt.errors",
    "benchmark": "graphopt.benchmarking.running",
    "cast_to_float64": "graphopt.evaluation.float64",
    "evaluate": "graphopt.verification.truth",
    "generate_inputs": "graphopt.inputs",
    "inspect": "graphopt.optimization",
    "library_path": "graphopt.runtime.library",
    "load": "graphopt.files.loading",
    "optimize": "graphopt.optimization",
    "optimize_directory": "graphopt.directories",
    "save": "graphopt.files.saving",
    "verify": "graphopt.verification",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("graphopt")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
