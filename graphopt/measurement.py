"""Measures callables side by side: interleaved rounds in random order, every sample kept.

In each round every candidate is timed once, in an order drawn anew, so that a change of the
machine's speed meets all of them alike and the samples of a round are paired.
"""

from __future__ import annotations

import dataclasses
import gc
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from graphopt.errors import UsageError
from graphopt.intervals import Array

__all__ = ["Clock", "Samples", "measure", "session_call"]

Clock = Literal["wall", "thread_cpu"]

_CLOCKS: dict[Clock, Callable[[], int]] = {
    "wall": time.perf_counter_ns,
    "thread_cpu": time.thread_time_ns,
}
_MIN_ROUNDS = 30
_MAX_WARMUP_WINDOWS = 10
_STABLE_WITHIN = 0.02


@dataclasses.dataclass(frozen=True)
class Samples:
    """The raw times of a measurement.

    Attributes:
        seconds: For each candidate its seconds a call, shape [rounds]; sample i of every candidate
            comes from round i.
        clock: ``wall``, or ``thread_cpu`` for the CPU time of the calling thread.
        warmup_rounds: Rounds that were run and discarded before.
        stable: True where the warm-up ended because no candidate became faster any more.
    """

    seconds: dict[str, Array]
    clock: Clock
    warmup_rounds: int
    stable: bool

    @property
    def rounds(self) -> int:
        """Number of timed rounds."""
        return min((len(values) for values in self.seconds.values()), default=0)


def measure(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int | None = None,
    duration: float = 10.0,
    warmup: int = 5,
    settle: int = 1,
    seed: int = 0,
    clock: Clock = "wall",
    progress: Callable[[float], None] | None = None,
) -> Samples:
    """Times the candidates in interleaved rounds.

    Args:
        candidates: What to call, by name.
        rounds: Timed rounds. Left out, rounds are run for ``duration`` seconds, at least 30.
        duration: Seconds of timed rounds where ``rounds`` is left out.
        warmup: Rounds of a warm-up window. Windows are run until no candidate's median is more than
            2% below that of its previous window, 10 windows at most.
        settle: Untimed calls of a candidate before its timed call in a round, so that caches hold
            its weights as in a server that runs one model, not those of the candidate before.
        seed: Seed of the order in a round.
        clock: ``wall``, or ``thread_cpu``: the CPU time of the calling thread alone. The latter is
            steadier, and right only where that thread does all the work (one intra-op thread).
        progress: Called after each timed round with the share that is done, 0 to 1.

    Returns:
        The samples.

    Raises:
        UsageError: There is no candidate, or a count that is not positive.
    """
    if not candidates:
        raise UsageError("there is nothing to measure: give at least one candidate")
    if warmup < 1 or settle < 0 or (rounds is not None and rounds < 1):
        raise UsageError("warmup and rounds are at least 1, settle at least 0")
    round_of = _Rounds(candidates, settle, _CLOCKS[clock], random.Random(seed))
    with _no_garbage_collection():
        warmup_rounds, stable = _warm_up(round_of, warmup)
        timed: list[list[float]] = []
        begin = time.perf_counter()
        done = 0.0
        while done < 1:
            timed.append(round_of.run())
            elapsed = time.perf_counter() - begin
            if rounds is not None:
                done = len(timed) / rounds
            else:
                done = min(elapsed / duration, len(timed) / _MIN_ROUNDS)
            if progress is not None:
                progress(min(done, 1.0))
    columns = np.asarray(timed).T
    seconds = {name: columns[i].copy() for i, name in enumerate(candidates)}
    return Samples(seconds, clock, warmup_rounds, stable)


def session_call(session: Any, inputs: Mapping[str, np.ndarray]) -> Callable[[], object]:
    """Returns a callable that runs an ONNX Runtime session on these inputs.

    Raises:
        UsageError: A floating-point input is all zeros: such a run can take the fast (or denormal)
            paths that real data does not take.
    """
    for name, array in inputs.items():
        if array.size and np.issubdtype(array.dtype, np.floating) and not np.any(array):
            raise UsageError(f"input {name!r} is all zeros: measure with values like real ones")
    feeds = dict(inputs)
    return lambda: session.run(None, feeds)


class _Rounds:
    """Runs one round at a time."""

    def __init__(
        self,
        candidates: Mapping[str, Callable[[], object]],
        settle: int,
        now: Callable[[], int],
        order: random.Random,
    ) -> None:
        self.calls = list(candidates.values())
        self.settle = settle
        self.now = now
        self.order = order

    def run(self) -> list[float]:
        """Calls every candidate once, in random order, and returns their seconds in given order."""
        seconds = [0.0] * len(self.calls)
        for index in self.order.sample(range(len(self.calls)), len(self.calls)):
            call = self.calls[index]
            for _ in range(self.settle):
                call()
            begin = self.now()
            call()
            seconds[index] = (self.now() - begin) * 1e-9
        return seconds


def _warm_up(round_of: _Rounds, window: int) -> tuple[int, bool]:
    """Runs windows of rounds until they get no faster; returns the rounds run and whether so."""
    previous = np.median([round_of.run() for _ in range(window)], axis=0)
    for count in range(2, _MAX_WARMUP_WINDOWS + 1):
        current = np.median([round_of.run() for _ in range(window)], axis=0)
        if np.all(current >= previous * (1 - _STABLE_WITHIN)):
            return count * window, True
        previous = current
    return _MAX_WARMUP_WINDOWS * window, False


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Keeps Python's cycle collector from running inside a timed call."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
