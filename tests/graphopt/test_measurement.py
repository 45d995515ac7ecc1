"""The interleaving, with candidates that log their calls and a clock that they move."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import numpy as np
import pytest

from graphopt import measurement
from graphopt.comparison import compare
from graphopt.errors import UsageError
from graphopt.measurement import measure, session_call


class Machine:
    """A clock in nanoseconds that only the candidates move, and the log of their calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0
        self.log: list[str] = []
        monkeypatch.setitem(measurement._CLOCKS, "wall", lambda: self.now)

    def candidate(self, name: str, *microseconds: int) -> Callable[[], None]:
        """Takes these times in turn, the last one from then on."""
        times = list(microseconds)

        def call() -> None:
            self.log.append(name)
            self.now += 1000 * (times.pop(0) if len(times) > 1 else times[0])

        return call


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_samples_are_the_seconds_of_each_candidate(machine: Machine) -> None:
    candidates = {"one": machine.candidate("one", 30), "two": machine.candidate("two", 20)}
    samples = measure(candidates, rounds=4)
    assert list(samples.seconds) == ["one", "two"]
    np.testing.assert_allclose(samples.seconds["one"], [30e-6] * 4)
    np.testing.assert_allclose(samples.seconds["two"], [20e-6] * 4)
    assert samples.rounds == 4
    assert compare(samples, "one")["two"].ratio.value == pytest.approx(2 / 3)


def test_every_round_calls_every_candidate_once_in_changing_order(machine: Machine) -> None:
    names = ["a", "b", "c"]
    measure({n: machine.candidate(n, 1) for n in names}, rounds=50, warmup=1, settle=0)
    rounds = [tuple(machine.log[i : i + 3]) for i in range(0, len(machine.log), 3)]
    assert all(sorted(order) == names for order in rounds)
    assert len(set(rounds)) == 6


def test_the_seed_decides_the_order(machine: Machine) -> None:
    logs = []
    for seed in (1, 1, 2):
        machine.log.clear()
        measure({n: machine.candidate(n, 1) for n in "abc"}, rounds=10, seed=seed)
        logs.append(list(machine.log))
    assert logs[0] == logs[1] != logs[2]


def test_a_candidate_settles_before_it_is_timed(machine: Machine) -> None:
    candidates = {"a": machine.candidate("a", 1), "b": machine.candidate("b", 1)}
    measure(candidates, rounds=3, warmup=1, settle=2)
    runs = [machine.log[i : i + 3] for i in range(0, len(machine.log), 3)]
    assert all(len(set(run)) == 1 for run in runs)


def test_warm_up_ends_when_nothing_gets_faster(machine: Machine) -> None:
    slow_start = machine.candidate("a", *[90] * 5, *[60] * 5, 50)
    samples = measure({"a": slow_start, "b": machine.candidate("b", 1)}, rounds=2, settle=0)
    assert samples.stable
    assert samples.warmup_rounds == 20
    np.testing.assert_allclose(samples.seconds["a"], [50e-6, 50e-6])


def test_warm_up_that_never_settles_is_said(machine: Machine) -> None:
    ever_faster = machine.candidate("a", *range(10_000, 0, -100))
    samples = measure({"a": ever_faster}, rounds=2, settle=0)
    assert not samples.stable
    assert samples.warmup_rounds == 50


def test_a_duration_runs_at_least_thirty_rounds(machine: Machine) -> None:
    assert measure({"a": machine.candidate("a", 1)}, duration=0.0001).rounds >= 30


def test_progress_goes_to_one(machine: Machine) -> None:
    shares: list[float] = []
    measure({"a": machine.candidate("a", 1)}, rounds=4, progress=shares.append)
    assert shares == [0.25, 0.5, 0.75, 1.0]


def test_garbage_is_not_collected_while_timing() -> None:
    states: list[bool] = []
    measure({"a": lambda: states.append(gc.isenabled())}, rounds=3, warmup=1)
    assert not any(states)
    assert gc.isenabled()


def test_thread_cpu_time_does_not_count_waiting() -> None:
    samples = measure(
        {"sleep": lambda: time.sleep(0.005)}, rounds=3, warmup=1, settle=0, clock="thread_cpu"
    )
    assert samples.clock == "thread_cpu"
    assert np.median(samples.seconds["sleep"]) < 0.0025


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounds": 0}, "at least 1"),
        ({"warmup": 0}, "at least 1"),
        ({"settle": -1}, "settle at least 0"),
    ],
)
def test_impossible_counts_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        measure({"a": lambda: None}, **options)  # type: ignore[arg-type]


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one candidate"):
        measure({}, rounds=1)


class Session:
    def __init__(self) -> None:
        self.feeds: list[dict[str, np.ndarray]] = []

    def run(self, names: None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.feeds.append(feeds)
        return []


def test_a_session_is_run_on_the_inputs() -> None:
    session = Session()
    inputs = {"x": np.ones((2, 3), np.float32), "ids": np.zeros((2, 3), np.int64)}
    session_call(session, inputs)()
    assert session.feeds == [inputs]


def test_inputs_of_zeros_are_refused() -> None:
    with pytest.raises(UsageError, match="input 'x' is all zeros"):
        session_call(Session(), {"x": np.zeros((2, 3), np.float32)})
