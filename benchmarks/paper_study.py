"""Runs the paper's study size by size, and prints what was measured and what was not run."""

from __future__ import annotations

__all__ = ["BYTES", "LENGTHS", "Study"]

import argparse
import dataclasses
import datetime
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import onnx_ir as ir
from paper_limits import TimeLimit, free_memory, gibibytes
from paper_points import Subject, Timer
from paper_tables import Measured, Missing, heading, row, summary
from paper_variants import (
    VARIANTS,
    Workplace,
    dimensions,
    export_pair,
    make_variants,
    parameters,
    tokens,
)
from rich.console import Console

from graphopt.benchmarking import machine
from graphopt.benchmarking.captions import environment_line, method_line
from graphopt.benchmarking.execution import Execution
from graphopt.benchmarking.result import Benchmark, Point
from graphopt.benchmarking.timing import describe_method
from graphopt.errors import EnvironmentFailure, GraphoptError
from graphopt.files.loading import load
from graphopt.inputs import generate_inputs
from graphopt.runtime.library import find_library
from graphopt.runtime.sessions import create_session

DRAFTS = Path(__file__).parent.parent / ".model-cache" / "benchmarks"
BATCHES = {"vit": (1, 4, 16, 64, 256, 1024), "gpt": (1, 16)}
LENGTHS = (128, 512, 2048)
BYTES = {"float32": 4, "float16": 2}
"""Of a weight of each type."""


