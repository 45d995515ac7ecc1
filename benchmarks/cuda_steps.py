"""All that a GPU is needed for, in steps: the most valuable first."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
from cuda_running import Planned
from operator_blocks import NORMS, blocks_model, skip_simplified_layer_norm
from subjects import Subject, measure, model_file

from graphopt import Benchmark, GraphoptError, benchmark
from graphopt.native import build

__all__ = ["Place", "Skipped", "Step", "all_steps", "check_steps"]

ROOT = Path(__file__).parent.parent
BATCHES = (1, 8, 32)
DTYPES = ("float16", "float32")
PATCHES = 197
"""Rows of one image of a ViT."""
LENGTH = 128
"""Tokens of one text."""
NO_DEVICE = 2
"""Exit code of the harness."""

SUBJECTS = (
    Subject("ViT-B/16", "vit-b-16", {}, "vit"),
    Subject(f"BERT-base, {LENGTH} tokens", "bert-base", {"sequence": LENGTH}, "bert"),
    Subject(f"GPT-2, {LENGTH} tokens", "gpt2", {"sequence": LENGTH}, "gpt2"),
)
TINY = (Subject("ViT, tiny", "vit-ti-16-tiny", {}, "vit"),)
SIZES = ("vit-ti", "vit-b", "gpt-s", "vit-s", "vit-l")
"""Of the paper's study: those that fit in the time."""

QUICK: dict[str, Any] = {"iterations": 6, "openings": 6, "warmup": 1}

# Of one operator each: what stands in a Post-LN or Pre-LN block, then a norm alone.
BLOCK = {
    "Add, Add, LN": NORMS["Add, Add, LN"],
    "SkipLayerNormalization": NORMS["SkipLN"],
    "SkipSimplifiedLayerNormalization": skip_simplified_layer_norm,
    "graphopt.SkipRMSNorm": NORMS["SkipRMSNorm"],
}
ALONE = {
    "LayerNormalization": NORMS["LN"],
    "SimplifiedLayerNormalization": NORMS["SimplifiedLN"],
    "graphopt.RMSNorm": NORMS["RMSNorm"],
    "graphopt.CRMSNorm": NORMS["CRMSNorm"],
}


class Skipped(Exception):
    """A step lacks something; the message says what, and what to do."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a step is taken.

    Attributes:
        dry: On the CPU, with tiny models: what needs the device is left out.
        models: A folder of model files, or None.
        saved: What was measured already.
        keep: Saves what was measured.
    """

    dry: bool
    models: Path | None
    saved: tuple[Benchmark, ...]
    keep: Callable[[Benchmark], None]

    @property
    def provider(self) -> str:
        """What is measured on."""
        return "cpu" if self.dry else "cuda"

    def left(self, batches: Sequence[int]) -> tuple[int, ...]:
        """The batch sizes that are not done; of a dry run the first alone."""
        done = {point.batch for each in self.saved for point in each.points if point.rows}
        return tuple(batch for batch in batches[: 1 if self.dry else None] if batch not in done)

    def how_long(self, seconds: float) -> dict[str, Any]:
        """How long a point is measured."""
        return QUICK if self.dry else {"duration": seconds}


@dataclasses.dataclass(frozen=True)
class Step(Planned):
    """A step, and how it is taken.

    Attributes:
        run: Takes it, and prints what it has to say. Raises what it likes.
    """

    run: Callable[[Place], None]


def check_steps() -> list[Step]:
    """The kernels, the sessions and the captured graphs: are they right?"""
    return [
        Step("harness", "the kernels against float64, and their times", harness),
        Step("library", "the library for CUDA", library),
        Step("sessions", "sessions and captured graphs", sessions),
        Step("memory", "the kernels touch only memory that is theirs", memory),
    ]


def all_steps(dry: bool = False) -> list[Step]:
    """The checks and the measurements, the most valuable first."""
    *checks, last = check_steps()
    subjects, sizes = (TINY, ("vit-demo",)) if dry else (SUBJECTS, SIZES)
    forms = [(dtype, ops) for ops, dtype in itertools.product(("custom", "ort"), DTYPES)]
    if dry:  # each form of a step once
        forms = [("float32", "custom"), ("float16", "ort")]
    models = [[model(subject, dtype, ops) for subject in subjects] for dtype, ops in forms]
    dtypes = DTYPES[:1] if dry else DTYPES
    return [
        *checks,
        *models[0],
        *(operators(dtype) for dtype in dtypes),
        *itertools.chain(*models[1:]),
        model(subjects[0], "float16", "custom", captured=True),
        *(study(size, dtype) for size, dtype in itertools.product(sizes, dtypes)),
        last,
    ]


def harness(place: Place) -> None:
    """Compiles and runs harness.cu: without a device it says so."""
    try:
        gpus = ("-arch=sm_80",) if place.dry else ("-arch=native",)
        command = build.nvcc_command(gpus)
    except build.BuildFailure as failure:
        raise Skipped(str(failure)) from failure
    sources = [str(build.SOURCES / name) for name in ("harness.cu", "cuda_rows.cu")]
    with tempfile.TemporaryDirectory() as directory:
        program = str(Path(directory, "harness"))
        _run([*command, *sources, "-o", program])
        _run([program], accepted=(0, NO_DEVICE) if place.dry else (0,))


