"""The sentences of a report: what a point is called, what came out, how it was measured."""

from __future__ import annotations

__all__ = [
    "Outcome",
    "constant_setting",
    "method_sentences",
    "nodes_text",
    "outcomes",
    "point_labels",
    "uncaptured",
    "warning",
]

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

from graphopt.benchmarking.captions import faster_than_floors, with_doubt
from graphopt.benchmarking.figures import (
    captured_text,
    clock_text,
    provider_nodes,
    ratio_text,
    span,
    threads_text,
)
from graphopt.benchmarking.result import Benchmark, Point, Row
from graphopt.measuring.comparison import VERDICTS
from graphopt.passes.targets import provider_named


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one model, over all points.

    Attributes:
        model: Name of the model.
        figure: The ratio, or the range of the ratios.
        sentence: The verdict in words.
    """

    model: str
    figure: str
    sentence: str


def point_labels(benchmark: Benchmark) -> tuple[str, ...]:
    """For each point what tells it from the others; of a single point the batch."""
    facts = [_facts(point) for point in benchmark.points]
    varying = [key for key in _keys(facts) if len({fact.get(key) for fact in facts}) > 1]
    return tuple(
        ", ".join(fact[key] for key in varying or ["batch"] if key in fact) for fact in facts
    )


def constant_setting(benchmark: Benchmark) -> str:
    """What all points share, for example ``cpu, 1 thread, float32, sequence 128``."""
    facts = [_facts(point) for point in benchmark.points]
    return ", ".join(
        facts[0][key] for key in _keys(facts) if len({fact.get(key) for fact in facts}) == 1
    )


def _facts(point: Point) -> dict[str, str]:
    facts = {
        "provider": provider_named(point.provider).title,
        "threads": threads_text(point.threads),
        "dtype": point.dtype,
        "batch": f"batch {point.batch}",
    }
    sizes = {name: size for name, size in point.dims.items() if name.lower() != "batch"}
    return facts | {f"dim {name}": f"{name} {size}" for name, size in sizes.items()}


def _keys(facts: Sequence[dict[str, str]]) -> list[str]:
    return list(dict.fromkeys(key for fact in facts for key in fact))


def outcomes(benchmark: Benchmark) -> tuple[Outcome, ...]:
    """What became of each model that is neither a baseline nor the norm-free floor."""
    found = []
    for model in benchmark.models:
        if model.kind == "floor":
            continue
        rows = [
            (point, row)
            for point in benchmark.points
            for row in point.rows
            if row.model == model.name != point.baseline
        ]
        if len(rows) == 1:
            found.append(_single(*rows[0]))
        elif rows:
            found.append(_several(model.name, rows))
    return tuple(found)


def _single(point: Point, row: Row) -> Outcome:
    figure, interval = ratio_text(row.ratio).split(" ", 1)
    sentence = f"of the time of {point.baseline} {interval}: {row.verdict}"
    if row.quantized_ratio is not None and row.model != row.quantized_baseline:
        sentence += f"; {ratio_text(row.quantized_ratio)} of that of {row.quantized_baseline}"
    if row.captured is not None:
        sentence += f"; captured {captured_text(row.captured)} of the cost of normalization"
    return Outcome(row.model, figure, sentence)


def _several(model: str, rows: Sequence[tuple[Point, Row]]) -> Outcome:
    values = [row.ratio.value for _, row in rows]
    counts = Counter(row.verdict for _, row in rows)
    baselines = " or ".join(dict.fromkeys(point.baseline for point, _ in rows))
    said = ", ".join(f"{verdict} at {counts[verdict]}" for verdict in VERDICTS if verdict in counts)
    sentence = f"of the time of {baselines}: {said} of {len(rows)} points"
    low, high = f"{min(values):.3f}", f"{max(values):.3f}"
    return Outcome(model, low if low == high else f"{low} to {high}", sentence)


def uncaptured(points: Sequence[tuple[str, Point]], floors: frozenset[str]) -> tuple[str, ...]:
    """Why there are points without a captured share, each reason once.

    Args:
        points: The points with their labels.
        floors: Names of the norm-free floors.
    """
    places: dict[str, list[str]] = {}
    for label, point in points:
        doubtful = faster_than_floors(point, floors)
        for row in point.rows:
            if not row.captured_reason or row.model in (point.baseline, *floors):
                continue
            against = [row.model] if row.model in doubtful else []
            reason = with_doubt(row.captured_reason, against)
            places.setdefault(reason, []).append(label)
    return tuple(
        f"No captured share at {', '.join(dict.fromkeys(labels))}: {reason}."
        for reason, labels in places.items()
    )


def method_sentences(benchmark: Benchmark) -> tuple[str, ...]:
    """How the figures came about, a sentence each."""
    method = benchmark.method
    rows = [row for point in benchmark.points for row in point.rows]
    openings = span([len(row.samples) for row in rows])
    rounds = span([len(row.samples[0]) for row in rows])
    sentences = [
        f"Times are {clock_text(method.clock)}.",
        f"Openings of all models at a point: {openings}. Each opening was warmed up, then timed; "
        f"rounds in an opening: {rounds}. In a round every model was called once, in random order, "
        "so that a change of the machine's speed meets all of them alike. "
        f"{_times(method.settle)} before each timed call the model was called untimed. "
        "Idle sessions do not spin.",
        "A ratio is the median over the openings of the median over their rounds of the ratio in a "
        f"round. Its {method.confidence:.0%} interval is a percentile bootstrap over the openings "
        f"({method.resamples} resamples), widened where they are few. An interval that contains 1 "
        "is called no difference.",
        "Captured is the share of the time of the norms that was saved, (baseline - model) / "
        "(baseline - floor), of graphs that differ in nothing but "
        "norms. The floor is the same graph without its norms: not the same function, only the "
        "limit of what removing them could gain.",
    ]
    if any(row.profile is not None for row in rows):
        sentences.append(
            "Times by operator are from ONNX Runtime's profiler, which slows a call down, and one "
            "model was profiled after the other: they tell shares, not latencies. A fused operator "
            "counts as what it is named for: a residual added inside SkipLayerNormalization counts "
            "as normalization."
        )
    if any(provider_named(point.provider).is_device for point in benchmark.points):
        sentences.append(
            f"On CUDA, graphs were {'' if method.cuda_graph else 'not '}replayed and TF32 was "
            f"{'' if method.tf32 else 'not '}allowed."
        )
    return (*sentences, f"Seed {method.seed}.")


def warning(benchmark: Benchmark) -> str:
    """What makes the figures doubtful, or "" where nothing does."""
    unstable = sum(not point.stable for point in benchmark.points)
    if not unstable:
        return ""
    return (
        f"At {unstable} of {len(benchmark.points)} points a model was still becoming faster when "
        "its warm-up ended: measure on a quieter machine."
    )


def _times(count: int) -> str:
    return {1: "Once", 2: "Twice"}.get(count, f"{count} times")


def nodes_text(nodes: Mapping[str, int]) -> str:
    """Nodes on each execution provider, for example ``CPU 240``."""
    return ", ".join(f"{name} {count}" for name, count in provider_nodes(nodes).items())