class Study:
    """Runs the study and prints it as it goes.

    Args:
        options: The choices of ``paper.py``.
        keep: Called with the points of a size so far when one more is measured.
    """

    def __init__(
        self, options: argparse.Namespace, keep: Callable[[Benchmark], None] | None = None
    ) -> None:
        self.options = options
        self.keep = keep
        self.results: list[Measured] = []
        self.missing: list[Missing] = []
        self.console = Console(stderr=True)
        self.status = self.console.status("")
        self.timer = Timer(
            options.duration, TimeLimit(options.limit), self.memory, self.status.update
        )
        self.executions = {p: self.execution(p) for p in options.providers if self.starts(p)}
        self.kinds = [
            (dtype, [p for p in self.executions if self.is_wanted(dtype, p)])
            for dtype in options.dtypes or BYTES
        ]

    def run(self) -> None:
        """Measures size by size and prints each point when it is done; then the summary."""
        print(heading(), flush=True)
        DRAFTS.mkdir(parents=True, exist_ok=True)
        with self.status:
            for size in self.options.sizes:
                for dtype, providers in self.kinds:
                    fitting = [p for p in providers if self.fits(size, dtype, p)]
                    if fitting:
                        self.run_models(size, dtype, fitting)
        print("", *summary(self.results), sep="\n")
        if self.missing:
            print("\nNot run:")
        for missing in self.missing:
            print(f"- {missing.what}: {missing.reason}")
        for provider in self.executions:
            points = [m.point for m in self.results if m.point.provider == provider]
            if points:
                result = self.benchmark(provider, provider, points)
                print(f"\n{provider}: {environment_line(result)}; {method_line(result)}")
        print(f"--ops {self.options.ops} --basis {self.options.basis}")

    def run_models(self, size: str, dtype: str, providers: Sequence[str]) -> None:
        """All points of one size in one type."""
        try:
            with tempfile.TemporaryDirectory(prefix=f"{size}-", dir=DRAFTS) as directory:
                self.status.update(f"{size}, {dtype}: exporting")
                pair = export_pair(size, dtype, Path(directory))
                for provider in providers:
                    self.run_variants(size, dtype, provider, *pair)
        except GraphoptError as error:
            self.missing.append(Missing(f"{size}, {dtype}", str(error)))

    def run_variants(
        self, size: str, dtype: str, provider: str, original: Path, wider: Path
    ) -> None:
        """All points of one size in one type on one execution provider."""
        fixed = tokens(size)
        lengths = self.options.lengths if fixed is None else [fixed]
        dims = dimensions(size, batch=1, length=min(lengths))
        directory = original.parent / provider
        directory.mkdir()
        place = Workplace(directory, provider, self.options.ops, self.options.basis, dims)
        model = load(original)
        self.status.update(f"{size}, {dtype}, {provider}: making the variants")
        made, failed = make_variants(
            original, wider, generate_inputs(model, dims=dims).arrays, place
        )
        subject = Subject(size, dtype, model, made, failed, self.executions[provider])
        self.missing += [Missing(f"{subject.name}, {f.model}", f.reason) for f in failed]
        first = len(self.results)
        for length in lengths:
            for found in self.timer.batches(subject, length, self.batches(size)):
                if isinstance(found, Missing):
                    self.missing.append(found)
                    continue
                self.results.append(found)
                print(row(found), flush=True)
                if self.keep:
                    self.keep(self.result(subject, [m.point for m in self.results[first:]]))
                self.missing += [
                    Missing(f"{subject.name}, batch {found.point.batch}, {f.model}", f.reason)
                    for f in found.point.failures
                    if f not in failed
                ]
        if self.options.json:
            self.save(subject, [measured.point for measured in self.results[first:]])

    def batches(self, size: str) -> Sequence[int]:
        """The batches to time for a size."""
        return self.options.batches or BATCHES[size.partition("-")[0]]

    def is_wanted(self, dtype: str, provider: str) -> bool:
        """False, and noted, for float16 on the CPU that nobody asked for."""
        if provider != "cpu" or dtype != "float16" or self.options.dtypes:
            return True
        reason = "most of it would be float32 between casts: --dtypes float16 runs it"
        self.missing.append(Missing("everything in float16 on cpu", reason))
        return False

    def fits(self, size: str, dtype: str, provider: str) -> bool:
        """False, and noted, where the weights alone take too much memory."""
        weights = parameters(size)
        sessions = len(VARIANTS) * weights * BYTES[dtype]
        # The exporter holds the weights once, in float32 before they are converted.
        export = weights * BYTES["float32"]
        host, device = self.memory("cpu"), self.memory(provider)
        if host is not None and export > host:
            reason = f"to export it takes {gibibytes(export)}, more than {gibibytes(host)}"
        elif device is not None and sessions > device:
            reason = (
                f"the weights of {len(VARIANTS)} sessions are {gibibytes(sessions)}, more than "
                f"{gibibytes(device)}"
            )
        else:
            return True
        self.missing.append(Missing(f"{size}, {dtype}, {provider}", f"{reason} (--memory)"))
        return False

    def memory(self, provider: str) -> int | None:
        """Bytes that sessions of a provider may take: what is free, or less if so chosen."""
        free, chosen = free_memory(provider), self.options.memory
        known = [size for size in (free, chosen and int(chosen * 2**30)) if size is not None]
        return min(known, default=None)

    def starts(self, provider: str) -> bool:
        """False, and noted, where ONNX Runtime cannot run anything on this provider."""
        model = ir.from_onnx_text(
            '<ir_version: 8, opset_import: ["" : 17]> g (float[1] x) => (float[1] y) {y = Relu(x)}'
        )
        try:
            create_session(model, provider=provider)
        except EnvironmentFailure as error:
            self.missing.append(Missing(f"everything on {provider}", str(error)))
            return False
        return True

    def execution(self, provider: str) -> Execution:
        """How sessions of a provider are opened."""
        library = find_library(provider) if self.options.library else None
        return Execution(provider, self.options.threads, library)

    def save(self, subject: Subject, points: Sequence[Point]) -> None:
        """Writes points with their samples, in the form of ``graphopt bench --json``."""
        self.options.json.mkdir(parents=True, exist_ok=True)
        target = self.options.json / f"{subject.name.replace(', ', '-')}.json"
        target.write_text(self.result(subject, points).to_json())

    def result(self, subject: Subject, points: Sequence[Point]) -> Benchmark:
        """The points of a size with its variants."""
        result = self.benchmark(subject.name, subject.execution.provider, points)
        models = tuple(candidate.info for candidate in subject.variants)
        return dataclasses.replace(result, models=models)

    def benchmark(self, title: str, provider: str, points: Sequence[Point]) -> Benchmark:
        """Points of one execution provider, with the machine and the method."""
        execution = self.executions[provider]
        settings = self.timer.settings(execution)
        return Benchmark(
            title=title,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            environment=machine.describe(library=execution.library, cuda=provider == "cuda"),
            method=describe_method(settings),
            models=(),
            points=tuple(points),
        )
