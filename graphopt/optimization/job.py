"""The job, for choices that are one value: load, optimize, write, verify, publish, report."""

from __future__ import annotations

__all__ = ["ModelOrPath", "Result", "inspect_for", "optimize_for"]

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx_ir as ir

from graphopt import reporting
from graphopt.cautions import cautions
from graphopt.errors import EnvironmentFailure, ModelError
from graphopt.files import loading, saving
from graphopt.files.check_functions import check_functions
from graphopt.files.digests import Digests
from graphopt.optimization import metadata
from graphopt.optimization.checking import verified
from graphopt.options import Check
from graphopt.passes import pipeline
from graphopt.passes.operators.custom_ops import has_custom_operators
from graphopt.passes.pipeline import Options
from graphopt.passes.report import PlanSummary, Progress, undone
from graphopt.passes.targets import provider_named
from graphopt.readers import readers
from graphopt.reporting import Report
from graphopt.verification import Original, Verification

ModelOrPath = ir.Model | str | os.PathLike[str]


@dataclasses.dataclass(frozen=True)
class Result:
    """An optimized model and the report on it.

    The model's weights are computed when they are read, from the files of the input, which must
    stay in place as long as the model is used. :func:`graphopt.save` writes it.
    """

    model: ir.Model
    report: Report


def optimize_for(
    model: ModelOrPath,
    options: Options,
    *,
    check: Check | None,
    output: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Progress | None = None,
    original: Original | None = None,
    announce: Callable[[PlanSummary], None] | None = None,
    accept: Callable[[Report, Path], Report] | None = None,
) -> Result:
    """What :func:`graphopt.optimize` does, for choices that are one value.

    Args:
        model: Path of an ONNX file, or a model in memory. Neither is changed.
        options: What to make.
        check: How to verify the result; None does not.
        output: File to write. None writes none.
        force: Replace an existing output.
        progress: Called as the work advances.
        original: ``model``, loaded and perhaps run already, for several results of one model: the
            result is held against it, on its own sample.
        announce: Called with the plan, when all is decided and nothing is written or run yet.
        accept: Called with the report and the file before it gets its name, where one is written;
            returns the report to go on with, or raises, and nothing is written.
    """
    advance = progress or _ignore
    clock = _Clock()
    with clock.stage("load"):
        advance("load", 0.0)
        path = None if isinstance(model, ir.Model) else Path(model)
        loaded = _loaded(model) if original is None else original.model
        if output is not None:
            saving.check_target(loaded, output, force=force)
        given = reporting.describe(loaded, loading.source_of(loaded))
    with clock.stage("optimize"):
        digests, optimized = None, loaded.clone()
        plan, records = pipeline.run(optimized, options, advance)
        if pipeline.is_left_as_it_was(plan, records):
            optimized, records = loaded.clone(), undone(records)
        else:
            _sign(optimized, options)
            # The files are read once more while the result is written and verified.
            digests = Digests(_files(loading.source_of(loaded)))
    report = Report(
        input=given,
        output=reporting.describe(optimized, None),
        variant=options.variant,
        ops=options.operators.name,
        target=options.target,
        provider=options.provider,
        plan=plan,
        passes=records,
        verification=None,
        verification_with_kernels=None,
        verification_on_cuda=None,
        has_custom_operators=has_custom_operators(optimized),
        cautions=cautions(optimized, options, plan, loaded.metadata_props),
        readers=readers(optimized),
        speedup=None,
        tuning=None,
        environment=reporting.environment(),
        seconds=clock.seconds,
    )
    if announce is not None:
        announce(plan)
    # Closing the stack moves the output into place; an error on the way leaves nothing of it.
    with contextlib.ExitStack() as files:
        if check is not None or output is not None:
            with clock.stage("write"):
                advance("write", 0.0)
                candidate = files.enter_context(_written(optimized, output, force))
        if check is not None:
            with clock.stage("verify"):
                advance("verify", 0.0)
                base = original or files.enter_context(Original(loaded, check.sample, path=path))
                report = verified(report, base, candidate, check)
        if accept is not None and output is not None:
            with clock.stage("measure"):
                report = accept(report, candidate)
        if digests is not None:
            signature = metadata.made_from(_waited(digests))
            signature |= metadata.verified_by(_for_its_target(report))
            if check is not None or output is not None:
                saving.append_metadata(candidate, signature)
            optimized.metadata_props.update(signature)
    if output is not None:
        source = loading.Source(Path(output), saving.data_files(optimized, output))
        report = dataclasses.replace(report, output=reporting.describe(optimized, source))
    return Result(optimized, report)


def inspect_for(model: ModelOrPath, options: Options) -> PlanSummary:
    """What :func:`graphopt.inspect` does, for choices that are one value."""
    planned = _loaded(model)
    if planned is model:
        planned = planned.clone()
    return pipeline.analyse(planned, options)


def _sign(model: ir.Model, options: Options) -> None:
    """Say in a model what it was made with, and no longer what it was made with before."""
    kept = metadata.without_signature(model.metadata_props)
    made = metadata.made_with(model, options)
    model.metadata_props.clear()
    model.metadata_props.update({**kept, **made})


def _files(source: loading.Source | None) -> tuple[Path, ...]:
    return () if source is None else (source.path, *source.data_files)


def _waited(digests: Digests) -> tuple[str, ...]:
    try:
        return digests.wait()
    except OSError as error:
        raise EnvironmentFailure(
            f"{error.filename or 'the input'}: cannot be read ({error.strerror or error}): "
            "check the file and the disk"
        ) from error


def _for_its_target(report: Report) -> Verification | None:
    """The check on what the result was made for."""
    checked: Verification | None = getattr(report, provider_named(report.provider).checked_as)
    return checked


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


def _ignore(what: str, share: float) -> None:
    """Tell nobody."""


def _written(
    model: ir.Model, output: str | os.PathLike[str] | None, force: bool
) -> contextlib.AbstractContextManager[Path]:
    if output is None:
        return saving.temporary(model)
    return saving.staged(model, output, force=force)
