"""The paper's study in ONNX Runtime: what Pre-RMSNorm and Pre-CRMSNorm gain, by size and batch.

    python benchmarks/paper.py
    python benchmarks/paper.py --sizes vit-ti,gpt-s --batches 1,4 --duration 5

"Pre-RMSNorm and Pre-CRMSNorm Transformers" (arXiv 2305.14858) times a ViT and a GPT family in five
variants (paper_variants.py says what each is). Without options these are its sizes, batches and
lengths, in float32 and float16, on the CPU and on CUDA. All variants of a point are timed in
interleaved rounds: a row has the median of pre-ln, and for each other variant the ratio to it with
a 95% bootstrap interval. Below stand the mean ratios beside the paper's, and what was not run,
with the reason: memory, time, or what this machine does not have. Run it on a quiet machine.

The paper's mixed precision is PyTorch's autocast, which leaves norms in float32; here float16 is
the type of all weights and activations. On the CPU, where ONNX Runtime is slow in it, it is run
only if --dtypes asks for it. pre-crms is in graphopt's orthonormal basis, or with --basis drop in
the paper's.
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import onnx_ir as ir
from paper_limits import TimeLimit, free_memory, gibibytes
from paper_points import Subject, Timer
from paper_tables import Measured, Missing, heading, row, summary
from paper_variants import (
    SIZES,
    VARIANTS,
    Workplace,
    dimensions,
    export_pair,
    make_variants,
    parameters,
    tokens,
)
from rich.console import Console

from graphopt.benchmark_result import Benchmark, BenchmarkEnvironment, Method, Point
from graphopt.benchmarking import machine
from graphopt.benchmarking.execution import Execution
from graphopt.benchmarking.timing import CONFIDENCE, RESAMPLES, SETTLE
from graphopt.errors import EnvironmentFailure, GraphoptError
from graphopt.inputs import generate_inputs
from graphopt.library import find_library
from graphopt.loading import load
from graphopt.options import BASES, OPERATOR_SETS, PROVIDERS
from graphopt.sessions import create_session

DRAFTS = Path(__file__).parent.parent / ".model-cache" / "benchmarks"
BATCHES = {"vit": (1, 4, 16, 64, 256, 1024), "gpt": (1, 16)}
LENGTHS = (128, 512, 2048)
BYTES = {"float32": 4, "float16": 2}
"""Of a weight of each type."""


class Study:
    """Runs the study and prints it as it goes."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
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
        for provider, execution in self.executions.items():
            clock = self.timer.settings(execution).clock.replace("_", " ").replace("cpu", "CPU")
            threads = f"{execution.threads or 'all'} threads, {clock} time"
            print(f"\n{provider}: {self.environment(provider)}, {threads}")
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
                else:
                    self.results.append(found)
                    print(row(found), flush=True)
        if self.options.json:
            self.save(subject, [measured.point for measured in self.results[first:]])

    def batches(self, size: str) -> Sequence[int]:
        """The batches to time for a size."""
        return self.options.batches or BATCHES[size.partition("-")[0]]

    def is_wanted(self, dtype: str, provider: str) -> bool:
        """False, and noted, for float16 on the CPU that nobody asked for."""
        if provider != "cpu" or dtype != "float16" or self.options.dtypes:
            return True
        reason = "ONNX Runtime is slow in it there: --dtypes float16 runs it"
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

    def environment(self, provider: str) -> BenchmarkEnvironment:
        """Machine and software of what was measured on a provider."""
        library = self.executions[provider].library
        return machine.describe(library=library, cuda=provider == "cuda")

    def save(self, subject: Subject, points: Sequence[Point]) -> None:
        """Writes points with their samples, in the form of ``graphopt bench --json``."""
        settings = self.timer.settings(subject.execution)
        result = Benchmark(
            title=subject.name,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            environment=self.environment(subject.execution.provider),
            method=Method(
                clock=settings.clock,
                openings=settings.openings,
                settle=SETTLE,
                confidence=CONFIDENCE,
                resamples=RESAMPLES,
                seed=settings.seed,
                cuda_graph=settings.cuda_graph,
                tf32=settings.tf32,
            ),
            models=tuple(candidate.info for candidate in subject.variants),
            points=tuple(points),
        )
        self.options.json.mkdir(parents=True, exist_ok=True)
        target = self.options.json / f"{subject.name.replace(', ', '-')}.json"
        target.write_text(result.to_json())


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the study that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=names(SIZES), default=list(SIZES), help=",".join(SIZES))
    parser.add_argument("--batches", type=numbers, help="default: the paper's")
    parser.add_argument("--lengths", type=numbers, default=LENGTHS, help="tokens of a GPT's item")
    parser.add_argument("--dtypes", type=names(BYTES), help="default: both, float16 not on the CPU")
    parser.add_argument("--providers", type=names(PROVIDERS), default=list(PROVIDERS))
    parser.add_argument("--threads", type=int, default=1, help="0: one for each core")
    parser.add_argument("--ops", choices=OPERATOR_SETS, default="custom")
    parser.add_argument("--basis", choices=BASES, default="orthonormal")
    parser.add_argument("--no-library", dest="library", action="store_false")
    parser.add_argument("--duration", type=float, default=60.0, help="seconds for each point")
    parser.add_argument("--limit", type=float, default=1200.0, help="longest seconds for a point")
    parser.add_argument("--memory", type=float, help="GiB for all sessions; default: what is free")
    parser.add_argument("--json", type=Path, metavar="DIRECTORY", help="keep the samples there")
    Study(parser.parse_args(arguments)).run()


def names(known: Iterable[str]) -> Callable[[str], list[str]]:
    """Reads a list such as ``vit-ti,gpt-s``."""

    def read(text: str) -> list[str]:
        chosen = text.split(",")
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r}: choose from {', '.join(known)}")
        return chosen

    return read


def numbers(text: str) -> list[int]:
    """Reads a list such as ``1,16``."""
    try:
        chosen = [int(number) for number in text.split(",")]
    except ValueError:
        chosen = []
    if not chosen or min(chosen) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give positive numbers, such as 1,16")
    return chosen


if __name__ == "__main__":
    main()
