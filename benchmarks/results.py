"""The results tables of docs/results.md: zoo models, what graphopt makes of them, other optimizers.

    python benchmarks/results.py [--minutes 25] [--quick] [MODEL ...]

Each model is measured at batch 1 and 8, on one and two threads, beside its norm-free floors and all
peers of `graphopt bench --peers`; some are measured quantized, beside the original quantized. Each
measurement is saved in .model-cache/results when it is done. What is saved is not measured again,
so that a run which the time did not suffice for is continued by the next one; what is still missing
is listed below the tables. Remove that folder after a change of the code. Models are exported once
into .model-cache/benchmarks, with random weights. Run it on a quiet machine. --quick measures tiny
models for seconds, and says only that everything works; its results are kept apart.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from geomeans import geometric_mean, shared
from markdown import ratio_cell, table
from subjects import CACHE, Subject, measure, model_file, write_whole

from graphopt import Benchmark, GraphoptError
from graphopt.benchmarking import machine
from graphopt.benchmarking.captions import environment_line, method_line
from graphopt.benchmarking.figures import captured_text, milliseconds
from graphopt.benchmarking.result import Point, Row
from graphopt.runtime.library import find_library

BATCHES = (1, 8)
THREADS = (1, 2)
PEERS = ("ort-transformers", "onnxslim", "optimize_for_ort")
COMPARED = ("rms", "rms no-fuse", "crms", "floor", "floor no-fuse", *PEERS)
ALONE = "rms no-fuse"
QUANTIZER = "dynamic"
QUICK = {"iterations": 6, "openings": 6, "warmup": 1}


# The light ones first: where the time ends, the fewest lack.
SUBJECTS = (
    Subject("ViT-Ti/16", "vit-ti-16", {}, "vit", int8=True),
    Subject("MiniLM-L6, 128 tokens", "minilm-l6", {"sequence": 128}, "bert"),
    Subject("ViT-S/16", "vit-s-16", {}, "vit"),
    Subject("CLIP ViT-B/32 vision", "clip-vit-b-32-vision", {}, "clip"),
    Subject("GPT-2, one token after 128", "gpt2-with-past", {"past_sequence": 128}, "gpt2"),
    Subject("Whisper-tiny encoder", "whisper-tiny-encoder", {}, "bart"),
    Subject("ViT-B/16", "vit-b-16", {}, "vit", int8=True),
    Subject("BERT-base, 128 tokens", "bert-base", {"sequence": 128}, "bert"),
    Subject("GPT-2, 128 tokens", "gpt2", {"sequence": 128}, "gpt2"),
    Subject("Pythia-160M, 128 tokens", "pythia-160m", {"sequence": 128}, "gpt_neox"),
)
TINY = (
    Subject("ViT, tiny", "vit-ti-16-tiny", {}, "vit", int8=True),
    Subject("BERT, tiny", "bert-base-tiny", {"sequence": 16}, "bert"),
)


@dataclasses.dataclass(frozen=True)
class Task:
    """One measurement: a model at a batch size, on each number of threads.

    Attributes:
        subject: The model.
        batch: The batch size.
        quantized: Measure the quantized forms, and not the floors and the peers.
        folder: Where the results of the run are saved.
    """

    subject: Subject
    batch: int
    quantized: bool
    folder: str

    def __str__(self) -> str:
        kind = f", {QUANTIZER}" if self.quantized else ""
        return f"{self.subject.label} at batch {self.batch}{kind}"

    @property
    def path(self) -> Path:
        """The file of the result."""
        kind = f".{QUANTIZER}" if self.quantized else ""
        return CACHE / self.folder / f"{self.subject.name}.batch-{self.batch}{kind}.json"

    def load(self) -> Benchmark | None:
        """What was saved, if it was measured on this machine with these versions."""
        if not self.path.exists():
            return None
        saved = Benchmark.from_json(self.path.read_text(encoding="utf-8"))
        here = machine.describe(library=find_library("cpu"), cuda=False)
        return saved if saved.environment == here else None

    def measure(self, how_long: dict[str, Any]) -> None:
        """Measure it, and save the result."""
        subject, begin = self.subject, time.monotonic()
        chosen = {"quantize": (QUANTIZER,), "floor": False, "no_fuse": False}
        try:
            result = measure(
                subject,
                model_file(subject),
                (self.batch,),
                threads=THREADS,
                **how_long,
                **(chosen if self.quantized else {"peers": True}),
            )
        except GraphoptError as error:
            print(f"{self}: {error}", flush=True)
            return
        write_whole(self.path, result.to_json())
        print(f"measured {self} in {time.monotonic() - begin:.0f} s", flush=True)


def main() -> None:
    """Measures what is missing, then prints the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = [subject.name for subject in SUBJECTS]
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"default: {' '.join(known)}")
    parser.add_argument("--minutes", type=float, default=25.0, help="end after about so many")
    parser.add_argument("--duration", type=float, default=15.0, help="seconds for each point")
    parser.add_argument("--quick", action="store_true", help="tiny models, a few calls of each")
    options = parser.parse_args()
    if unknown := set(options.models) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    subjects = [s for s in SUBJECTS if s.name in (options.models or known)]
    tasks = _tasks(TINY if options.quick else subjects, "results-quick" * options.quick)
    how_long = QUICK if options.quick else {"duration": options.duration}
    deadline = time.monotonic() + 60 * options.minutes
    for task in tasks:
        if task.load() is None and time.monotonic() < deadline:
            task.measure(how_long)
    print_tables(tasks)


