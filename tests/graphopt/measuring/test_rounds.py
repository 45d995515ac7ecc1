"""The interleaving, with candidates that log their calls and a clock that they move."""

from __future__ import annotations

import gc
import time

import numpy as np
import pytest

from graphopt.errors import UsageError
from graphopt.measuring import rounds
from graphopt.measuring.comparison import compare
from graphopt.measuring.rounds import Call, Opener, measure


class Machine:
    """A clock in nanoseconds that only the candidates move, and the log of what they did."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        self.opened: list[str] = []
        self.called: list[str] = []
        monkeypatch.setitem(rounds._CLOCKS, "wall", lambda: self.now)

    def candidate(self, name: str, *microseconds: int) -> Opener:
        """Each opening takes these times in turn, the last one from then on."""

        def open_candidate() -> Call:
            self.opened.append(name)
            times = list(microseconds)

            def call() -> None:
                self.called.append(name)
                self.now += 1000 * (times.pop(0) if len(times) > 1 else times[0])

            return call

        return open_candidate


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def groups(log: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(log[i : i + size]) for i in range(0, len(log), size)]


def test_samples_are_the_seconds_of_each_candidate(machine: Machine) -> None:
    candidates = {"one": machine.candidate("one", 30), "two": machine.candidate("two", 20)}
    samples = measure(candidates, openings=6, rounds=4)
    assert list(samples.seconds) == ["one", "two"]
    np.testing.assert_allclose(samples.seconds["one"], np.full((6, 4), 30e-6))
    np.testing.assert_allclose(samples.seconds["two"], np.full((6, 4), 20e-6))
    assert samples.clock == "wall"
    assert compare(samples, "one")["two"].ratio.value == pytest.approx(2 / 3)


def test_each_opening_opens_every_candidate_in_changing_order(machine: Machine) -> None:
    names = ["a", "b", "c"]
    measure({n: machine.candidate(n, 1) for n in names}, openings=25, rounds=1)
    orders = groups(machine.opened, 3)
    assert len(orders) == 25
    assert all(sorted(order) == names for order in orders)
    assert len(set(orders)) == 6


def test_each_round_calls_every_candidate_in_changing_order(machine: Machine) -> None:
    names = ["a", "b", "c"]
    candidates = {n: machine.candidate(n, 1) for n in names}
    measure(candidates, openings=1, rounds=50, warmup=1, settle=0)
    orders = groups(machine.called, 3)
    assert all(sorted(order) == names for order in orders)
    assert len(set(orders)) == 6


def test_the_seed_decides_the_order(machine: Machine) -> None:
    logs = []
    for seed in (1, 1, 2):
        machine.called.clear()
        measure({n: machine.candidate(n, 1) for n in "abc"}, openings=2, rounds=9, seed=seed)
        logs.append(list(machine.called))
    assert logs[0] == logs[1] != logs[2]


def test_a_candidate_settles_before_it_is_timed(machine: Machine) -> None:
    candidates = {"a": machine.candidate("a", 1), "b": machine.candidate("b", 1)}
    measure(candidates, openings=1, rounds=6, warmup=3, settle=2)
    timed = machine.called[-2 * 3 * 6 :]
    assert all(len(set(calls)) == 1 for calls in groups(timed, 3))


def test_warm_up_ends_when_nothing_gets_faster(machine: Machine) -> None:
    slow_start = machine.candidate("a", *[90] * 5, *[60] * 5, 50)
    candidates = {"a": slow_start, "b": machine.candidate("b", 1)}
    samples = measure(candidates, openings=2, rounds=2, warmup=5, settle=0)
    assert samples.stable
    np.testing.assert_allclose(samples.seconds["a"], np.full((2, 2), 50e-6))
    assert machine.called.count("a") == 2 * (20 + 2)


def test_warm_up_that_never_settles_is_said(machine: Machine) -> None:
    ever_faster = machine.candidate("a", *(int(1e6 * 0.9**i) for i in range(40)))
    samples = measure({"a": ever_faster}, openings=1, rounds=2, warmup=1, settle=0)
    assert not samples.stable
    assert machine.called.count("a") == 10 + 2


def test_a_duration_is_kept_but_for_three_rounds_an_opening() -> None:
    def open_sleeper() -> Call:
        return lambda: time.sleep(0.002)

    shortest = measure({"a": open_sleeper}, openings=2, duration=0.0)
    assert shortest.seconds["a"].shape == (2, 3)
    begin = time.perf_counter()
    longer = measure({"a": open_sleeper}, openings=2, duration=0.4)
    assert longer.seconds["a"].shape[1] > 10
    assert time.perf_counter() - begin < 4


@pytest.mark.parametrize(("duration", "openings"), [(0.05, 6), (1.0, 20)])
def test_few_openings_are_made_where_many_would_take_too_long(
    duration: float, openings: int
) -> None:
    def open_slowly() -> Call:
        time.sleep(0.015)
        return lambda: None

    samples = measure({"a": open_slowly}, openings=20, duration=duration)
    assert samples.seconds["a"].shape[0] == openings


def test_a_slow_call_is_neither_settled_nor_repeated_much(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_SLOW_SECONDS", -1.0)
    candidates = {"a": machine.candidate("a", 1)}
    samples = measure(candidates, openings=20, duration=0.0, warmup=5, settle=3)
    assert samples.seconds["a"].shape == (6, 1)
    assert machine.called.count("a") == 6 * (2 + 1)


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
    measure({"a": machine.candidate("a", 1)}, openings=2, rounds=2, progress=shares.append)
    assert shares == [0.25, 0.5, 0.75, 1.0]


def test_garbage_is_not_collected_while_timing() -> None:
    states: list[bool] = []
    measure({"a": lambda: lambda: states.append(gc.isenabled())}, openings=2, rounds=3)
    assert states
    assert not any(states)
    assert gc.isenabled()


def test_thread_cpu_time_does_not_count_waiting() -> None:
    sleep = {"sleep": lambda: lambda: time.sleep(0.005)}
    samples = measure(sleep, openings=2, rounds=3, clock="thread_cpu")
    assert samples.clock == "thread_cpu"
    assert np.median(samples.seconds["sleep"]) < 0.0025


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"openings": 0}, "at least 1"),
        ({"rounds": 0}, "at least 1"),
        ({"warmup": 0}, "at least 1"),
        ({"settle": -1}, "settle at least 0"),
    ],
)
def test_impossible_counts_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        measure({"a": lambda: lambda: None}, **options)


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one candidate"):
        measure({})
