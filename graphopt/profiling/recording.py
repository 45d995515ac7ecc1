"""Runs a model under ONNX Runtime's profiler, and reads the graph that really ran."""

from __future__ import annotations

__all__ = ["Recording", "check_profiler", "record"]

import dataclasses
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from graphopt.errors import EnvironmentFailure
from graphopt.passes.targets import provider_named
from graphopt.profiling.events import ProfiledRun, read_runs
from graphopt.runtime.sessions import create_session, run


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
    provider_options: Mapping[str, str] | None,
    library: Path | None,
    custom_op_libraries: Sequence[str | os.PathLike[str]] = (),
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
    with tempfile.TemporaryDirectory(prefix="graphopt-profile-") as folder:
        graph_file = Path(folder) / "graph.onnx"
        session = create_session(
            path,
            provider=provider,
            threads=threads,
            provider_options=provider_options,
            library=library,
            custom_op_libraries=custom_op_libraries,
            profile=Path(folder) / "profile",
            optimized=graph_file,
        )
        try:
            for _ in range(warmup + runs):
                run(session, inputs)
        finally:
            profile = Path(session.end_profiling())
        proto = onnx.load(graph_file, load_external_data=False)
        recorded = read_runs(profile)[warmup:]
    return Recording(recorded, ir.serde.deserialize_model(proto).graph)


def check_profiler(provider: str) -> None:
    """Raise where a profile on ``provider`` would mislead, before any work is done.

    Raises:
        EnvironmentFailure: ONNX Runtime would time the launch of CUDA kernels, not their run.
    """
    if provider_named(provider).is_device and os.environ.get("CUDA_LAUNCH_BLOCKING") != "1":
        raise EnvironmentFailure(
            f"a profile on {provider} would show how long kernels take to launch, not to run: set "
            "the environment variable CUDA_LAUNCH_BLOCKING=1 before Python starts"
        )
