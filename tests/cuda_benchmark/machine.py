"""A machine that runs steps as told, and what it measures."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import ModuleType
from typing import Any

from graphopt import Benchmark
from graphopt.benchmarking.result import BenchmarkEnvironment, Method
from tests.graphopt.benchmarking.benchmark_values import MODELS, point

ROOT = Path(__file__).parents[2]
HERE = BenchmarkEnvironment(
    "EPYC", 16, "Linux x86_64", "H100 (driver 1)", "1.32.0", "0.1", "3.12", ""
)
ELSEWHERE = dataclasses.replace(HERE, gpu="L4 (driver 1)")


def measured(title: str = "vit", *batches: int, **changes: Any) -> Benchmark:
    method = Method("wall", 6, 1, 0.95, 2000, 0, False, True)
    points = tuple(point(batch, profiled=False, **changes) for batch in batches)
    return Benchmark(title, "2026-01-01T00:00:00+00:00", HERE, method, MODELS, points)


class Machine:
    """Runs steps as told, and has so many seconds, of which each takes ten."""

    def __init__(self, scripts: dict[str, ModuleType], path: Path, seconds: float = 1e3) -> None:
        self.running, self.records = scripts["cuda_running"], scripts["cuda_record"]
        self.path, self.seconds = path, seconds
        self.taken: list[str] = []
        self.lines: list[str] = []

    def take(
        self, names: str, ends: dict[str, tuple[int | None, str]], environment: Any = HERE
    ) -> Any:
        steps = [self.running.Planned(name, f"the {name}") for name in names.split()]

        def start(name: str, seconds: float) -> Any:
            self.taken.append(name)
            self.seconds -= min(10.0, seconds)
            return self.running.Ended(*ends.get(name, (0, f"{name} is well\n")))

        record = self.running.take(
            steps,
            self.path,
            environment,
            start=start,
            left=lambda: self.seconds,
            tell=self.lines.append,
        )
        assert record == self.records.Record.load(self.path)
        return record

    def statuses(self, record: Any, environment: Any = HERE) -> dict[str, str]:
        return {name: step.status for name, step in record.here(environment).steps.items()}
