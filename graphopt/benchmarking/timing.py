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
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from graphopt.benchmarking.candidates import FLOOR, Candidate
from graphopt.benchmarking.execution import Execution, open_model
from graphopt.benchmarking.profiles import profile_apart
from graphopt.benchmarking.result import Failure, Method, Point, Row
from graphopt.benchmarking.settings import Settings
from graphopt.benchmarking.trial import Trial, try_model
from graphopt.errors import GraphoptError, ModelError
from graphopt.measuring.comparison import captured, compare
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
                raise ModelError(f"{candidate.path.name}: {error}") from error
            failures.append(Failure(name, str(error)))
    peers = {c.info.name for c in candidates if c.info.kind == "peer"}
    paths = {c.info.name: c.path for c in candidates if c.info.name in trials}
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
        timed = dataclasses.replace(point, threads=threads, failures=tuple(failures))
        try:
            samples = _measure(paths, inputs, chosen, settings, advance, number)
        except RuntimeRefused as error:
            if not points:
                raise
            points.append(with_failure(timed, error))
        else:
            points.append(_point(timed, samples, trials, profiles, peers, settings.seed))
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
    trials: Mapping[str, Trial],
    profiles: Mapping[str, Profile | ProcessFailed],
    peers: Collection[str],
    seed: int,
) -> Point:
    compared = compare(
        samples,
        point.baseline,
        items=point.batch,
        confidence=CONFIDENCE,
        resamples=RESAMPLES,
        seed=seed,
    )
    rows = []
    for name, comparison in compared.items():
        share, reason = None, "there is no floor"
        if name in (FLOOR, point.baseline):
            reason = "it is one end of the scale"
        elif name in peers:
            reason = "other optimizers change more than the norms"
        elif FLOOR in compared:
            saved = captured(
                samples,
                baseline=point.baseline,
                candidate=name,
                floor=FLOOR,
                confidence=CONFIDENCE,
                resamples=RESAMPLES,
                seed=seed,
            )
            share, reason = saved.share, saved.reason
        profile = profiles.get(name)
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
            )
        )
    return dataclasses.replace(point, rows=tuple(rows), stable=samples.stable)