def library(place: Place) -> None:
    """Builds the library, where it is not newer than its sources."""
    if place.dry:
        print("the library for CUDA is not built in a dry run; the harness compiles its kernels")
        return
    try:
        print(build.build("cuda", only_if_changed=True))
    except build.BuildFailure as failure:
        if not build.find_nvcc() or not build.find_compiler():
            raise Skipped(str(failure)) from failure
        raise


def sessions(place: Place) -> None:
    """The tests that run the kernels in ONNX Runtime."""
    _pytest(place, "tests/native/test_cuda_sessions.py")


def memory(place: Place) -> None:
    """The harness under compute-sanitizer."""
    if place.dry:
        print("compute-sanitizer needs the device")
        return
    _pytest(place, "tests/native/test_cuda.py", "-k", "touch_only")


def operators(dtype: str) -> Step:
    """The operators alone, in a row."""
    title = f"the operators alone, {dtype}"
    return Step(f"operators.{dtype}", title, functools.partial(_operators, dtype))


def _operators(dtype: str, place: Place) -> None:
    d = 64 if place.dry else 768
    for blocks in (BLOCK, ALONE):
        if next(iter(blocks)) in {each.title for each in place.saved}:
            continue
        with tempfile.TemporaryDirectory() as directory:
            paths = []
            for name, block in blocks.items():
                paths.append(Path(directory, f"{name}.onnx"))
                onnx.save(blocks_model(block, d, dtype)[0], paths[-1])
            place.keep(
                benchmark(
                    paths,
                    providers=(place.provider,),
                    dims={"rows": (8,) if place.dry else tuple(PATCHES * b for b in BATCHES)},
                    floor=False,
                    **place.how_long(3.0),
                )
            )


def model(subject: Subject, dtype: str, ops: str, *, captured: bool = False) -> Step:
    """A model, and what graphopt and others make of it."""
    how = ", CUDA graphs" if captured else ""
    return Step(
        f"{subject.name}.{dtype}.{ops}{'.captured' if captured else ''}",
        f"{subject.label}, {dtype}, --ops {ops}{how}",
        functools.partial(_model, subject, dtype, ops, captured),
    )


def _model(subject: Subject, dtype: str, ops: str, captured: bool, place: Place) -> None:
    if captured and place.dry:
        print("CUDA graphs need the device")
        return
    batches = place.left(BATCHES[:1] if captured else BATCHES)
    if not batches:
        return
    measure(
        subject,
        find_model(subject, place.models),
        batches,
        providers=(place.provider,),
        dtypes=(dtype,),
        ops=ops,
        # Others' models are the same whatever graphopt may use, and take as long to make.
        peers=ops == "custom" and not captured,
        floor=False,
        no_fuse=False,
        cuda_graph=captured,
        keep=place.keep,
        **place.how_long(4.0),
    )


def find_model(subject: Subject, folder: Path | None) -> Path:
    """The file of a model: brought, exported before, or exported now.

    Raises:
        Skipped: It was not brought, and cannot be exported here.
    """
    name = f"{subject.name}.onnx"
    for path in [folder / name, folder / subject.name / name] if folder else []:
        if path.is_file():
            return path
    try:
        return model_file(subject)
    except (GraphoptError, ImportError) as error:
        raise Skipped(
            f"{name} cannot be exported here ({error}): where PyTorch and transformers are, run "
            f'"graphopt export {subject.name} -o DIR/{name}", and give DIR as MODELS'
        ) from error


def study(size: str, dtype: str) -> Step:
    """A size of the paper's study."""
    return Step(
        f"study.{size}.{dtype}",
        f"the paper's study, {size}, {dtype}",
        functools.partial(_study, size, dtype),
    )


def _study(size: str, dtype: str, place: Place) -> None:
    batches = place.left(BATCHES)
    if not batches:
        return
    try:
        import paper
        import paper_study
        import paper_variants
    except ImportError as error:
        raise Skipped(
            f"the models of the study are made by PyTorch, and cannot be brought: {error}"
        ) from error
    if place.dry:
        paper_variants.SIZES["vit-demo"] = "paper-vit-demo"
    options: argparse.Namespace = paper.options(
        [
            *("--sizes", size, "--dtypes", dtype, "--providers", place.provider),
            *("--batches", ",".join(map(str, batches)), "--lengths", str(LENGTH)),
            *("--duration", "1" if place.dry else "4", "--limit", "60"),
        ]
    )
    made = paper_study.Study(options, keep=place.keep)
    made.run()
    if not made.results:
        reasons = [f"{missing.what}: {missing.reason}" for missing in made.missing]
        raise Skipped("; ".join(reasons) or "there was nothing to measure")


def _pytest(place: Place, *arguments: str) -> None:
    how = ["--collect-only", "-q"] if place.dry else ["-q", "-p", "no:cacheprovider"]
    printed = _run([sys.executable, "-m", "pytest", *arguments, *how])
    if not place.dry and not re.search(r"\d+ passed", printed):
        reasons = re.findall(r"SKIPPED .*?: (.*)", printed)
        raise Skipped(reasons[0] if reasons else "pytest ran no test")


def _run(command: Sequence[str], accepted: Sequence[int] = (0,)) -> str:
    """Runs a command of which nothing else is asked, and prints what it printed."""
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    print(done.stdout, flush=True)
    if done.returncode not in accepted:
        last = [line for line in done.stdout.splitlines() if line.strip()][-1:]
        raise RuntimeError(
            f"{Path(command[0]).name} ended with {done.returncode}: {''.join(last)}".strip()
        )
    return done.stdout
