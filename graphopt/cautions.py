"""What a result is worse at than its user may expect."""

from __future__ import annotations

__all__ = ["cautions", "optimized_before"]

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import onnx_ir as ir

from graphopt.passes.operators.custom_ops import MINIMUM_OPSET
from graphopt.passes.pipeline import Options
from graphopt.passes.report import PlanSummary
from graphopt.passes.targets import provider_named


def cautions(
    model: ir.Model,
    options: Options,
    plan: PlanSummary,
    given: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, ...]:
    """Sentences on speed, accuracy and runtimes that go with an optimized model.

    Args:
        model: The optimized model.
        options: What it was made with.
        plan: What became of its norms.
        given: The metadata of the input.
    """
    weights = {
        value.const_value.dtype
        for value in model.graph.initializers.values()
        if value.const_value is not None
    }
    opset = model.graph.opset_imports.get("", MINIMUM_OPSET)
    before = optimized_before(given)
    return (*([before] if before else []), *_cautions(weights, opset, options, plan))


def optimized_before(given: Mapping[str, str]) -> str:
    """That the metadata of a model say that graphopt made it, and as what; "" where they do not."""
    if (version := given.get("graphopt.version")) is None:
        return ""
    made = [
        f"{key} {given[name]}"
        for key in ("variant", "ops", "target")
        if (name := f"graphopt.{key}") in given
    ]
    return f"the input was optimized before, by graphopt {version} ({', '.join(made)})"


def _cautions(
    weights: set[ir.DataType], opset: int, options: Options, plan: PlanSummary
) -> Iterator[str]:
    if plan.converted and options.operators.name == "custom" and opset < MINIMUM_OPSET:
        yield (
            f"opset {opset}: graphopt's own operators need opset {MINIMUM_OPSET}, so the norms are "
            "written in ONNX's, and the native kernels have nothing to take over (export with "
            f"opset {MINIMUM_OPSET} or newer)"
        )
    if plan.compressed and options.basis == "drop":
        where = "" if options.operators.has_kernels else " (ops custom)"
        yield (
            f"basis drop: graphopt's native kernels{where} are fast at CRMSNorms; ONNX Runtime by "
            "itself is as slow as at LayerNorms, on few rows slower (basis orthonormal needs no "
            "kernels)"
        )
        if ir.DataType.FLOAT16 in weights:
            yield (
                "basis drop in float16: expect 2 to 6 times the rounding error of the input (the "
                "basis orthonormal has 1 to 3 times)"
            )
    on_cpu = not provider_named(options.provider).is_device
    if plan.converted and ir.DataType.BFLOAT16 in weights and on_cpu:
        yield (
            "bfloat16: ONNX Runtime has no bfloat16 arithmetic on the CPU, where norms need "
            "graphopt's native kernels, and so the operators custom"
        )
