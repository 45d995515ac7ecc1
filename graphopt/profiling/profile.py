"""Where the time of a model goes in ONNX Runtime, by operator and by what the operator is for."""

from __future__ import annotations

__all__ = ["check_profiler", "profile_model"]

import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from graphopt.errors import UsageError
from graphopt.passes.choices import PROVIDER
from graphopt.profiling.events import KernelTime, ProfiledRun
from graphopt.profiling.purposes import Purpose, purpose_of_operator, purposes_of
from graphopt.profiling.recording import check_profiler, record
from graphopt.profiling.result import OperatorTime, Profile
from graphopt.runtime.sessions import RuntimeRefused


def profile_model(
    path: str | os.PathLike[str],
    inputs: Mapping[str, np.ndarray],
    *,
    provider: str = PROVIDER.default,
    threads: int = 1,
    provider_options: Mapping[str, str] | None = None,
    library: str | os.PathLike[str] | None = None,
    custom_op_libraries: Sequence[str | os.PathLike[str]] = (),
    warmup: int = 3,
    runs: int = 20,
) -> Profile:
    """Measure how long each operator's kernels run: medians over the runs of the sums in a run.

    The graph that ONNX Runtime really runs, after its own fusions, tells what each node is for.
    A profile is for shares: the profiler itself slows a run down. What it writes goes to a
    temporary directory, which is removed; it takes as much disk space as the model's weights.

    Args:
        path: The model file.
        inputs: One array for each graph input.
        provider: ``cpu``; or ``cuda`` with CUDA_LAUNCH_BLOCKING=1 in the environment, without which
            ONNX Runtime sees kernels start, not end.
        threads: Intra-op threads.
        provider_options: Options of the execution provider, by ONNX Runtime's names.
        library: A library of kernels to register.
        custom_op_libraries: Libraries of the user's own operators to register.
        warmup: Runs before those that count.
        runs: Runs that count.

    Raises:
        UsageError: A count that is too small, or an unknown provider.
        RuntimeRefused: ONNX Runtime cannot load or run the model, or recorded no run.
        EnvironmentFailure: ONNX Runtime is missing, it refuses the library, or the provider does
            not start or cannot be profiled.
    """
    if warmup < 0 or runs < 1:
        raise UsageError(f"{runs} runs after {warmup}: give at least 1, and a warmup of at least 0")
    recording = record(
        Path(path),
        inputs,
        provider=provider,
        threads=threads,
        provider_options=provider_options,
        library=None if library is None else Path(library),
        custom_op_libraries=custom_op_libraries,
        warmup=warmup,
        runs=runs,
    )
    if not recording.runs:
        raise RuntimeRefused(f"{path}: ONNX Runtime's profiler recorded no run: take fewer runs")
    return _profile(recording.runs, recording.graph)


def _profile(runs: Sequence[ProfiledRun], graph: ir.Graph) -> Profile:
    nodes = _nodes_by_name(runs[0].kernels, graph)
    shapes = {
        nodes[kernel.node]: kernel.shapes for kernel in runs[0].kernels if kernel.node in nodes
    }
    purposes = purposes_of(graph, shapes)
    names: dict[tuple[str, str], set[str]] = {}
    sums: dict[tuple[tuple[str, str], Purpose], list[float]] = {}
    for index, run in enumerate(runs):
        for kernel in run.kernels:
            node = nodes.get(kernel.node)
            purpose = purpose_of_operator(kernel.op_type) if node is None else purposes[node]
            key = (_operator(kernel, node), kernel.provider)
            names.setdefault(key, set()).add(kernel.node)
            sums.setdefault((key, purpose), [0.0] * len(runs))[index] += kernel.seconds
    medians = {key: statistics.median(values) for key, values in sums.items()}
    operators = [
        OperatorTime(
            operator=operator,
            provider=provider,
            nodes=len(found),
            seconds=sum(time for (key, _), time in medians.items() if key == (operator, provider)),
        )
        for (operator, provider), found in names.items()
    ]

    def seconds_of(purpose: Purpose) -> float:
        return sum(time for (_, served), time in medians.items() if served == purpose)

    return Profile(
        operators=tuple(sorted(operators, key=lambda time: (-time.seconds, time.operator))),
        seconds=sum(medians.values()),
        normalization=seconds_of("normalization"),
        residual=seconds_of("residual"),
        bias=seconds_of("bias"),
        calls=len(runs),
    )


def _operator(kernel: KernelTime, node: ir.Node | None) -> str:
    """The operator with its domain, as far as the node is known."""
    if node is None or node.domain == "":
        return kernel.op_type
    return f"{node.domain}.{kernel.op_type}"


def _nodes_by_name(kernels: Sequence[KernelTime], graph: ir.Graph) -> dict[str, ir.Node]:
    """The node that each name of the profile stands for.

    The profiler invents names for nodes without one. As ONNX Runtime runs nodes in the order in
    which it saves them, those of the main graph are found by their order. A nameless node of a
    subgraph is not found.
    """
    nodes = {node.name: node for node in graph.all_nodes() if node.name}
    invented = list(dict.fromkeys(kernel.node for kernel in kernels if kernel.node not in nodes))
    nameless = [node for node in graph if not node.name]
    ops = {kernel.node: kernel.op_type for kernel in kernels}
    if [ops[name] for name in invented] == [node.op_type for node in nameless]:
        nodes.update(zip(invented, nameless, strict=True))
    return nodes
