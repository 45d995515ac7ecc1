"""Steps that fail, and runs that go on, without a GPU."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from graphopt import UsageError
from graphopt.benchmarking.result import Failure
from tests.cuda_benchmark.machine import ELSEWHERE, HERE, Machine, measured


def test_a_step_that_fails_costs_no_other(scripts: dict[str, ModuleType], path: Path) -> None:
    machine = Machine(scripts, path)
    ends = {
        "a": (1, "a long story\nRuntimeError: it is broken\n\n"),
        "b": (-11, "began\n"),
        "c": (3, "there is no nvcc: install the CUDA toolkit\n"),
        "d": (7, ""),
    }
    record = machine.take("a b c d e", ends)
    assert machine.taken == ["a", "b", "c", "d", "e"]
    found = {name: (s.status, s.reason) for name, s in record.here(HERE).steps.items()}
    assert found == {
        "a": ("failed", "RuntimeError: it is broken"),
        "b": ("failed", "it was ended by signal 11 after: began"),
        "c": ("skipped", "there is no nvcc: install the CUDA toolkit"),
        "d": ("failed", "it ended with code 7 and printed nothing"),
        "e": ("done", ""),
    }
    assert record.here(HERE).steps["a"].text.startswith("a long story")
    assert record.here(HERE).steps["e"].seconds == 10
    assert machine.lines[0] == "the a: failed: RuntimeError: it is broken"


def test_the_next_run_goes_on(scripts: dict[str, ModuleType], path: Path) -> None:
    """First what was begun, then what was never tried, then what failed; nothing that is done."""
    machine = Machine(scripts, path, seconds=35)
    machine.take("a b c d e f", {"a": (1, "no"), "b": (3, "no"), "d": (None, "half")})
    assert machine.taken == ["a", "b", "c", "d"]
    assert machine.lines[-2:] == [
        "the e: not taken, the time is out",
        "the f: not taken, the time is out",
    ]
    machine.seconds, machine.taken = 1e3, []
    record = machine.take("a b c d e f", {})
    assert machine.taken == ["d", "e", "f", "a", "b"]
    assert set(machine.statuses(record).values()) == {"done"}
    machine.taken = []
    machine.take("a b c d e f", {})
    assert machine.taken == []


def test_a_step_that_hangs_does_not_take_all_time(
    scripts: dict[str, ModuleType], path: Path
) -> None:
    machine = Machine(scripts, path, seconds=1e3)
    record = machine.take("a b", {"a": (None, "")})
    assert record.here(HERE).steps["a"].reason == "it took more than 240 s"
    assert machine.statuses(record) == {"a": "failed", "b": "done"}


def test_another_machine_begins_anew_and_keeps_the_old(
    scripts: dict[str, ModuleType], path: Path
) -> None:
    machine = Machine(scripts, path)
    machine.take("a b", {})
    record = machine.take("a b", {"b": (1, "no")}, ELSEWHERE)
    assert machine.taken == ["a", "b", "a", "b"]
    assert [run.environment for run in record.runs] == [HERE, ELSEWHERE]
    assert machine.statuses(record) == {"a": "done", "b": "done"}
    assert machine.statuses(record, ELSEWHERE) == {"a": "done", "b": "failed"}


def test_points_are_saved_as_they_come(scripts: dict[str, ModuleType], path: Path) -> None:
    """A step that is ended has lost nothing, and goes on behind what it has."""
    record_of = scripts["cuda_record"].Record.load
    keep = scripts["cuda"].keeper(path, HERE, "a", ())
    keep(measured("vit", 1))
    keep(measured("vit", 1, 8))
    machine = Machine(scripts, path)
    machine.seconds = 10
    outcome = machine.take("a", {"a": (None, "killed")}).here(HERE).steps["a"]
    assert outcome.status == "unfinished"
    assert outcome.benchmarks == (measured("vit", 1, 8),)
    place = scripts["cuda_steps"].Place(False, None, outcome.benchmarks, keep)
    assert place.left((1, 8, 32)) == (32,)
    scripts["cuda"].keeper(path, HERE, "a", outcome.benchmarks)(measured("vit", 32))
    saved = record_of(path).here(HERE).steps["a"].benchmarks
    assert [[p.batch for p in each.points] for each in saved] == [[1, 8], [32]]


def test_a_point_without_rows_is_not_done(scripts: dict[str, ModuleType]) -> None:
    result = measured("vit", 1, rows=(), failures=(Failure("original", "out of memory"),))
    place = scripts["cuda_steps"].Place(False, None, (result,), lambda result: None)
    assert place.left((1, 8)) == (1, 8)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "Expecting property name"),
        ("[]", "its schema is None, not 'graphopt.cuda-results/1'"),
        ('{"schema": "graphopt.cuda-results/1", "runs": 3}', "record.runs is 3"),
    ],
)
def test_a_file_that_is_no_record_is_left(
    text: str, what: str, scripts: dict[str, ModuleType], path: Path
) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        scripts["cuda_record"].Record.load(path)
    assert what in str(refused.value)
    assert "move it away to begin anew" in str(refused.value)
    assert path.read_text() == text


def test_a_process_is_ended_with_all_that_it_started(scripts: dict[str, ModuleType]) -> None:
    run = scripts["cuda_running"].in_own_process
    ended = run(["sh", "-c", "echo begun; sleep 1000 & sleep 1000"], 0.5)
    assert ended.code is None
    ended = run(["sh", "-c", "echo out; echo err >&2; exit 5"], 100.0)
    assert (ended.code, ended.output) == (5, "out\nerr\n")
