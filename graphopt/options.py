"""The choices of a run, checked before any file is read."""

from __future__ import annotations

__all__ = ["OPERATOR_SETS", "PROVIDERS", "REFERENCES", "VARIANTS", "pipeline_options"]

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from graphopt.errors import UsageError

if TYPE_CHECKING:
    from graphopt.passes.pipeline import Options

VARIANTS = ("rms",)
OPERATOR_SETS = ("standard", "ort", "custom")
PROVIDERS = ("cpu", "cuda")
REFERENCES = ("ort", "float64")


def pipeline_options(
    variant: str = "rms",
    *,
    ops: str = "standard",
    provider: str = "cpu",
    max_growth: float | None = None,
    skip: Iterable[str] = (),
) -> Options:
    """Check the choices and return them as the pipeline takes them.

    Args:
        variant: What LayerNorms become: ``rms``.
        ops: Operators of the result: ``standard`` (ONNX's), ``ort`` (ONNX Runtime's own too) or
            ``custom`` (graphopt's own too, with bodies in ONNX's).
        provider: Execution provider that the result is lowered for: ``cpu`` or ``cuda``.
        max_growth: Largest bytes of copied weights, as a share of all weights.
        skip: Names of optional passes that are left out.

    Raises:
        UsageError: A choice that does not exist, or a pass that cannot be left out.
    """
    from graphopt.passes import pipeline

    _check("variant", variant, VARIANTS)
    _check("ops", ops, OPERATOR_SETS)
    _check("provider", provider, PROVIDERS)
    if max_growth is not None and not max_growth >= 0:
        raise UsageError(f"max_growth {max_growth} is negative: give a share such as 0.1")
    target = pipeline.Options(variant=variant, ops=ops, provider=provider, max_growth=max_growth)
    steps = pipeline.steps(target)
    optional = [step.name for step in steps if step.optional]
    for name in sorted(skipped := frozenset(skip)):
        if all(step.name != name for step in steps):
            raise UsageError(f"no pass is called {name!r} here: graphopt passes lists them")
        if name not in optional:
            raise UsageError(
                f"pass {name!r} cannot be skipped, because the result would be wrong; "
                f"optional are {', '.join(optional)}"
            )
    return dataclasses.replace(target, skip=skipped)


def _check(what: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise UsageError(f"unknown {what} {value!r}: choose {' or '.join(choices)}")
