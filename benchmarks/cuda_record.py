"""What was measured on GPUs, in one JSON file: saved after every point, and read to go on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from subjects import write_whole

from graphopt import Benchmark, UsageError
from graphopt.benchmarking.result import BenchmarkEnvironment
from graphopt.json_values import fields_of, from_plain, to_json

__all__ = ["SCHEMA", "Outcome", "Record", "Run", "Status"]

SCHEMA = "graphopt.cuda-results/1"

Status = Literal["done", "failed", "skipped", "unfinished"]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a step.

    Attributes:
        status: ``done``; ``failed``; ``skipped``, where something is missing; or ``unfinished``,
            where it was ended before its end.
        reason: Why it is not done, in one line, else "".
        text: The last that it printed.
        seconds: What it took.
        benchmarks: What it measured, a value for each time that it was gone on with.
    """

    status: Status
    reason: str = ""
    text: str = ""
    seconds: float = 0.0
    benchmarks: tuple[Benchmark, ...] = ()


@dataclasses.dataclass(frozen=True)
class Run:
    """The steps on one machine with one set of versions.

    Attributes:
        environment: The machine and the versions.
        steps: What came of each step, by its name.
    """

    environment: BenchmarkEnvironment
    steps: Mapping[str, Outcome] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Record:
    """All that the file holds.

    Attributes:
        runs: One for each machine and set of versions, the latest last.
    """

    runs: tuple[Run, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Record:
        """What was saved; nothing where there is no file.

        Raises:
            UsageError: The file is no such record. It is left as it is.
        """
        if not path.exists():
            return cls()
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            schema = data.get("schema") if isinstance(data, dict) else None
            if schema != SCHEMA:
                raise ValueError(f"its schema is {schema!r}, not {SCHEMA!r}")
            record: Record = from_plain(cls, data, "record")
        except ValueError as error:
            raise UsageError(
                f"{path}: is no record of CUDA results: {error}; move it away to begin anew"
            ) from error
        return record

    def here(self, environment: BenchmarkEnvironment) -> Run:
        """The run on this machine with these versions; an empty one where there was none."""
        found = [run for run in self.runs if run.environment == environment]
        return found[0] if found else Run(environment)

    def with_step(self, environment: BenchmarkEnvironment, name: str, outcome: Outcome) -> Record:
        """The record with what came of a step; the run of it is the latest now."""
        run = self.here(environment)
        run = dataclasses.replace(run, steps={**run.steps, name: outcome})
        others = [each for each in self.runs if each.environment != environment]
        return Record((*others, run))

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_whole(path, to_json({"schema": SCHEMA, **fields_of(self)}))
