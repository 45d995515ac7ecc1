"""Runs a benchmark: makes the models, tries each, and times them point by point."""

from __future__ import annotations

__all__ = ["benchmark", "run_benchmark"]

import dataclasses
import datetime
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from graphopt.benchmarking import machine
from graphopt.benchmarking.baseline import check_made, check_named
from graphopt.benchmarking.candidates import Candidate
from graphopt.benchmarking.contenders import compared
from graphopt.benchmarking.execution import Execution, check_start, choose_execution
from graphopt.benchmarking.grid import Place, batch_size, build_grid
from graphopt.benchmarking.half_precision import convert_to_float16, fit_precision, weight_type
from graphopt.benchmarking.result import (
    Benchmark,
    BenchmarkEnvironment,
    Failure,
    ModelInfo,
    Point,
)
from graphopt.benchmarking.settings import Settings
from graphopt.benchmarking.timing import describe_method, time_point, with_failure
from graphopt.errors import ModelError, UsageError
from graphopt.files import parsing
from graphopt.files.loading import load
from graphopt.inputs import generate_inputs
from graphopt.passes.report import Progress
from graphopt.passes.targets import provider_named

ModelPath = str | os.PathLike[str]
Keep = Callable[[Benchmark], None]


def benchmark(
    models: ModelPath | Sequence[ModelPath],
    *,
    progress: Progress | None = None,
    keep: Keep | None = None,
    **settings: Any,
) -> Benchmark:
    """Compares models in ONNX Runtime: latency, memory, and the share of the norms' cost saved.

    Args:
        models: Model files. Of one, the candidates are made: what :func:`graphopt.optimize` makes
            with each variant. The first of several is the original of the others.
        progress: Called as the work advances.
        keep: Called with the result so far whenever a place of the grid is done: what is saved then
            is not lost with a run that is ended.
        **settings: The attributes of :class:`graphopt.benchmarking.settings.Settings`.

    Returns:
        The result, with the raw samples.

    Raises:
        UsageError: A setting cannot be used, or does not fit the model.
        ModelError: A file is missing, or the first model cannot be read or run.
        EnvironmentFailure: ONNX Runtime is missing, or a provider does not start.
    """
    if "shapes" in settings:  # the older name
        settings["input_shapes"] = settings.pop("shapes")
    return run_benchmark(models, Settings(**settings), progress, keep=keep)


def run_benchmark(
    models: ModelPath | Sequence[ModelPath],
    settings: Settings,
    progress: Progress | None = None,
    *,
    first: ir.Model | None = None,
    keep: Keep | None = None,
) -> Benchmark:
    """What :func:`benchmark` does, for settings that are one value.

    Args:
        models: Model files.
        settings: The choices.
        progress: Called as the work advances.
        first: The first model, where it was loaded already.
        keep: Called with the result so far whenever a place of the grid is done.
    """
    paths = [Path(models)] if isinstance(models, str | os.PathLike) else [Path(m) for m in models]
    if not paths:
        raise UsageError("there is nothing to measure: give at least one model")
    for path in paths:
        if not path.is_file():
            raise ModelError(f"{path}: there is no such file: check the path")
    for path in paths[1:]:
        parsing.read(path)  # a file that holds no model is no candidate that fails
    if settings.dtypes and len(paths) > 1:
        raise UsageError(
            "--dtype converts the one model that candidates are made of: give one MODEL"
        )
    with tempfile.TemporaryDirectory(prefix="graphopt-bench-") as directory:
        model = load(paths[0]) if first is None else first
        run = _Run(settings, paths, model, Path(directory), progress or _ignore)
        return run.result(keep or _forget)


