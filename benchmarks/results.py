"""The results table of the README: zoo models, what graphopt makes of them, and other optimizers.

    python benchmarks/results.py [--minutes 25] [MODEL ...]

Each model is measured at batch 1 and 8, on one and two threads, beside its norm-free floor and all
peers of `graphopt bench --peers`, and saved in .model-cache/results. What is saved is not measured
again, so that a run which the time did not suffice for is continued by the next one; what is still
missing is listed below the table. Remove that folder after a change of the code. Models are
exported once into .model-cache/benchmarks, with random weights. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

from graphopt import Benchmark, GraphoptError, benchmark
from graphopt.benchmarking import machine
from graphopt.benchmarking.captions import environment_line, method_line
from graphopt.benchmarking.figures import captured_text, milliseconds, ratio_text
from graphopt.benchmarking.result import Point
from graphopt.models import export
from graphopt.runtime.library import find_library

CACHE = Path(__file__).parent.parent / ".model-cache"
BATCHES = (1, 8)
THREADS = (1, 2)
COMPARED = ("rms", "crms", "floor", "ort-transformers", "onnxslim", "optimize_for_ort")


@dataclasses.dataclass(frozen=True)
class Subject:
    """A model of the table.

    Attributes:
        label: What the table calls it.
        name: Its name in the zoo.
        dims: Sizes of its symbolic dimensions, beside the batch.
        model_type: What onnxruntime.transformers calls its architecture.
    """

    label: str
    name: str
    dims: dict[str, int]
    model_type: str


# The light ones first: where the time ends, the fewest lack.
SUBJECTS = (
    Subject("ViT-Ti/16", "vit-ti-16", {}, "vit"),
    Subject("ViT-S/16", "vit-s-16", {}, "vit"),
    Subject("CLIP ViT-B/32 vision", "clip-vit-b-32-vision", {}, "clip"),
    Subject("GPT-2, one token after 128", "gpt2-with-past", {"past_sequence": 128}, "gpt2"),
    Subject("Whisper-tiny encoder", "whisper-tiny-encoder", {}, "bart"),
    Subject("ViT-B/16", "vit-b-16", {}, "vit"),
    Subject("GPT-2, 128 tokens", "gpt2", {"sequence": 128}, "gpt2"),
    Subject("Pythia-160M, 128 tokens", "pythia-160m", {"sequence": 128}, "gpt_neox"),
)


def main() -> None:
    """Measures what is missing, then prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = [subject.name for subject in SUBJECTS]
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"default: {' '.join(known)}")
    parser.add_argument("--minutes", type=float, default=25.0, help="end after about so many")
    parser.add_argument("--duration", type=float, default=15.0, help="seconds for each point")
    options = parser.parse_args()
    if unknown := set(options.models) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    subjects = [s for s in SUBJECTS if s.name in (options.models or known)]
    deadline = time.monotonic() + 60 * options.minutes
    for batch in BATCHES:
        for subject in subjects:
            if load(subject, batch) is None and time.monotonic() < deadline:
                measure(subject, batch, options.duration)
    print_table(subjects)


def measure(subject: Subject, batch: int, duration: float) -> None:
    """Measures one model at one batch size, and saves the result."""
    model = CACHE / "benchmarks" / subject.name / f"{subject.name}.onnx"
    begin = time.monotonic()
    if not model.exists():
        model.parent.mkdir(parents=True, exist_ok=True)
        export(subject.name, model)
    try:
        result = benchmark(
            model,
            batches=(batch,),
            dims={name: (size,) for name, size in subject.dims.items()},
            threads=THREADS,
            duration=duration,
            peers=True,
            model_type=subject.model_type,
        )
    except GraphoptError as error:
        print(f"{subject.label}, batch {batch}: {error}", flush=True)
        return
    path(subject, batch).parent.mkdir(parents=True, exist_ok=True)
    path(subject, batch).write_text(result.to_json(), encoding="utf-8")
    seconds = time.monotonic() - begin
    print(f"measured {subject.label}, batch {batch}, in {seconds:.0f} s", flush=True)


def path(subject: Subject, batch: int) -> Path:
    """Where the result of one model at one batch size is saved."""
    return CACHE / "results" / f"{subject.name}.batch-{batch}.json"


def load(subject: Subject, batch: int) -> Benchmark | None:
    """What was saved, if it was measured on this machine with these versions."""
    file = path(subject, batch)
    if not file.exists():
        return None
    saved = Benchmark.from_json(file.read_text(encoding="utf-8"))
    here = machine.describe(library=find_library("cpu"), cuda=False)
    return saved if saved.environment == here else None


def print_table(subjects: list[Subject]) -> None:
    """One line for each model, batch size and number of threads."""
    headings = ["model", "batch", "threads", "original ms", *COMPARED, "captured by rms"]
    print(f"\n| {' | '.join(headings)} |")
    print(f"|{' --- |' * len(headings)}")
    benchmarks, missing, failures = [], [], {}
    for subject in subjects:
        for batch in BATCHES:
            saved = load(subject, batch)
            if saved is None:
                missing.append(f"{subject.label} at batch {batch}")
                continue
            benchmarks.append(saved)
            for point in saved.points:
                print(f"| {' | '.join(cells(subject, point))} |")
                failures |= {(subject.label, f.model): f.reason for f in point.failures}
    print("\nMilliseconds are medians; the others are ratios to the original with their 95%")
    print("intervals, in bold where they say faster or slower.")
    for (label, model), reason in failures.items():
        print(f"{label}: {model} fails: {reason}")
    for line in dict.fromkeys(lines(benchmarks)):
        print(line)
    if missing:
        print(f"Not measured, for want of time: {', '.join(missing)}.")


def cells(subject: Subject, point: Point) -> list[str]:
    """The texts of one line."""
    rows = {row.model: row for row in point.rows}
    original = rows[point.baseline]
    texts = [subject.label, str(point.batch), str(point.threads), milliseconds(original.p50)]
    for name in COMPARED:
        if name not in rows:
            texts.append("fails")
        elif rows[name].verdict == "no difference":
            texts.append(ratio_text(rows[name].ratio))
        else:
            texts.append(f"**{ratio_text(rows[name].ratio)}**")
    share = rows["rms"].captured if "rms" in rows else None
    return [*texts, captured_text(share) if share else "-"]


def lines(benchmarks: list[Benchmark]) -> Iterator[str]:
    """How and where it was measured, and what made the models."""
    for saved in benchmarks:
        for model in saved.models:
            if model.kind == "peer":
                yield f"{model.name}: {model.source.partition(',')[0]}"
    for saved in benchmarks:
        yield method_line(saved)
        yield environment_line(saved)


if __name__ == "__main__":
    main()
