"""Runs a model under ONNX Runtime's profiler, and reads the graph that really ran."""

from __future__ import annotations

__all__ = ["Recording", "check_profiler", "record"]

import dataclasses
import importlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from graphopt.errors import EnvironmentFailure, UsageError
from graphopt.profile_events import ProfiledRun, read_runs
from graphopt.sessions import RuntimeRefused, ort_version, run

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_SMALL_BYTES = "4096"
"""Constants below stay inside the graph that is read back; of the others only the shape is used."""


@dataclasses.dataclass(frozen=True)
class Recording:
    """What the profiler saw.

    Attributes:
        runs: The runs after the warm-up.
        graph: The graph after ONNX Runtime's own optimizations, the weights not loaded.
    """

    runs: tuple[ProfiledRun, ...]
    graph: ir.Graph


def record(
    path: Path,
    inputs: Mapping[str, np.ndarray],
    *,
    provider: str,
    threads: int,
    library: Path | None,
    warmup: int,
    runs: int,
) -> Recording:
    """Profile ``warmup`` + ``runs`` calls and return the last ``runs``. No file is left behind.

    Raises:
        UsageError: The provider is unknown.
        RuntimeRefused: ONNX Runtime cannot load or run the model.
        EnvironmentFailure: ONNX Runtime is missing, it refuses the library, or the provider does
            not start or cannot be profiled.
    """
    check_profiler(provider)
    version = ort_version()
    runtime: Any = importlib.import_module("onnxruntime")
    name = _PROVIDERS[provider]
    not_started = EnvironmentFailure(
        f"{name} does not start in ONNX Runtime {version}: graphopt doctor says more"
    )
    if name not in runtime.get_available_providers():
        raise not_started
    with tempfile.TemporaryDirectory(prefix="graphopt-profile-") as folder:
        options = _options(runtime, Path(folder), threads=threads, library=library)
        try:
            session = runtime.InferenceSession(os.fspath(path), options, providers=[name])
        except Exception as error:  # ONNX Runtime's errors have no base class of their own
            raise RuntimeRefused(
                f"ONNX Runtime {version} cannot load {path.name}: {_line(error)}"
            ) from error
        if session.get_providers()[0] != name:  # it falls back to the CPU with a warning
            raise not_started
        try:
            for _ in range(warmup + runs):
                run(session, inputs)
        finally:
            profile = Path(session.end_profiling())
        proto = onnx.load(_graph_file(Path(folder)), load_external_data=False)
        recorded = read_runs(profile)[warmup:]
    return Recording(recorded, ir.serde.deserialize_model(proto).graph)


def check_profiler(provider: str) -> None:
    """Raise where a profile on ``provider`` would mislead, before any work is done.

    Raises:
        UsageError: The provider is unknown.
        EnvironmentFailure: ONNX Runtime would time the launch of CUDA kernels, not their run.
    """
    if provider not in _PROVIDERS:
        raise UsageError(f"unknown execution provider {provider!r}; choose cpu or cuda")
    if provider == "cuda" and os.environ.get("CUDA_LAUNCH_BLOCKING") != "1":
        raise EnvironmentFailure(
            "a profile on cuda would show how long kernels take to launch, not to run: set the "
            "environment variable CUDA_LAUNCH_BLOCKING=1 before Python starts"
        )


def _options(runtime: Any, folder: Path, *, threads: int, library: Path | None) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # fatal errors alone
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    options.optimized_model_filepath = str(_graph_file(folder))
    # A model whose weights are inline cannot exceed 2 GB, and they are not needed again.
    prefix = "session.optimized_model_external_initializers_"
    options.add_session_config_entry(f"{prefix}file_name", "weights")
    options.add_session_config_entry(f"{prefix}min_size_in_bytes", _SMALL_BYTES)
    if library is not None:
        try:
            options.register_custom_ops_library(os.fspath(library))
        except Exception as error:
            raise EnvironmentFailure(
                f"ONNX Runtime {ort_version()} refuses the kernels of {library}: {_line(error)}"
            ) from error
    return options


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]


def _graph_file(folder: Path) -> Path:
    return folder / "graph.onnx"
