"""The main job, from a file to a file: load, optimize, write, verify, publish, report."""

from __future__ import annotations

__all__ = ["OutputRejected", "Result", "inspect", "optimize"]

import contextlib
import dataclasses
import importlib.metadata
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from graphopt import reporting, verification
from graphopt.cautions import cautions
from graphopt.errors import EnvironmentFailure, ModelError, VerificationFailed
from graphopt.files import loading, saving
from graphopt.files.check_functions import check_functions
from graphopt.options import pipeline_options
from graphopt.passes import pipeline
from graphopt.passes.report import PlanSummary, Progress
from graphopt.reporting import Report
from graphopt.runtime.library import find_library
from graphopt.verification import Verification

ModelOrPath = ir.Model | str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class Result:
    """An optimized model and the report on it.

    The model's weights are computed when they are read, from the files of the input, which must
    stay in place as long as the model is used. :func:`graphopt.save` writes it.
    """

    model: ir.Model
    report: Report


class OutputRejected(VerificationFailed):
    """The optimized model failed its verification, and no output was written.

    Attributes:
        report: The report on the rejected model.
    """

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


def optimize(
    model: ModelOrPath,
    variant: str = "rms",
    *,
    basis: str | None = None,
    ops: str = "custom",
    provider: str = "cpu",
    verify: bool = True,
    output: str | os.PathLike[str] | None = None,
    force: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
    inputs: Mapping[str, np.ndarray] | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    dims: Mapping[str, int] | None = None,
    seed: int = 0,
    max_growth: float | None = None,
    skip: Iterable[str] = (),
    progress: Progress | None = None,
) -> Result:
    """Convert the LayerNorms of a model whose mean can be removed ahead of time.

    Args:
        model: Path of an ONNX file, or a model in memory. Neither is changed.
        variant: What the LayerNorms become: ``rms``, or ``crms`` on streams of d - 1 features.
        basis: How crms represents d centred features by d - 1: ``orthonormal`` (the default) or
            ``drop``, which leaves the last one out.
        ops: Operators of the result: ``custom`` (graphopt's own too, with bodies in ONNX's),
            ``standard`` (ONNX's) or ``ort`` (ONNX Runtime's own too).
        provider: Execution provider that the result is lowered for: ``cpu`` or ``cuda``.
        verify: Run the original and the result in ONNX Runtime on the CPU and compare them, without
            the native kernels and, where they were built and the result has their operators, with;
            and on CUDA, if the result is for it and it starts.
        output: File to write. None writes none.
        force: Replace an existing output.
        rtol: Relative tolerance of the verification. None takes the one of the output's type.
        atol: Absolute tolerance of the verification. None takes the one of the output's type.
        inputs: Arrays to verify on, by input name. The others are generated.
        input_shapes: Shapes of generated inputs, by input name.
        dims: Sizes of symbolic dimensions, by name.
        seed: Seed of the generated inputs.
        max_growth: Largest bytes of copied weights, as a share of all weights.
        skip: Names of optional passes that are left out.
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
    options = pipeline_options(
        variant, basis=basis, ops=ops, provider=provider, max_growth=max_growth, skip=skip
    )
    advance = progress or _ignore
    clock = _Clock()
    with clock.stage("load"):
        advance("load", 0.0)
        path = None if isinstance(model, ir.Model) else Path(model)
        original = _loaded(model)
        if output is not None:
            saving.check_target(original, output, force=force)
        given = reporting.describe(original, loading.source_of(original))
        optimized = original.clone() if path is None else original
    with clock.stage("optimize"):
        plan, records = pipeline.run(optimized, options, advance)
        optimized.metadata_props["graphopt.version"] = importlib.metadata.version("graphopt")
        optimized.metadata_props["graphopt.variant"] = variant
        if variant == "crms":
            optimized.metadata_props["graphopt.basis"] = options.basis
    report = Report(
        input=given,
        output=reporting.describe(optimized, None),
        variant=variant,
        ops=ops,
        provider=provider,
        plan=plan,
        passes=records,
        verification=None,
        verification_with_kernels=None,
        verification_on_cuda=None,
        cautions=cautions(optimized, options, plan),
        speedup=None,
        environment=reporting.environment(),
        seconds=clock.seconds,
    )
    # Closing the stack moves the output into place; an error on the way leaves nothing of it.
    with contextlib.ExitStack() as files:
        if verify or output is not None:
            with clock.stage("write"):
                advance("write", 0.0)
                candidate = files.enter_context(_written(optimized, output, force))
        if verify:
            with clock.stage("verify"):
                advance("verify", 0.0)
                base = path or files.enter_context(saving.temporary(original))
                report = _verified(
                    report,
                    base,
                    candidate,
                    inputs=inputs,
                    shapes=input_shapes or {},
                    dims=dims or {},
                    seed=seed,
                    rtol=rtol,
                    atol=atol,
                )
    if output is not None:
        source = loading.Source(Path(output), saving.data_files(optimized, output))
        report = dataclasses.replace(report, output=reporting.describe(optimized, source))
    return Result(optimized, report)


def inspect(
    model: ModelOrPath,
    variant: str = "rms",
    *,
    basis: str | None = None,
    ops: str = "custom",
    provider: str = "cpu",
    max_growth: float | None = None,
    skip: Iterable[str] = (),
) -> PlanSummary:
    """Plan the optimization of a model without applying it.

    Args:
        model: Path of an ONNX file, or a model in memory. Neither is changed.
        variant: As in :func:`optimize`.
        basis: As in :func:`optimize`.
        ops: As in :func:`optimize`.
        provider: As in :func:`optimize`.
        max_growth: As in :func:`optimize`.
        skip: As in :func:`optimize`.

    Returns:
        Every LayerNorm with its decision and reason, the recentrings and the copied weights.

    Raises:
        UsageError: An option cannot be used.
        ModelError: The model cannot be read, is invalid or is quantized.
        EnvironmentFailure: The model file cannot be read.
    """
    options = pipeline_options(
        variant, basis=basis, ops=ops, provider=provider, max_growth=max_growth, skip=skip
    )
    planned = _loaded(model)
    if planned is model:
        planned = planned.clone()
    return pipeline.analyse(planned, options)


def _loaded(model: ModelOrPath) -> ir.Model:
    """The model itself, or that of a file, fit to be optimized."""
    if isinstance(model, ir.Model):
        check_functions(model)
        return model
    loaded = loading.load(model)
    try:
        check_functions(loaded)
    except ModelError as error:
        raise ModelError(f"{os.fspath(model)}: {error}") from error
    return loaded


class _Clock:
    """Wall seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


