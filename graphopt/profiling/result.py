"""Where the time of a call goes, as a value."""

from __future__ import annotations

__all__ = ["OperatorTime", "Profile"]

import dataclasses


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
