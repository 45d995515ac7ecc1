"""The page of what was measured on GPUs, written from the record of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cuda_record import Outcome, Record, Run
from cuda_running import Planned
from markdown import ratio_cell, table

from graphopt import Benchmark
from graphopt.benchmarking.captions import method_line
from graphopt.benchmarking.figures import milliseconds
from graphopt.benchmarking.result import BenchmarkEnvironment, Point

__all__ = ["machine_line", "page"]

_HEAD = """\
# Results on CUDA

`make bench-cuda` measures all that needs an NVIDIA GPU, the most valuable first, for ten minutes,
and writes this page from `docs/results-cuda.json`; `make test-cuda` takes the checks alone. What is
saved there is not measured again on the same machine with the same versions: the next run goes on
where one ended. Where PyTorch is missing, bring the models (`MODELS=DIR`); where there is no
network, a folder of wheels (`WHEELS=DIR`). Without a GPU, or with `DRY_RUN=1`, the steps are taken
on the CPU with tiny models, and this page stays as it is.
"""
_NOTHING = """\
**Nothing has been measured yet**: no machine with a GPU has run this. nvcc compiles the kernels for
CUDA, and their code has run on the CPU, thread after thread; what they and the choices for
`--provider cuda` gain is not known.
"""
_RATIOS = """\
Milliseconds are medians. The other columns are ratios to the first, with 95% intervals, in bold
where they say faster or slower.
"""
_KINDS = (
    ("Operators alone", "operators."),
    ("The paper's study", "study."),
)


def page(record: Record, steps: Sequence[Planned]) -> str:
    """The page as Markdown.

    Args:
        record: What was measured.
        steps: All steps, in their order.
    """
    runs = [run for run in reversed(record.runs) if run.steps]
    parts = [_HEAD]
    if not runs:
        parts.append(_NOTHING)
    for run in runs:
        parts += ["\n".join(_run(run, steps)) + "\n"]
    return "\n".join(parts)


def _run(run: Run, steps: Sequence[Planned]) -> Iterator[str]:
    yield f"## {run.environment.gpu or 'No GPU'}"
    yield ""
    yield machine_line(run.environment)
    yield ""
    yield from table(["step", "what came of it"], (_judged(step, run) for step in steps))
    harness = run.steps.get("harness")
    if harness and (rows := [line for line in harness.text.splitlines() if line.startswith("|")]):
        yield from ("", "### The kernels alone", "", *rows)
    found = {step.name: _points(run.steps[step.name]) for step in steps if step.name in run.steps}
    models = {name: points for name, points in found.items() if not _kind(name)}
    titles = {step.name: step.title for step in steps}
    yield from _tables("Models", models, titles)
    for heading, beginning in _KINDS:
        of_kind = {name: points for name, points in found.items() if name.startswith(beginning)}
        yield from _tables(heading, of_kind, titles)
    methods = [method_line(b) for outcome in run.steps.values() for b in outcome.benchmarks]
    for line in dict.fromkeys(methods):
        yield from ("", line)


def machine_line(environment: BenchmarkEnvironment) -> str:
    """The machine and the versions that a run was made with."""
    cores = f"{environment.processor} ({environment.cores} cores), {environment.system}"
    versions = f"ONNX Runtime {environment.onnxruntime}, graphopt {environment.graphopt}"
    parts = (environment.gpu, cores, versions, f"Python {environment.python}")
    return ", ".join(part for part in parts if part)


def _judged(step: Planned, run: Run) -> list[str]:
    outcome = run.steps.get(step.name)
    if outcome is None:
        return [step.title, "not taken yet"]
    lacking = [reason for point in _points(outcome) if (reason := _lacking(point))]
    text = f"{outcome.status}{f': {outcome.reason}' if outcome.reason else ''}"
    return [step.title, "; ".join([text, *lacking]).replace("|", "/").replace("\n", " ")]


def _lacking(point: Point) -> str:
    """Which models were not timed at a point, and why."""
    reasons: dict[str, list[str]] = {}
    for failure in point.failures:
        reasons.setdefault(failure.reason, []).append(failure.model)
    place = f"batch {point.batch}"
    return "; ".join(f"{place}: no {', '.join(names)}: {r}" for r, names in reasons.items())


def _kind(name: str) -> str:
    beginnings = [beginning for _, beginning in _KINDS]
    return next((each for each in beginnings if name.startswith(each)), "")


def _points(outcome: Outcome) -> list[Point]:
    """The points of a step: of one that was tried again, the latest that was timed."""
    found: dict[tuple[object, ...], Point] = {}
    for benchmark in outcome.benchmarks:
        for point in benchmark.points:
            place = (_series(benchmark), tuple(sorted(point.shapes.items())), point.dtype)
            if point.rows or place not in found:
                found[place] = point
    return list(found.values())


def _series(benchmark: Benchmark) -> str:
    return benchmark.title


def _tables(heading: str, steps: dict[str, list[Point]], titles: dict[str, str]) -> Iterator[str]:
    """A table for the steps that timed the same models."""
    groups: dict[tuple[str, ...], list[list[str]]] = {}
    for name, points in steps.items():
        timed = [point for point in points if point.rows]
        for point in timed:
            others = [row.model for p in timed if p.baseline == point.baseline for row in p.rows]
            names = tuple(dict.fromkeys([point.baseline, *others]))
            rows = {row.model: row for row in point.rows}
            cells = [titles[name], _size(point), milliseconds(rows[point.baseline].p50)]
            cells += [ratio_cell(rows[n].ratio) if n in rows else "-" for n in names[1:]]
            groups.setdefault(names, []).append(cells)
    if groups:
        yield from ("", f"### {heading}", "", *_RATIOS.splitlines())
    for names, body in groups.items():
        yield ""
        yield from table(["what", "size", f"{names[0]} ms", *names[1:]], body)


def _size(point: Point) -> str:
    sizes = dict(point.dims) or {"batch": point.batch}
    return ", ".join(f"{name} {size}" for name, size in sizes.items())
