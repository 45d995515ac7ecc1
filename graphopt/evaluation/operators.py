"""The table of operators: (domain, operator) to kernel."""

from __future__ import annotations

__all__ = ["KERNELS"]

from graphopt.evaluation import (
    control_flow,
    convolution,
    elementwise,
    linear,
    movement,
    normalization,
    reductions,
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
)
_MICROSOFT = (linear.MICROSOFT_KERNELS,)

KERNELS: dict[tuple[str, str], Kernel] = {
    (domain, name): kernel
    for domain, tables in (("", _STANDARD), ("com.microsoft", _MICROSOFT))
    for table in tables
    for name, kernel in table.items()
}
