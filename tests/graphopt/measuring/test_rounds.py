"""The interleaving, with candidates that log their calls and clocks that they move."""

from __future__ import annotations

import gc
import time
from typing import Any

import numpy as np
import pytest

from graphopt.errors import UsageError
from graphopt.measuring.comparison import compare
from graphopt.measuring.rounds import CLOCKS, Call, Opener, Samples, measure


class Machine:
    """Clocks in nanoseconds that only the candidates move, and the log of what they did."""

    def __init__(self) -> None:
        self.now = 0
        self.cpu = 0
        self.opened: list[str] = []
        self.called: list[str] = []

    def measure(self, candidates: dict[str, Opener], **options: Any) -> Samples:
        clocks = {"wall": lambda: self.now, "thread_cpu": lambda: self.cpu}
        return measure(candidates, clocks=clocks, **options)

    def candidate(self, name: str, *microseconds: int, opening: int = 0) -> Opener:
        """The calls of an opening take these times in turn, the last one from then on."""

        def open_candidate() -> Call:
            self.opened.append(name)
            self.now += 1000 * opening
            times = list(microseconds)

            def call() -> None:
                self.called.append(name)
                self.now += 1000 * (times.pop(0) if len(times) > 1 else times[0])

            return call

        return open_candidate


@pytest.fixture
def machine() -> Machine:
    return Machine()


def groups(log: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(log[i : i + size]) for i in range(0, len(log), size)]


def test_samples_are_the_seconds_of_each_candidate(machine: Machine) -> None:
    candidates = {"one": machine.candidate("one", 30), "two": machine.candidate("two", 20)}
    samples = machine.measure(candidates, openings=6, rounds=4)
    assert list(samples.seconds) == ["one", "two"]
    np.testing.assert_allclose(samples.seconds["one"], np.full((6, 4), 30e-6))
    np.testing.assert_allclose(samples.seconds["two"], np.full((6, 4), 20e-6))
    assert samples.clock == "wall"
    assert compare(samples, "one")["two"].ratio.value == pytest.approx(2 / 3)


def test_each_opening_opens_every_candidate_in_changing_order(machine: Machine) -> None:
    names = ["a", "b", "c"]
    machine.measure({n: machine.candidate(n, 1) for n in names}, openings=25, rounds=1)
    orders = groups(machine.opened, 3)
    assert len(orders) == 25
    assert all(sorted(order) == names for order in orders)
    assert len(set(orders)) == 6


def test_each_round_calls_every_candidate_in_changing_order(machine: Machine) -> None:
    names = ["a", "b", "c"]
    candidates = {n: machine.candidate(n, 1) for n in names}
    machine.measure(candidates, openings=1, rounds=50, warmup=1, settle=0)
    orders = groups(machine.called, 3)
    assert all(sorted(order) == names for order in orders)
    assert len(set(orders)) == 6


def test_the_seed_decides_the_order(machine: Machine) -> None:
    logs = []
    for seed in (1, 1, 2):
        machine.called.clear()
        candidates = {n: machine.candidate(n, 1) for n in "abc"}
        machine.measure(candidates, openings=2, rounds=9, seed=seed)
        logs.append(list(machine.called))
    assert logs[0] == logs[1] != logs[2]


def test_a_candidate_settles_before_it_is_timed(machine: Machine) -> None:
    candidates = {"a": machine.candidate("a", 1), "b": machine.candidate("b", 1)}
    machine.measure(candidates, openings=1, rounds=6, warmup=3, settle=2)
    timed = machine.called[-2 * 3 * 6 :]
    assert all(len(set(calls)) == 1 for calls in groups(timed, 3))


def test_warm_up_ends_when_nothing_gets_faster(machine: Machine) -> None:
    slow_start = machine.candidate("a", *[90] * 5, *[60] * 5, 50)
    candidates = {"a": slow_start, "b": machine.candidate("b", 1)}
    samples = machine.measure(candidates, openings=2, rounds=2, warmup=5, settle=0)
    assert samples.stable
    np.testing.assert_allclose(samples.seconds["a"], np.full((2, 2), 50e-6))
    assert machine.called.count("a") == 2 * (20 + 2)


@pytest.mark.parametrize(("first", "windows"), [(1e5, 10), (1e6, 4)])
def test_warm_up_that_never_settles_is_said(machine: Machine, first: float, windows: int) -> None:
    ever_faster = machine.candidate("a", *(int(first * 0.9**i) for i in range(40)))
    samples = machine.measure({"a": ever_faster}, openings=1, rounds=2, warmup=1, settle=0)
    assert not samples.stable
    assert machine.called.count("a") == windows + 2


