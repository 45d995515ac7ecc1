"""The result of a benchmark, as a value that can be printed, compared, drawn and saved.

A *point* is one place of the grid (execution provider, threads, type of the weights, sizes of the
inputs). All models of a point were timed in the same interleaved rounds, so ratios are taken within
a point and never across points.
"""

from __future__ import annotations

__all__ = [
    "SCHEMA",
    "Benchmark",
    "BenchmarkEnvironment",
    "Failure",
    "Method",
    "ModelInfo",
    "Point",
    "Row",
]

import dataclasses
from collections.abc import Mapping
from typing import Literal

from graphopt.errors import UsageError
from graphopt.json_values import fields_of, from_plain, parse_json, to_json
from graphopt.measuring.comparison import Verdict, verdict_on
from graphopt.measuring.intervals import Estimate
from graphopt.measuring.rounds import Clock
from graphopt.profiling.result import Profile

# The number is raised with a change that is not a mere addition of fields.
SCHEMA = "graphopt.benchmark/1"
_ADVICE = "give a file that graphopt bench --json wrote"

Kind = Literal["original", "optimized", "floor", "peer", "given"]


@dataclasses.dataclass(frozen=True)
class BenchmarkEnvironment:
    """Machine and software of a benchmark.

    Attributes:
        processor: Model of the CPU.
        cores: Logical cores that the process may use.
        system: Operating system and architecture.
        gpu: Model and driver of the GPU where a CUDA point was measured, else "".
        onnxruntime: Version of ONNX Runtime.
        graphopt: Version of graphopt.
        python: Version of Python.
        library: Kernel library that was registered, with its instruction set, else "".
    """

    processor: str
    cores: int
    system: str
    gpu: str
    onnxruntime: str
    graphopt: str
    python: str
    library: str

    def __str__(self) -> str:
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        parts = [f"{self.processor} ({cores})", self.gpu, f"ONNX Runtime {self.onnxruntime}"]
        parts += [f"graphopt {self.graphopt}", self.library or "no kernel library"]
        return ", ".join(part for part in parts if part)


@dataclasses.dataclass(frozen=True)
class Method:
    """How the samples were taken and the intervals computed.

    Attributes:
        clock: ``wall``, or ``thread_cpu`` for the CPU time of the calling thread.
        openings: Sessions of each model, opened one after the other.
        settle: Untimed calls of a model before its timed call in a round.
        confidence: Coverage of the intervals.
        resamples: Bootstrap samples of an interval.
        seed: Seed of the inputs, of the order of calls and of the resampling.
        cuda_graph: Whether CUDA graphs were replayed.
        tf32: Whether CUDA may multiply float32 in TF32.
    """

    clock: Clock
    openings: int
    settle: int
    confidence: float
    resamples: int
    seed: int
    cuda_graph: bool
    tf32: bool


@dataclasses.dataclass(frozen=True)
class ModelInfo:
    """A model that took part.

    Attributes:
        name: Name in the rows; unique.
        kind: ``original``, ``optimized`` by graphopt, norm-free ``floor``, ``peer`` (another
            optimizer's) or ``given`` by the user.
        source: Path of the file given, or what made it, with its version.
        quantizer: What quantized it, ``dynamic`` or ``matmul4``, or "". Its kind is that of the
            model that it was made of.
        quantized_from: Name of that model, or "".
    """

    name: str
    kind: Kind
    source: str
    quantizer: str = ""
    quantized_from: str = ""


