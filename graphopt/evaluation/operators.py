"""The table of operators: (domain, operator) to kernel."""

from __future__ import annotations

__all__ = ["KERNELS"]

from graphopt.evaluation import (
    attention,
    control_flow,
    convolution,
    elementwise,
    grouped_query_attention,
    linear,
    microsoft,
    movement,
    normalization,
    reductions,
    rotary,
)
from graphopt.evaluation.calls import Kernel

_STANDARD = (
    control_flow.KERNELS,
    convolution.KERNELS,
    elementwise.KERNELS,
    linear.KERNELS,
    movement.KERNELS,
    normalization.KERNELS,
    reductions.KERNELS,
    rotary.KERNELS,
)
_MICROSOFT = (
    attention.MICROSOFT_KERNELS,
    grouped_query_attention.MICROSOFT_KERNELS,
    linear.MICROSOFT_KERNELS,
    microsoft.MICROSOFT_KERNELS,
    rotary.MICROSOFT_KERNELS,
)

KERNELS: dict[tuple[str, str], Kernel] = {
    (domain, name): kernel
    for domain, tables in (
        ("", _STANDARD),
        ("com.microsoft", _MICROSOFT),
        ("graphopt", (elementwise.GRAPHOPT_KERNELS, normalization.GRAPHOPT_KERNELS)),
    )
    for table in tables
    for name, kernel in table.items()
}
