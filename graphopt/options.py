"""The choices of a run, checked before any file is read."""

from __future__ import annotations

__all__ = ["BASES", "OPERATOR_SETS", "PROVIDERS", "REFERENCES", "VARIANTS", "pipeline_options"]

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from graphopt.errors import UsageError

if TYPE_CHECKING:
    from graphopt.passes.pipeline import Options

VARIANTS = ("rms", "crms")
BASES = ("orthonormal", "drop")
OPERATOR_SETS = ("custom", "standard", "ort")
PROVIDERS = ("cpu", "cuda")
REFERENCES = ("ort", "float64")


def pipeline_options(
    variant: str = "rms",
    *,
    basis: str | None = None,
    ops: str = "custom",
    provider: str = "cpu",
    max_growth: float | None = None,
    skip: Iterable[str] = (),
) -> Options:
    """Check the choices and return them as the pipeline takes them.

    Args:
        variant: What LayerNorms become: ``rms``, or ``crms`` on streams of d - 1 features.
        basis: How crms represents d centred features by d - 1: ``orthonormal`` (the default) or
            ``drop``, which leaves the last one out.
        ops: Operators of the result: ``custom`` (graphopt's own too, with bodies in ONNX's),
            ``standard`` (ONNX's) or ``ort`` (ONNX Runtime's own too).
        provider: Execution provider that the result is lowered for: ``cpu`` or ``cuda``.
        max_growth: Largest bytes of copied weights, as a share of all weights.
        skip: Names of optional passes that are left out.

    Raises:
        UsageError: A choice that does not exist, a basis without crms, or a pass that cannot be
            left out.
    """
    from graphopt.passes import pipeline

    _check("variant", variant, VARIANTS)
    if basis is not None:
        _check("basis", basis, BASES)
        if variant != "crms":
            raise UsageError(f"basis {basis!r} is for the variant crms: leave it out for {variant}")
    _check("ops", ops, OPERATOR_SETS)
    _check("provider", provider, PROVIDERS)
    if max_growth is not None and not max_growth >= 0:
        raise UsageError(f"max_growth {max_growth} is negative: give a share such as 0.1")
    target = pipeline.Options(
        variant=variant,
        basis=basis or BASES[0],
        ops=ops,
        provider=provider,
        max_growth=max_growth,
    )
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