@pytest.mark.parametrize(
    ("duration", "openings", "rounds"),
    [
        (0.0, 2, 3),
        (0.4, 2, 48),  # an opening: 4 calls to warm up, then 48 rounds of 2 calls, 2 ms each
        (0.4, 20, 3),
        (0.2, 20, 3),  # room for 10 openings
    ],
)
def test_a_duration_is_kept_but_for_three_rounds_an_opening(
    machine: Machine, duration: float, openings: int, rounds: int
) -> None:
    candidates = {"a": machine.candidate("a", 2000)}
    samples = machine.measure(candidates, openings=openings, duration=duration)
    made = min(openings, 10) if duration == 0.2 else openings
    assert samples.seconds["a"].shape == (made, rounds)
    assert machine.now == made * (4 + 2 * rounds) * 2_000_000
    assert machine.now <= max(duration, 0.04) * 1e9


@pytest.mark.parametrize(("duration", "openings"), [(0.05, 6), (1.0, 20)])
def test_few_openings_are_made_where_many_would_take_too_long(
    machine: Machine, duration: float, openings: int
) -> None:
    candidates = {"a": machine.candidate("a", 100, opening=15_000)}
    samples = machine.measure(candidates, openings=20, duration=duration)
    assert samples.seconds["a"].shape[0] == len(machine.opened) == openings


@pytest.mark.parametrize("clock", ["wall", "thread_cpu"])
def test_a_slow_call_is_neither_settled_nor_repeated_much(machine: Machine, clock: str) -> None:
    candidates = {"a": machine.candidate("a", 200_001)}
    samples = machine.measure(
        candidates, openings=20, duration=0.0, warmup=5, settle=3, clock=clock
    )
    assert samples.seconds["a"].shape == (6, 1)
    assert machine.called.count("a") == 6 * (2 + 1)


def test_a_call_that_is_just_not_slow_is_settled(machine: Machine) -> None:
    candidates = {"a": machine.candidate("a", 200_000)}
    machine.measure(candidates, openings=20, duration=0.0, warmup=5, settle=3)
    assert machine.called.count("a") == 6 * (2 * 5 + 3 * 4)


def test_an_opening_ends_before_the_next_begins() -> None:
    """Memory holds one session of each model at a time."""
    alive: set[int] = set()

    class Session:
        def __init__(self) -> None:
            alive.add(id(self))
            assert len(alive) <= 2

        def __call__(self) -> None: ...

        def __del__(self) -> None:
            alive.remove(id(self))

    measure({"a": Session, "b": Session}, openings=3, rounds=2)
    assert not alive


def test_progress_goes_to_one(machine: Machine) -> None:
    shares: list[float] = []
    candidates = {"a": machine.candidate("a", 1)}
    machine.measure(candidates, openings=2, rounds=2, progress=shares.append)
    assert shares == [0.25, 0.5, 0.75, 1.0]


def test_garbage_is_not_collected_while_timing() -> None:
    states: list[bool] = []
    measure({"a": lambda: lambda: states.append(gc.isenabled())}, openings=2, rounds=3)
    assert states
    assert not any(states)
    assert gc.isenabled()


def test_samples_are_taken_by_the_clock_that_is_asked_for(machine: Machine) -> None:
    """A call that waits moves the clock on the wall alone."""

    def wait() -> None:
        machine.now += 5_000_000
        machine.cpu += 2_000

    samples = machine.measure({"wait": lambda: wait}, openings=2, rounds=3, clock="thread_cpu")
    assert samples.clock == "thread_cpu"
    np.testing.assert_allclose(samples.seconds["wait"], np.full((2, 3), 2e-6))


def test_the_clocks_are_those_of_the_machine() -> None:
    assert dict(CLOCKS) == {"wall": time.perf_counter_ns, "thread_cpu": time.thread_time_ns}
    samples = measure({"a": lambda: lambda: None}, openings=2, rounds=3)
    assert np.all(samples.seconds["a"] >= 0)


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [
        (1.0, "no difference"),
        (0.98, "faster"),
        pytest.param(1.02, "slower", marks=pytest.mark.slow),
    ],
)
def test_on_a_machine_that_slows_down_candidates_differ_as_they_do(
    factor: float, verdict: str
) -> None:
    """Each call is slower than the last, an opening has a luck of 1%, a call a spread of 2%."""
    repetitions, found = 40, 0
    for seed in range(repetitions):
        machine, rng = Machine(), np.random.default_rng(seed)

        def opener(factor: float, machine: Machine = machine, rng: Any = rng) -> Opener:
            def open_candidate() -> Call:
                luck = rng.lognormal(0, 0.01)

                def call() -> None:
                    drift = 1 + machine.now * 1e-9 / 10
                    machine.now += int(1e6 * factor * drift * luck * rng.lognormal(0, 0.02))

                return call

            return open_candidate

        candidates = {"one": opener(1.0), "other": opener(factor)}
        samples = machine.measure(candidates, rounds=15, seed=seed)
        found += compare(samples, "one", resamples=400)["other"].verdict == verdict
    assert found >= 0.95 * repetitions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"openings": 0}, "at least 1"),
        ({"rounds": 0}, "at least 1"),
        ({"warmup": 0}, "at least 1"),
        ({"settle": -1}, "settle of 0"),
    ],
)
def test_impossible_counts_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        measure({"a": lambda: lambda: None}, **options)


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one candidate"):
        measure({})
