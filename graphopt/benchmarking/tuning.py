"""Finds out which of a few results of a model is the fastest on this machine."""

from __future__ import annotations

__all__ = ["NotFaster", "tune"]

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from graphopt.benchmarking.speedup import NotFaster, time_models
from graphopt.files import saving
from graphopt.measuring.comparison import compare
from graphopt.measuring.rounds import Samples
from graphopt.optimization import OutputRejected, optimize_for
from graphopt.options import Check
from graphopt.passes.pipeline import Options
from graphopt.passes.report import PassRecord
from graphopt.passes.steps import FUSING
from graphopt.passes.targets import provider_named
from graphopt.reporting import Report, Tuning
from graphopt.runtime.environment import describe_environment
from graphopt.verification import Original

_INPUT = "input"
_ALL, _NO_ATTENTION, _NO_FUSE = "as chosen", "without attention operators", "--no-fuse"
_ORDER = (_NO_FUSE, _NO_ATTENTION, _ALL)
"""What a result is called, the simplest first."""
_ATTENTION = frozenset({"fuse-attention", "join-heads"})


def tune(
    original: Original,
    path: Path,
    options: Options,
    check: Check,
    *,
    seconds: float = 30.0,
    progress: Callable[[float], None] | None = None,
) -> tuple[Options, Tuning]:
    """Make a few results, verify them, time them beside the input, and say which one to keep.

    They are the one of ``options``, one that leaves the operators of attention out, and one that
    leaves out whatever is not about norms; those that would be the same model are left out. Of what
    is within each other's interval the simplest is kept: what leaves out the most.

    Args:
        original: The input, on the sample that the results are verified and timed on.
        path: Its file.
        options: What to make.
        check: How the results are verified.
        seconds: Time to aim at, for the timing alone.
        progress: Called with the share that is done, 0 to 1.

    Returns:
        The options of what is to be kept, and what was measured.

    Raises:
        OutputRejected: No result is the same function as the input.
        NotFaster: The input is faster than what would be kept.
        ProcessFailed: ONNX Runtime cannot run one of the models.
        EnvironmentFailure: ONNX Runtime is missing, or the provider does not start.
    """
    made: dict[str, Options] = {}
    reports: dict[str, Report] = {}
    refusals: dict[str, OutputRejected] = {}
    files: dict[str, Path] = {_INPUT: path}
    with contextlib.ExitStack() as stack:

        def make(name: str, chosen: Options) -> Report:
            try:
                result = optimize_for(path, chosen, check=check, original=original)
            except OutputRejected as error:
                refusals[name] = error
                return error.report
            made[name], reports[name] = chosen, result.report
            files[name] = stack.enter_context(saving.temporary(result.model))
            return result.report

        for name, chosen in _simpler(options, make(_ALL, options).passes).items():
            make(name, chosen)
        if not made:
            raise refusals[_ALL]
        samples, library = time_models(
            files,
            original.model,
            list(reports.values()),
            options,
            check.sample,
            seconds,
            progress,
        )
    names = [name for name in _ORDER if name in made]
    kept = choose(samples, names)
    beside = compare(samples, _INPUT)
    if beside[kept].verdict == "slower":
        ratio = beside[kept].ratio
        raise NotFaster(
            f"{path.name} is faster than what graphopt makes of it on this machine "
            f"(which takes {ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}] times as long): "
            "keep the input, nothing was written"
        )
    environment = describe_environment(provider_named(options.provider).runtime, threads=1)
    rows = tuple(beside[name] for name in (_INPUT, *names))
    rejected = {name: str(error) for name, error in refusals.items()}
    return made[kept], Tuning(rows, kept, rejected, library is not None, environment)


def _simpler(options: Options, records: Sequence[PassRecord]) -> dict[str, Options]:
    """What else to try, where ``records`` say that leaving steps out makes another model."""
    acted = {record.name for record in records if record.changed} & FUSING
    found = {}
    if acted:
        found[_NO_FUSE] = options.without_fusing()
    if acted & _ATTENTION and acted - _ATTENTION:
        skip = frozenset(options.skip) | (acted & _ATTENTION)
        found[_NO_ATTENTION] = dataclasses.replace(options, skip=skip)
    return found


def choose(samples: Samples, names: Sequence[str]) -> str:
    """The first of ``names`` that the fastest of them is not significantly faster than."""
    beside = compare(samples, _INPUT)
    fastest = min(names, key=lambda name: beside[name].ratio.value)
    return next(
        name
        for name in names
        if name == fastest or compare(samples, name)[fastest].verdict != "faster"
    )