def _verified(report: Report, base: Path, candidate: Path, **choices: Any) -> Report:
    """The report with the result of each check that there can be.

    Raises:
        OutputRejected: The candidate failed one.
    """
    has_kernels = report.has_custom_operators
    checks: dict[str, dict[str, Any]] = {"verification": {}}
    if has_kernels and (library := find_library("cpu")):
        checks["verification_with_kernels"] = {"library": library}
    if report.provider == "cuda":
        library = find_library("cuda") if has_kernels else None
        checks["verification_on_cuda"] = {"provider": "cuda", "library": library}
    for field, where in checks.items():
        try:
            checked = verification.verify(base, candidate, **choices, **where)
        except EnvironmentFailure as error:
            # A runtime that is too old for the library, or a machine without a GPU.
            if not where:
                raise
            checked = Verification("unverified", reason=str(error))
        found: dict[str, Any] = {field: checked}
        report = dataclasses.replace(report, **found)
        if checked.status == "failed":
            raise OutputRejected(_failure(checked), report)
        if checked.status == "unverified" and not where:
            break
    return report


def _ignore(what: str, share: float) -> None:
    """Tell nobody."""


def _written(
    model: ir.Model, output: str | os.PathLike[str] | None, force: bool
) -> contextlib.AbstractContextManager[Path]:
    if output is None:
        return saving.temporary(model)
    return saving.staged(model, output, force=force)


def _failure(checked: Verification) -> str:
    wrong = [output for output in checked.outputs if not output.passed]
    worst = max(wrong, key=lambda output: output.max_rel)
    what = checked.reason or (
        f"{len(wrong)} of {len(checked.outputs)} outputs differ, most of all {worst.name!r} "
        f"by {worst.max_abs:.2g} (rtol {worst.rtol:.2g}, atol {worst.atol:.2g})"
    )
    where = f" in ONNX Runtime {checked.runtime}" if checked.runtime else ""
    return f"verification failed{where}, no output was written: {what}"
