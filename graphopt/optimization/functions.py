"""The Python functions: each choice a keyword."""

from __future__ import annotations

__all__ = ["inspect", "optimize"]

import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from graphopt.optimization.job import ModelOrPath, Result, inspect_for, optimize_for
from graphopt.options import Check, Sample
from graphopt.passes.choices import FUSE, MAX_GROWTH, PROVIDER, SKIP, TARGET, VARIANT
from graphopt.passes.pipeline import Options
from graphopt.passes.report import PlanSummary, Progress


def optimize(
    model: ModelOrPath,
    variant: str = VARIANT.default,
    *,
    basis: str | None = None,
    ops: str | None = None,
    target: str | None = TARGET.default,
    provider: str = PROVIDER.default,
    verify: bool = True,
    output: str | os.PathLike[str] | None = None,
    force: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
    inputs: Mapping[str, np.ndarray] | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    dims: Mapping[str, int] | None = None,
    seed: int = 0,
    custom_op_libraries: Sequence[str | os.PathLike[str]] = (),
    max_growth: float | None = MAX_GROWTH.default,
    skip: Iterable[str] = SKIP.default,
    fuse: bool = FUSE.default,
    progress: Progress | None = None,
) -> Result:
    """Convert the LayerNorms of a model whose mean can be removed ahead of time.

    A model in which no norm converts and nothing is fused is left as it was: its skip-norms,
    functions and Transposes are in the result. One that holds operators of the domain graphopt is
    written in ``ops``.

    What to make is said by ``variant``, ``basis``, ``ops``, ``target``, ``provider``,
    ``max_growth``, ``skip`` and ``fuse``: :mod:`graphopt.passes.choices` has what each may be, and
    what it means.

    Args:
        model: Path of an ONNX file, or a model in memory. Neither is changed.
        variant: What the LayerNorms become.
        basis: How crms represents d centred features by d - 1. None takes the default.
        ops: Operators of the result. None takes those of the target, or the default.
        target: Where the result goes, which chooses the operators. None leaves that to ``ops``.
        provider: Execution provider that the result is lowered for.
        verify: Run the original, once, and the result in ONNX Runtime on the CPU and compare them,
            without the native kernels and, where they were built and the result has their
            operators, with; and on the provider that the result is for, if it starts.
        output: File to write. None writes none.
        force: Replace an existing output.
        rtol: Relative tolerance of the verification. None takes that of the coarsest type that
            computes the output.
        atol: Absolute tolerance of the verification. None follows from the relative one.
        inputs: Arrays to verify on, by input name. The others are generated.
        input_shapes: Shapes of generated inputs, by input name.
        dims: Sizes of symbolic dimensions, by name.
        seed: Seed of the generated inputs.
        custom_op_libraries: Libraries of operators of your own that the verification registers.
        max_growth: Largest bytes of copied weights, as a share of all weights.
        skip: Names of optional passes that are left out.
        fuse: Clean up and fuse what stands beside the norms.
        progress: Called as the work advances.

    Returns:
        The model and the report. A verification that could not be made is in the report, and is
        not an error.

    Raises:
        UsageError: An option or the output path cannot be used.
        ModelError: The model cannot be read, is invalid or is quantized.
        OutputRejected: The result is not the same function within the tolerance.
        EnvironmentFailure: No ONNX Runtime, a full disk, a missing permission.
    """
    options = Options(variant, basis, ops, provider, max_growth, frozenset(skip), fuse, target)
    libraries = tuple(custom_op_libraries)
    sample = Sample(inputs or {}, input_shapes or {}, dims or {}, seed, libraries)
    check = Check(sample, rtol, atol) if verify else None
    return optimize_for(model, options, check=check, output=output, force=force, progress=progress)


def inspect(
    model: ModelOrPath,
    variant: str = VARIANT.default,
    *,
    basis: str | None = None,
    ops: str | None = None,
    target: str | None = TARGET.default,
    provider: str = PROVIDER.default,
    max_growth: float | None = MAX_GROWTH.default,
    skip: Iterable[str] = SKIP.default,
    fuse: bool = FUSE.default,
) -> PlanSummary:
    """Plan the optimization of a model without applying it.

    Args:
        model: Path of an ONNX file, or a model in memory. Neither is changed.
        variant: As in :func:`optimize`.
        basis: As in :func:`optimize`.
        ops: As in :func:`optimize`.
        target: As in :func:`optimize`.
        provider: As in :func:`optimize`.
        max_growth: As in :func:`optimize`.
        skip: As in :func:`optimize`.
        fuse: As in :func:`optimize`.

    Returns:
        Every LayerNorm with its decision and reason, the recentrings and the copied weights.

    Raises:
        UsageError: An option cannot be used.
        ModelError: The model cannot be read, is invalid or is quantized.
        EnvironmentFailure: The model file cannot be read.
    """
    options = Options(variant, basis, ops, provider, max_growth, frozenset(skip), fuse, target)
    return inspect_for(model, options)
