"""Measures candidates side by side: opened anew many times, called in interleaved rounds.

In each round every candidate is timed once, in an order drawn anew, so that a change of the
machine's speed meets all of them alike and the samples of a round are paired. After some rounds all
candidates are closed and opened again, because what one opening was lucky with (where its weights
lie in memory) stays with it.
"""

from __future__ import annotations

import dataclasses
import gc
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import numpy as np

from graphopt.errors import UsageError
from graphopt.intervals import Array

__all__ = ["Call", "Clock", "Opener", "Samples", "measure"]

Clock = Literal["wall", "thread_cpu"]
Call = Callable[[], object]
Opener = Callable[[], Call]

_CLOCKS: dict[Clock, Callable[[], int]] = {
    "wall": time.perf_counter_ns,
    "thread_cpu": time.thread_time_ns,
}
_MIN_ROUNDS = 3
_MAX_WARMUP_WINDOWS = 10
_STABLE_WITHIN = 0.05


@dataclasses.dataclass(frozen=True)
class Samples:
    """The raw times of a measurement.

    Attributes:
        seconds: For each candidate its seconds a call, shape [openings, rounds]; the samples at the
            same place are from the same round.
        clock: ``wall``, or ``thread_cpu`` for the CPU time of the calling thread.
        stable: True where every warm-up ended because no candidate became faster any more.
    """

    seconds: dict[str, Array]
    clock: Clock = "wall"
    stable: bool = True


def measure(
    candidates: Mapping[str, Opener],
    *,
    openings: int = 20,
    rounds: int | None = None,
    duration: float = 20.0,
    warmup: int = 2,
    settle: int = 1,
    seed: int = 0,
    clock: Clock = "wall",
    progress: Callable[[float], None] | None = None,
) -> Samples:
    """Times the candidates in interleaved rounds.

    Args:
        candidates: By name, what opens a candidate and returns what to call.
        openings: How often all candidates are opened anew.
        rounds: Timed rounds of each opening. Left out, as many as ``duration`` allows, at least 3.
        duration: Seconds to aim at for the whole, where ``rounds`` is left out.
        warmup: Rounds of a warm-up window. Windows are run until no candidate's fastest call is
            more than 5% below that of its previous window, 10 windows at most.
        settle: Untimed calls of a candidate before its timed call in a round, so that caches hold
            its weights as in a server that runs one model, not those of the candidate before.
        seed: Seed of the order of openings and calls.
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
    if min(openings, warmup, rounds if rounds is not None else 1) < 1 or settle < 0:
        raise UsageError("openings, rounds and warmup are at least 1, settle at least 0")
    order = random.Random(seed)
    seconds: list[list[list[float]]] = []
    stable = True
    with _no_garbage_collection():
        for opening in range(openings):
            begin = time.perf_counter()
            opened = _Opened(candidates, order, _CLOCKS[clock])
            round_seconds, settled = opened.warm_up(warmup)
            stable = stable and settled
            if rounds is None:
                left = duration / openings - (time.perf_counter() - begin)
                rounds = max(_MIN_ROUNDS, int(left / max(round_seconds * (1 + settle), 1e-9)))
            seconds.append([])
            for number in range(rounds):
                seconds[-1].append(opened.run(settle))
                if progress is not None:
                    progress((opening + (number + 1) / rounds) / openings)
            del opened  # before the next opening, not after
    columns = np.moveaxis(np.asarray(seconds), -1, 0)
    return Samples(dict(zip(candidates, columns.copy(), strict=True)), clock, stable)


class _Opened:
    """All candidates, opened in random order."""

    def __init__(
        self, candidates: Mapping[str, Opener], order: random.Random, now: Callable[[], int]
    ) -> None:
        names = list(candidates)
        opened = {name: candidates[name]() for name in order.sample(names, len(names))}
        self.calls = [opened[name] for name in names]
        self.order = order
        self.now = now

    def run(self, settle: int) -> list[float]:
        """Times every candidate once, in random order; returns their seconds in given order."""
        seconds = [0.0] * len(self.calls)
        for index in self.order.sample(range(len(self.calls)), len(self.calls)):
            call = self.calls[index]
            for _ in range(settle):
                call()
            begin = self.now()
            call()
            seconds[index] = (self.now() - begin) * 1e-9
        return seconds

    def warm_up(self, window: int) -> tuple[float, bool]:
        """Runs windows of rounds until they get no faster.

        Returns:
            Wall seconds of a round of the last window, and whether it was no faster.
        """
        previous: Array | None = None
        for _ in range(_MAX_WARMUP_WINDOWS):
            begin = time.perf_counter()
            fastest = np.min([self.run(settle=0) for _ in range(window)], axis=0)
            round_seconds = (time.perf_counter() - begin) / window
            if previous is not None and np.all(fastest >= previous * (1 - _STABLE_WITHIN)):
                return round_seconds, True
            previous = fastest
        return round_seconds, False


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
