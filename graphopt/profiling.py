"""Where the time of a model goes in ONNX Runtime, by operator and by what the operator is for."""

from __future__ import annotations

__all__ = ["OperatorTime", "Profile", "profile_model"]

import collections
import dataclasses
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from graphopt.errors import UsageError
from graphopt.profile_events import KernelTime, ProfiledRun
from graphopt.profile_roles import ROLES, Role, role_of_operator, roles_of
from graphopt.profile_session import record
from graphopt.sessions import RuntimeRefused


@dataclasses.dataclass(frozen=True)
class OperatorTime:
    """What the kernels of one operator take, where it serves one role.

    Attributes:
        op_type: The operator, for example ``LayerNormalization``. An Add that adds a bias and one
            that adds a residual are two entries.
        role: What it is for.
        seconds: Seconds in a run: the median over the runs of the sum over the calls.
        calls: Kernel calls in a run.
    """

    op_type: str
    role: Role
    seconds: float
    calls: int


@dataclasses.dataclass(frozen=True)
class Profile:
    """Time by operator. It is for shares: the profiler itself slows a run down.

    Attributes:
        operators: The operators, the slowest first.
        seconds: Median seconds of a profiled run, time outside of kernels included.
        runs: Number of runs that the medians are taken over.
        provider: Execution provider that the session ran on first.
        threads: Intra-op threads.
    """

    operators: tuple[OperatorTime, ...]
    seconds: float
    runs: int
    provider: str
    threads: int

    @property
    def kernel_seconds(self) -> float:
        """Seconds of a run that are spent in kernels."""
        return sum(operator.seconds for operator in self.operators)

    @property
    def by_role(self) -> dict[Role, float]:
        """Seconds in a run for each role, absent ones 0, in the order of ``ROLES``."""
        seconds = dict.fromkeys(ROLES, 0.0)
        for operator in self.operators:
            seconds[operator.role] += operator.seconds
        return seconds

    @property
    def by_operator(self) -> dict[str, float]:
        """Seconds in a run for each operator type, whatever it is for, the slowest first."""
        seconds: dict[str, float] = collections.defaultdict(float)
        for operator in self.operators:
            seconds[operator.op_type] += operator.seconds
        return dict(sorted(seconds.items(), key=lambda item: (-item[1], item[0])))

    def share(self, role: Role) -> float:
        """The share of the kernels' time that a role takes, 0 to 1."""
        total = self.kernel_seconds
        return self.by_role[role] / total if total else 0.0


def profile_model(
    path: str | os.PathLike[str],
    inputs: Mapping[str, np.ndarray],
    *,
    provider: str = "cpu",
    threads: int = 1,
    library: str | os.PathLike[str] | None = None,
    warmup: int = 3,
    runs: int = 20,
) -> Profile:
    """Measure how long each operator's kernels run.

    The graph that ONNX Runtime really runs, after its own fusions, tells what each node is for.
    What the profiler writes goes to a temporary directory, which is removed; it takes as much disk
    space as the weights of the model.

    Args:
        path: The model file.
        inputs: One array for each graph input.
        provider: ``cpu``; or ``cuda`` with CUDA_LAUNCH_BLOCKING=1 in the environment, without which
            ONNX Runtime sees kernels start, not end.
        threads: Intra-op threads.
        library: A library of custom operators to register.
        warmup: Runs before those that count.
        runs: Runs that count.

    Raises:
        UsageError: A count that is too small, or an unknown provider.
        RuntimeRefused: ONNX Runtime cannot load or run the model, or recorded no run.
        EnvironmentFailure: ONNX Runtime is missing, or the provider does not start or cannot be
            profiled.
    """
    if warmup < 0 or runs < 1:
        raise UsageError("runs is at least 1, warmup at least 0")
    recording = record(
        Path(path),
        inputs,
        provider=provider,
        threads=threads,
        library=None if library is None else Path(library),
        warmup=warmup,
        runs=runs,
    )
    if not recording.runs:
        raise RuntimeRefused(f"{path}: ONNX Runtime's profiler recorded no run: take fewer runs")
    return Profile(
        operators=_operators(recording.runs, recording.graph),
        seconds=statistics.median(run.seconds for run in recording.runs),
        runs=len(recording.runs),
        provider=recording.provider,
        threads=threads,
    )


def _operators(runs: Sequence[ProfiledRun], graph: ir.Graph) -> tuple[OperatorTime, ...]:
    nodes = _nodes_by_name(runs[0].kernels, graph)
    shapes = {
        nodes[kernel.node]: kernel.shapes for kernel in runs[0].kernels if kernel.node in nodes
    }
    roles = roles_of(graph, shapes)
    seconds: dict[tuple[str, Role], list[float]] = {}
    calls: collections.Counter[tuple[str, Role]] = collections.Counter()
    for index, run in enumerate(runs):
        for kernel in run.kernels:
            node = nodes.get(kernel.node)
            role = role_of_operator(kernel.op_type) if node is None else roles[node]
            key = (kernel.op_type, role)
            seconds.setdefault(key, [0.0] * len(runs))[index] += kernel.seconds
            calls[key] += index == 0
    times = [
        OperatorTime(op_type, role, statistics.median(values), calls[op_type, role])
        for (op_type, role), values in seconds.items()
    ]
    return tuple(sorted(times, key=lambda time: (-time.seconds, time.op_type, time.role)))


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