class _Run:
    """One benchmark while it runs."""

    def __init__(
        self,
        settings: Settings,
        paths: Sequence[Path],
        first: ir.Model,
        directory: Path,
        progress: Progress,
    ) -> None:
        self.settings = settings
        self.paths = paths
        self.directory = directory
        self.progress = progress
        self.first = model = first
        self.dtype = weight_type(model)
        self.places, self.notes = build_grid(
            model,
            batches=settings.batches,
            lengths=settings.lengths,
            dims=settings.dims,
            input_shapes=settings.input_shapes,
            arrays=settings.inputs,
        )
        check_named(settings, paths)
        self.dtypes = tuple(dict.fromkeys(settings.dtypes)) or (self.dtype,)
        self.executions = {}
        for provider in settings.providers:
            self.executions[provider], notes = choose_execution(provider, settings)
            self.notes += notes
        self.models: dict[str, ModelInfo] = {}
        self.points: list[Point] = []
        self.done = 0

    def result(self, keep: Keep) -> Benchmark:
        library = next(iter(self.executions.values())).library
        environment = machine.describe(
            library=library, cuda=any(provider_named(p).is_device for p in self.executions)
        )
        for execution in self.executions.values():
            check_start(execution)  # before any work is done
        for dtype, source in [(dtype, self._source(dtype)) for dtype in self.dtypes]:
            for execution in self.executions.values():
                for _ in self._measure(source, dtype, execution):
                    keep(self._so_far(environment))
        return self._so_far(environment)

    def _so_far(self, environment: BenchmarkEnvironment) -> Benchmark:
        return Benchmark(
            title=self.paths[0].stem,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            environment=environment,
            method=describe_method(self.settings),
            models=tuple(self.models.values()),
            points=tuple(self.points),
            notes=tuple(dict.fromkeys(self.notes)),
        )

    def _measure(self, source: Path, dtype: str, execution: Execution) -> Iterator[Place]:
        """Adds the points of one type and provider; one that fails costs no other but the first.

        Yields each place when its points are there.
        """
        model = self.first if source == self.paths[0] else load(source)
        candidates: list[Candidate] = []
        failures: list[Failure] = []
        for place in self.places:
            inputs, dims = self._inputs(model, place)
            if not candidates:  # made once, for the first place
                made = compared(
                    model,
                    source,
                    execution,
                    place,
                    self.directory / dtype / execution.provider,
                    paths=self.paths,
                    settings=self.settings,
                    announce=lambda what: self._advance(what, 0),
                )
                candidates, failures = made.candidates, made.failures
                self.notes += made.notes
                self.models |= {candidate.info.name: candidate.info for candidate in candidates}
                check_made(self.settings.baseline, candidates, failures)
            point = Point(
                provider=execution.provider,
                threads=0,
                dtype=dtype,
                batch=batch_size(inputs, dims),
                dims=dims,
                shapes={name: array.shape for name, array in inputs.items()},
                baseline=self.settings.baseline or candidates[0].info.name,
                rows=(),
                failures=tuple(failures),
            )
            try:
                self.points += time_point(
                    point, candidates, inputs, execution, self.settings, self._advance
                )
            except ModelError as error:
                if not self.points:
                    raise
                point = with_failure(point, error)
                for threads in self.settings.threads:
                    self.points.append(dataclasses.replace(point, threads=threads))
            self.done += len(self.settings.threads)
            yield place

    def _source(self, dtype: str) -> Path:
        """The original in this type."""
        if dtype == self.dtype:
            return self.paths[0]
        if dtype != "float16" or self.dtype != "float32":
            raise UsageError(f"{self.paths[0]}: its weights are {self.dtype}: leave --dtype out")
        target = self.directory / dtype / self.paths[0].name
        target.parent.mkdir(parents=True)
        self._advance("converting to float16", 0)
        self.notes.append(convert_to_float16(self.paths[0], target))
        return target

    def _inputs(
        self, model: ir.Model, place: Place
    ) -> tuple[dict[str, np.ndarray], dict[str, int]]:
        drawn = generate_inputs(
            model,
            seed=self.settings.seed,
            input_shapes=place.input_shapes,
            dims=place.dims,
            given=fit_precision(self.settings.inputs, model),
        )
        if drawn.defaulted:
            sizes = ", ".join(f"{name}={size}" for name, size in drawn.defaulted.items())
            self.notes.append(f"chosen by default: {sizes} (--dim gives others)")
        return drawn.arrays, drawn.dims

    def _advance(self, what: str, points: float) -> None:
        """Reports progress; ``points`` is how many points of this place are done."""
        per_execution = len(self.places) * len(self.settings.threads)
        total = per_execution * len(self.dtypes) * len(self.executions)
        self.progress(what, min(1.0, (self.done + points) / total))


def _ignore(what: str, share: float) -> None:
    """Tell nobody."""


def _forget(so_far: Benchmark) -> None:
    """Keep nothing."""
