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
from types import MappingProxyType
from typing import Literal

import numpy as np

from graphopt.errors import UsageError
from graphopt.measuring.intervals import Array

__all__ = ["CLOCKS", "Call", "Clock", "Opener", "Samples", "measure"]

Clock = Literal["wall", "thread_cpu"]
Call = Callable[[], object]
Opener = Callable[[], Call]

CLOCKS: Mapping[Clock, Callable[[], int]] = MappingProxyType(
    {"wall": time.perf_counter_ns, "thread_cpu": time.thread_time_ns}
)
"""What tells the nanoseconds of each clock. A call that waits uses no CPU time."""

_MIN_ROUNDS = 3
_MIN_OPENINGS = 6  # what a 95% interval needs
_MAX_WARMUP_WINDOWS, _MAX_SLOW_WINDOWS = 10, 4
_SLOW_SECONDS = 0.2
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
    clocks: Mapping[Clock, Callable[[], int]] = CLOCKS,
    progress: Callable[[float], None] | None = None,
) -> Samples:
    """Times the candidates in interleaved rounds.

    Args:
        candidates: By name, what opens a candidate and returns what to call.
        openings: How often all candidates are opened anew. Where ``rounds`` is left out it is the
            most: fewer, but at least 6, are made where they would exceed ``duration``.
        rounds: Timed rounds of each opening. Left out, as many as ``duration`` allows, at least 3,
            or 1 where a call takes more than 0.2 s.
        duration: Seconds to aim at for the whole, where ``rounds`` is left out.
        warmup: Rounds of a warm-up window. Windows are run until no candidate's fastest call is
            more than 5% below that of its previous window, 10 windows at most. Where a call takes
            more than 0.2 s, a window is one round, and 4 are the most.
        settle: Untimed calls of a candidate before its timed call in a round, so that caches hold
            its weights as in a server that runs one model, not those of the candidate before. None
            are made where a call takes more than 0.2 s, to which that is nothing.
        seed: Seed of the order of openings and calls.
        clock: ``wall``, or ``thread_cpu``: the CPU time of the calling thread alone. The latter is
            steadier, and right only where that thread does all the work (one intra-op thread).
        clocks: What tells the nanoseconds of ``clock``, and of ``wall``, by which the duration is
            kept and a slow call is known: those of this machine, or a simulation's.
        progress: Called after each timed round with the share that is done, 0 to 1.

    Returns:
        The samples.

    Raises:
        UsageError: There is no candidate, or a count that is not positive.
    """
    if not candidates:
        raise UsageError("there is nothing to measure: give at least one candidate")
    if min(openings, warmup, rounds if rounds is not None else 1) < 1 or settle < 0:
        raise UsageError(
            "a count is too small: give openings, rounds and warmup of at least 1, settle of 0"
        )
    order = random.Random(seed)
    seconds: list[list[list[float]]] = []
    stable = True
    with _no_garbage_collection():
        while len(seconds) < openings:
            begin = clocks["wall"]()
            opened = _Opened(candidates, order, clocks[clock], clocks["wall"])
            round_seconds, settled, slow = opened.warm_up(warmup)
            stable = stable and settled
            untimed = 0 if slow else settle
            if rounds is None:
                spent = (clocks["wall"]() - begin) * 1e-9
                openings, rounds = _fit(
                    duration,
                    openings,
                    spent,
                    round_seconds * (1 + untimed),
                    1 if slow else _MIN_ROUNDS,
                )
            done = len(seconds)
            seconds.append([])
            for number in range(rounds):
                seconds[-1].append(opened.run(untimed))
                if progress is not None:
                    progress((done + (number + 1) / rounds) / openings)
            del opened  # before the next opening, not after
    columns = np.moveaxis(np.asarray(seconds), -1, 0)
    return Samples(dict(zip(candidates, columns.copy(), strict=True)), clock, stable)


def _fit(
    duration: float, openings: int, spent: float, round_seconds: float, least: int
) -> tuple[int, int]:
    """Openings and rounds of each that take about ``duration`` seconds.

    Args:
        duration: Seconds for all.
        openings: The most openings.
        spent: Seconds that an opening takes before its first round.
        round_seconds: Seconds of a round, untimed calls included.
        least: The fewest rounds of an opening.
    """
    affordable = int(duration / max(spent + least * round_seconds, 1e-9))
    openings = min(openings, max(_MIN_OPENINGS, affordable))
    left = duration / openings - spent
    return openings, max(least, int(left / max(round_seconds, 1e-9)))


class _Opened:
    """All candidates, opened in random order."""

    def __init__(
        self,
        candidates: Mapping[str, Opener],
        order: random.Random,
        now: Callable[[], int],
        wall: Callable[[], int],
    ) -> None:
        names = list(candidates)
        opened = {name: candidates[name]() for name in order.sample(names, len(names))}
        self.calls = [opened[name] for name in names]
        self.order = order
        self.now = now
        self.wall = wall

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

    def warm_up(self, window: int) -> tuple[float, bool, bool]:
        """Runs windows of rounds until they get no faster.

        Returns:
            Wall seconds of a round of the last window, whether it was no faster, and whether a
            call is slow.
        """
        begin = self.wall()
        first = self.run(settle=0)
        seconds = (self.wall() - begin) * 1e-9
        slow = seconds / len(first) > _SLOW_SECONDS
        rounds = [first]
        if not slow:
            rounds += [self.run(settle=0) for _ in range(window - 1)]
        previous = np.min(rounds, axis=0)
        size = 1 if slow else window
        for _ in range((_MAX_SLOW_WINDOWS if slow else _MAX_WARMUP_WINDOWS) - 1):
            begin = self.wall()
            fastest = np.min([self.run(settle=0) for _ in range(size)], axis=0)
            seconds = (self.wall() - begin) * 1e-9 / size
            if np.all(fastest >= previous * (1 - _STABLE_WITHIN)):
                return seconds, True, slow
            previous = fastest
        return seconds, False, slow


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
