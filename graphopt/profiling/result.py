"""Where the time of a call goes, as a value."""

from __future__ import annotations

__all__ = ["OperatorTime", "Profile", "longest_first"]

import dataclasses
from collections.abc import Iterable, Mapping


@dataclasses.dataclass(frozen=True)
class OperatorTime:
    """Time of the nodes of one operator on one execution provider.

    Attributes:
        operator: Operator with its domain, for example ``MatMul`` or ``graphopt.RMSNorm``.
        provider: Execution provider, for example ``CPUExecutionProvider``.
        nodes: Number of nodes.
        seconds: Seconds in one call of the model, all nodes together.
    """

    operator: str
    provider: str
    nodes: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class Profile:
    """Where the time of one call goes, by ONNX Runtime's profiler.

    Attributes:
        operators: Time by operator, the longest first.
        seconds: Seconds of all nodes in one call.
        normalization: Seconds of norms, with the parts of those written out.
        residual: Seconds of residual additions.
        bias: Seconds of bias additions.
        calls: Calls that were averaged.
    """

    operators: tuple[OperatorTime, ...]
    seconds: float
    normalization: float
    residual: float
    bias: float
    calls: int

    def by_operator(self) -> dict[str, float]:
        """Seconds of each operator, on all its execution providers together."""
        seconds: dict[str, float] = {}
        for time in self.operators:
            seconds[time.operator] = seconds.get(time.operator, 0.0) + time.seconds
        return seconds


def longest_first(models: Iterable[Mapping[str, float]]) -> list[str]:
    """The operators of all models by the longest that each takes in any; of two alike, by name.

    Args:
        models: For each model its seconds by operator.
    """
    longest: dict[str, float] = {}
    for seconds in models:
        for operator, value in seconds.items():
            longest[operator] = max(value, longest.get(operator, 0.0))
    return sorted(longest, key=lambda operator: (-longest[operator], operator))