@dataclasses.dataclass(frozen=True)
class Row:
    """One model at one point.

    Attributes:
        model: Name of the model.
        samples: Seconds of each timed call, [openings][rounds]; those at the same place in the
            rows of a point are from the same round.
        p50: Median seconds of a call.
        p90: 90th percentile of the seconds of a call.
        p99: 99th percentile of the seconds of a call.
        throughput: Items a second at the median; an item is one sample of the batch.
        ratio: Seconds of this model over those of the baseline, with its interval.
        captured: (baseline - model) / (baseline - floor), with its interval, where nothing but
            norms differs in the three; None where there is nothing to share, and where more was
            changed: by peers, by quantizing, by cleaning up attention.
        captured_reason: Why there is no share, else "".
        memory: Peak bytes that opening and running the model adds to a process of its own, on the
            device for CUDA, or None where it was not measured.
        nodes: Nodes on each execution provider, after ONNX Runtime's own optimization.
        profile: Where the time goes, or None where it was not asked for or failed.
        profile_reason: Why the profile failed, else "".
        quantized_ratio: For a quantized model, its seconds over those of the original quantized
            likewise, with its interval; else None.
        quantized_baseline: Name of the original quantized likewise, or "".
        file_bytes: Size of the model's file and its external data, or None.
        error: Root mean square of the difference of an output from the original's, relative to that
            of the original's output, over all draws, for the output where it is largest. Measured
            where models are quantized, but for floors; else None.
    """

    model: str
    samples: tuple[tuple[float, ...], ...]
    p50: float
    p90: float
    p99: float
    throughput: float
    ratio: Estimate
    captured: Estimate | None = None
    captured_reason: str = ""
    memory: int | None = None
    nodes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    profile: Profile | None = None
    profile_reason: str = ""
    quantized_ratio: Estimate | None = None
    quantized_baseline: str = ""
    file_bytes: int | None = None
    error: float | None = None

    @property
    def verdict(self) -> Verdict:
        """What the ratio says."""
        return verdict_on(self.ratio)


@dataclasses.dataclass(frozen=True)
class Failure:
    """A model that was not timed.

    Attributes:
        model: Name of the model.
        reason: One line: what failed.
    """

    model: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Point:
    """All models at one place of the grid.

    Attributes:
        provider: ``cpu`` or ``cuda``.
        threads: Intra-op threads of each session; 0 means one for each core.
        dtype: Type of the weights: ``float32``, ``float16`` or another.
        batch: Items that one call processes.
        dims: Size of each symbolic dimension of the inputs.
        shapes: Shape of each input.
        baseline: Name of the model that the others are divided by.
        rows: One row for each model that was timed.
        failures: The models that were not.
        stable: True where every warm-up ended because no model became faster any more.
    """

    provider: str
    threads: int
    dtype: str
    batch: int
    dims: Mapping[str, int]
    shapes: Mapping[str, tuple[int, ...]]
    baseline: str
    rows: tuple[Row, ...]
    failures: tuple[Failure, ...] = ()
    stable: bool = True


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """Models compared in ONNX Runtime over a grid.

    :meth:`to_json` writes these fields by these names, with ``schema`` first.

    Attributes:
        title: What was compared, for headings: the name of the first model's file.
        created: Time of the end in UTC, ISO 8601.
        environment: Machine and software.
        method: How it was measured.
        models: The models, the original first.
        points: The grid, in the order measured.
        notes: Lines to print below the table: sizes chosen by default, how float16 was made.
    """

    title: str
    created: str
    environment: BenchmarkEnvironment
    method: Method
    models: tuple[ModelInfo, ...]
    points: tuple[Point, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """This benchmark as JSON text."""
        return to_json({"schema": SCHEMA, **fields_of(self)})

    @classmethod
    def from_json(cls, text: str) -> Benchmark:
        """Reads what :meth:`to_json` wrote.

        Fields that this version does not know are ignored, as the schema allows additions.

        Raises:
            UsageError: The text is no benchmark, or one of another schema.
        """
        try:
            data = parse_json(text)
        except ValueError as error:
            raise UsageError(f"no benchmark, because no JSON ({error}): {_ADVICE}") from error
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema != SCHEMA:
            raise UsageError(
                f"no benchmark of this version: its schema is {schema!r}, not {SCHEMA!r}: {_ADVICE}"
            )
        try:
            result: Benchmark = from_plain(cls, data, "benchmark")
        except ValueError as error:
            raise UsageError(f"no benchmark ({error}): {_ADVICE}") from error
        return result
