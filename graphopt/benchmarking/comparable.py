"""Which figures of two saved benchmarks can be set side by side."""

from __future__ import annotations

__all__ = ["place", "refusal", "shared_models"]

from graphopt.benchmarking.machine import same_machine
from graphopt.benchmarking.result import Benchmark, Point
from graphopt.passes.targets import provider_named


def refusal(one: Benchmark, other: Benchmark) -> str:
    """Why the times of two benchmarks cannot be set side by side, or ""."""
    if reason := same_machine(one.environment, other.environment):
        return reason
    if one.method.clock != other.method.clock:
        return f"the clock differs: {one.method.clock} and {other.method.clock}"
    if any(provider_named(p.provider).is_device for p in (*one.points, *other.points)):
        if one.method.tf32 != other.method.tf32:
            return "one was measured with TF32, the other without"
        if one.method.cuda_graph != other.method.cuda_graph:
            return "one was measured with CUDA graphs, the other without"
    return ""


def place(point: Point) -> tuple[object, ...]:
    """What two points must share for their ratios to be compared."""
    shapes = tuple(sorted((name, tuple(shape)) for name, shape in point.shapes.items()))
    return (point.provider, point.threads, point.dtype, point.baseline, shapes)


def shared_models(one: Point, other: Point) -> list[str]:
    """The models that both points have a ratio of, in the order of ``one``."""
    names = {row.model for row in other.rows}
    return [row.model for row in one.rows if row.model in names and row.model != one.baseline]
