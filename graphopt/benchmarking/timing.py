"""Times the models of one place of the grid side by side."""

from __future__ import annotations

__all__ = [
    "CONFIDENCE",
    "RESAMPLES",
    "SETTLE",
    "describe_method",
    "time_point",
    "with_failure",
]

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from graphopt.benchmarking.candidates import Candidate, quantized_name
from graphopt.benchmarking.execution import Execution, open_model
from graphopt.benchmarking.profiles import profile_apart
from graphopt.benchmarking.result import Failure, Method, Point, Row
from graphopt.benchmarking.settings import Settings
from graphopt.benchmarking.shares import floor_for
from graphopt.benchmarking.trial import Trial, try_model
from graphopt.errors import GraphoptError, ModelError
from graphopt.measuring.comparison import Comparison, captured, compare
from graphopt.measuring.intervals import Estimate
from graphopt.measuring.rounds import Samples, measure
from graphopt.profiling.result import Profile
from graphopt.runtime.own_process import ProcessFailed
from graphopt.runtime.sessions import RuntimeRefused, error_line

CONFIDENCE, RESAMPLES, SETTLE = 0.95, 2000, 1


def describe_method(settings: Settings) -> Method:
    """How points are timed with these settings."""
    return Method(
        clock=settings.clock,
        openings=settings.openings,
        settle=SETTLE,
        confidence=CONFIDENCE,
        resamples=RESAMPLES,
        seed=settings.seed,
        cuda_graph=settings.cuda_graph,
        tf32=settings.tf32,
    )


def time_point(
    point: Point,
    candidates: Sequence[Candidate],
    inputs: Mapping[str, np.ndarray],
    execution: Execution,
    settings: Settings,
    advance: Callable[[str, float], None],
) -> list[Point]:
    """Times all candidates on the same inputs, once for each number of threads.

    Args:
        point: The place, without rows; its failures are those of candidates that were not made.
        candidates: The models.
        inputs: One array for each graph input.
        execution: How to run them, but for the threads.
        settings: The choices of the benchmark.
        advance: Told what is going on, and how many points are done.

    Returns:
        One point for each number of threads. A model that cannot be profiled is timed all the same;
        what the first number of threads gave is kept where a later one fails.

    Raises:
        ModelError: The baseline does not run on these inputs, or the models not side by side.
    """
    trials: dict[str, Trial] = {}
    failures = list(point.failures)
    for candidate in candidates:
        name = candidate.info.name
        advance(f"trying {name}", 0)
        try:
            trials[name] = try_model(candidate.path, inputs, execution)
        except ProcessFailed as error:
            if name == point.baseline:
                raise ModelError(
                    f"{candidate.path.name}: it does not run ({error}): give smaller "
                    "sizes, or another baseline"
                ) from error
            failures.append(Failure(name, str(error)))
    timed = {each.info.name: each for each in candidates if each.info.name in trials}
    paths = {name: each.path for name, each in timed.items()}
    points: list[Point] = []
    for number, threads in enumerate(settings.threads):
        chosen = dataclasses.replace(execution, threads=threads)
        profiles: dict[str, Profile | ProcessFailed] = {}
        for name in paths if settings.profile else ():
            advance(f"profiling {name}", number)
            try:
                profiles[name] = profile_apart(paths[name], inputs, chosen)
            except ProcessFailed as error:
                profiles[name] = error
        advance("timing", number)
        here = dataclasses.replace(point, threads=threads, failures=tuple(failures))
        try:
            samples = _measure(paths, inputs, chosen, settings, advance, number)
        except RuntimeRefused as error:
            if not points:
                raise
            points.append(with_failure(here, error))
        else:
            original = candidates[0].info.name
            points.append(_point(here, samples, timed, original, trials, profiles, settings.seed))
    return points


def with_failure(point: Point, error: ModelError) -> Point:
    """The point, at which nothing could be timed."""
    return dataclasses.replace(
        point, failures=(*point.failures, Failure(point.baseline, str(error)))
    )


def _measure(
    paths: Mapping[str, Path],
    inputs: Mapping[str, np.ndarray],
    execution: Execution,
    settings: Settings,
    advance: Callable[[str, float], None],
    number: int,
) -> Samples:
    try:
        return measure(
            {
                name: functools.partial(open_model, path, inputs, execution)
                for name, path in paths.items()
            },
            openings=settings.openings,
            rounds=settings.rounds,
            duration=settings.duration,
            warmup=settings.warmup,
            settle=SETTLE,
            seed=settings.seed,
            clock=settings.clock,
            progress=functools.partial(_report, advance, number),
        )
    except GraphoptError:
        raise
    except Exception as error:  # those of ONNX Runtime have no common base
        raise RuntimeRefused(
            "ONNX Runtime cannot run the models side by side, though each alone: "
            f"{error_line(error)}"
        ) from error


def _report(advance: Callable[[str, float], None], done: int, share: float) -> None:
    advance("timing", done + share)


def _point(
    point: Point,
    samples: Samples,
    timed: Mapping[str, Candidate],
    original: str,
    trials: Mapping[str, Trial],
    profiles: Mapping[str, Profile | ProcessFailed],
    seed: int,
) -> Point:
    compared = _compare(samples, point.baseline, seed, items=point.batch)
    # What the original is called that was quantized as a model was, where it could be timed.
    bases = {
        name: base
        for name, each in timed.items()
        if each.info.quantizer and (base := quantized_name(original, each.info.quantizer)) in timed
    }
    quantized = {base: _compare(samples, base, seed) for base in set(bases.values())}
    rows = []
    for name, comparison in compared.items():
        share, reason = _share(samples, name, timed, point.baseline, seed)
        base, profile = bases.get(name, ""), profiles.get(name)
        rows.append(
            Row(
                model=name,
                samples=tuple(map(tuple, samples.seconds[name].tolist())),
                p50=comparison.median,
                p90=comparison.p90,
                p99=comparison.p99,
                throughput=comparison.throughput,
                ratio=comparison.ratio,
                captured=share,
                captured_reason=reason,
                memory=trials[name].memory,
                nodes=trials[name].nodes,
                profile=profile if isinstance(profile, Profile) else None,
                profile_reason=str(profile) if isinstance(profile, ProcessFailed) else "",
                quantized_ratio=quantized[base][name].ratio if base else None,
                quantized_baseline=base,
                file_bytes=timed[name].file_bytes,
                error=timed[name].error,
            )
        )
    return dataclasses.replace(point, rows=tuple(rows), stable=samples.stable)


def _compare(
    samples: Samples, baseline: str, seed: int, *, items: int = 1
) -> dict[str, Comparison]:
    return compare(
        samples, baseline, items=items, confidence=CONFIDENCE, resamples=RESAMPLES, seed=seed
    )


def _share(
    samples: Samples, name: str, timed: Mapping[str, Candidate], baseline: str, seed: int
) -> tuple[Estimate | None, str]:
    """The share of the norms' cost that a model saved, or why there is none."""
    floor, reason = floor_for(name, timed, baseline)
    if not floor:
        return None, reason
    saved = captured(
        samples,
        baseline=baseline,
        candidate=name,
        floor=floor,
        confidence=CONFIDENCE,
        resamples=RESAMPLES,
        seed=seed,
    )
    return saved.share, saved.reason