def _tasks(subjects: Iterable[Subject], folder: str) -> list[Task]:
    tasks = [
        Task(subject, batch, quantized=False, folder=folder or "results")
        for batch, subject in itertools.product(BATCHES, subjects)
    ]
    quantized = [
        dataclasses.replace(task, quantized=True)
        for task in tasks
        if task.subject.int8 and task.batch == BATCHES[0]
    ]
    return [*tasks[: len(tasks) // 2], *quantized, *tasks[len(tasks) // 2 :]]


def print_tables(tasks: list[Task]) -> None:
    """The models in their order, the means, the quantized models; then how it was measured."""
    found = [(task, saved) for task in tasks if (saved := task.load()) is not None]
    found.sort(key=lambda each: tasks.index(dataclasses.replace(each[0], batch=BATCHES[0])))
    timed = [(task, point) for task, saved in found for point in saved.points if point.rows]
    plain = [(task, point) for task, point in timed if not task.quantized]
    headings = ["model", "batch", "threads", "original ms", *COMPARED]
    _print_table([*headings, "captured by the norms"], (cells(*each) for each in plain))
    points = [point for _, point in plain]
    headings = ["geometric means", "models", "rms to original"]
    _print_table([*headings, *(f"rms to {peer}" for peer in PEERS)], means(points))
    quantized = [(task, point) for task, point in timed if task.quantized]
    headings = ["model", "batch", "threads", "original ms", "original int8", "rms int8"]
    headings += ["rms int8 to original int8", "MB, int8", "error of original int8", "of rms int8"]
    _print_table(headings, (int8_cells(*each) for each in quantized))
    print("\nMilliseconds are medians; the others are ratios to the original, where no other model")
    print("is named, with their 95% intervals, in bold where they say faster or slower.")
    failures = {
        (task.subject.label, failure.model): failure.reason
        for task, saved in found
        for point in saved.points
        for failure in point.failures
    }
    for (label, model), reason in failures.items():
        print(f"{label}: {model} fails: {reason}")
    for line in dict.fromkeys(lines([saved for _, saved in found])):
        print(line)
    done = [task for task, _ in found]
    if missing := [str(task) for task in tasks if task not in done]:
        print(f"Not measured, for want of time: {'; '.join(missing)}.")


def cells(task: Task, point: Point) -> list[str]:
    """The texts of one line of the first table."""
    rows, failed = _rows(point), {failure.model for failure in point.failures}
    texts = _place(task, point)
    for name in COMPARED:
        texts.append(ratio_cell(rows[name].ratio) if name in rows else "fails" * (name in failed))
    # Where nothing but norms was changed, rms has their share itself.
    shares = [rows[name].captured for name in (ALONE, "rms") if name in rows]
    share = next((share for share in shares if share), None)
    return [*(text or "-" for text in texts), captured_text(share) if share else "-"]


def means(points: list[Point]) -> Iterator[list[str]]:
    """A line for each batch size and number of threads."""
    for batch, threads in itertools.product(BATCHES, THREADS):
        here = [point for point in points if (point.batch, point.threads) == (batch, threads)]
        here = [point for point in here if "rms" in _rows(point)]
        if not here:
            continue
        texts = [f"batch {batch}, {threads} thread{'s' * (threads > 1)}", str(len(here))]
        texts.append(ratio_cell(geometric_mean(here, "rms", here[0].baseline)))
        for peer in PEERS:
            both = shared(here, "rms", peer)
            less = f" ({len(both)} models)" if len(both) < len(here) else ""
            texts.append(f"{ratio_cell(geometric_mean(both, 'rms', peer))}{less}" if both else "-")
        yield texts


def int8_cells(task: Task, point: Point) -> list[str]:
    """The texts of one line of the table of quantized models."""
    rows = _rows(point)
    names = [f"{name} {QUANTIZER}" for name in ("original", "rms")]
    if any(name not in rows for name in names):
        return [*_place(task, point), *["fails"] * 6]
    original, rms = (rows[name] for name in names)
    assert rms.quantized_ratio is not None
    size = f"{(original.file_bytes or 0) / 1e6:.1f} and {(rms.file_bytes or 0) / 1e6:.1f}"
    errors = ("-" if row.error is None else f"{row.error:.2g}" for row in (original, rms))
    ratios = (original.ratio, rms.ratio, rms.quantized_ratio)
    return [*_place(task, point), *map(ratio_cell, ratios), size, *errors]


def lines(benchmarks: list[Benchmark]) -> Iterator[str]:
    """How and where it was measured, and what made the models."""
    for saved in benchmarks:
        for model in saved.models:
            if model.kind == "peer" or model.quantizer:
                what = model.quantizer or model.name
                made_by = model.source if model.quantizer else model.source.partition(",")[0]
                yield f"{what}: {made_by}"
    for saved in benchmarks:
        yield method_line(saved)
        yield environment_line(saved)


def _place(task: Task, point: Point) -> list[str]:
    original = _rows(point)[point.baseline]
    label, batch, threads = task.subject.label, str(point.batch), str(point.threads)
    return [label, batch, threads, milliseconds(original.p50)]


def _rows(point: Point) -> dict[str, Row]:
    return {row.model: row for row in point.rows}


def _print_table(headings: list[str], body: Iterable[list[str]]) -> None:
    print("", *table(headings, body), sep="\n")


if __name__ == "__main__":
    main()
