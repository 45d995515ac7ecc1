"""Takes the steps that a GPU is needed for, each in a process of its own, until the time is out."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cuda_record import Outcome, Record, Status

from graphopt.benchmarking.result import BenchmarkEnvironment

__all__ = ["LONGEST", "SKIPPED", "Ended", "Planned", "in_own_process", "in_turn", "take"]

SKIPPED = 3
"""Exit code of a step that lacks something: the last line that it printed says what."""

LONGEST = 240.0
_KEPT_CHARACTERS = 12_000


@dataclasses.dataclass(frozen=True)
class Planned:
    """A step to take.

    Attributes:
        name: What the record calls it.
        title: What people call it.
    """

    name: str
    title: str


@dataclasses.dataclass(frozen=True)
class Ended:
    """How the process of a step ended.

    Attributes:
        code: Its exit code, negative for a signal; None where the time was out.
        output: What it printed, errors too.
    """

    code: int | None
    output: str


def in_turn(
    steps: Sequence[Planned], record: Record, environment: BenchmarkEnvironment
) -> list[str]:
    """Names of the steps to take: those begun, those never tried, then those that failed.

    What failed or lacked something is tried again last, because something may have been mended
    since, and it must not take the time of what was not tried.
    """
    known = {name: outcome.status for name, outcome in record.here(environment).steps.items()}
    ranks = {"unfinished": 0, None: 1, "failed": 2, "skipped": 2}
    left = [step.name for step in steps if known.get(step.name) != "done"]
    return sorted(left, key=lambda name: ranks[known.get(name)])  # stable: in their order


def take(
    steps: Sequence[Planned],
    path: Path,
    environment: BenchmarkEnvironment,
    *,
    start: Callable[[str, float], Ended],
    left: Callable[[], float],
    tell: Callable[[str], None],
    longest: float = LONGEST,
) -> Record:
    """Takes the steps that are not done, and saves what came of each when it ends.

    Args:
        steps: All steps, the most valuable first.
        path: The file of the record, to which a step adds its points itself.
        environment: The machine and the versions.
        start: Runs the step of a name for at most so many seconds.
        left: The seconds that are left.
        tell: Told one line about each step.
        longest: The most seconds for one step, so that none takes the time of all others.

    Returns:
        The record, which was saved.
    """
    titles = {step.name: step.title for step in steps}
    for name in in_turn(steps, Record.load(path), environment):
        before = left()
        if before <= 0:
            tell(f"{titles[name]}: not taken, the time is out")
            continue
        ended = start(name, min(before, longest))
        record = Record.load(path)
        saved = record.here(environment).steps.get(name, Outcome("unfinished"))
        status, reason = _judged(ended)
        if ended.code is None and before > longest:
            status, reason = "failed", f"it took more than {longest:.0f} s"
        outcome = dataclasses.replace(
            saved,
            status=status,
            reason=reason,
            text=ended.output[-_KEPT_CHARACTERS:],
            seconds=before - left(),
        )
        record.with_step(environment, name, outcome).save(path)
        tell(f"{titles[name]}: {status}{f': {reason}' if reason else ''}")
    return Record.load(path)


def _judged(ended: Ended) -> tuple[Status, str]:
    lines = [line.strip() for line in ended.output.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    if ended.code == 0:
        return "done", ""
    if ended.code is None:
        return "unfinished", "the time was out; the next run goes on with it"
    if ended.code == SKIPPED:
        return "skipped", last
    if ended.code < 0:
        return "failed", f"it was ended by signal {-ended.code}{f' after: {last}' if last else ''}"
    return "failed", last or f"it ended with code {ended.code} and printed nothing"


def in_own_process(command: Sequence[str], seconds: float) -> Ended:
    """Runs a command, and ends it with all that it started when its time is out."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
        return Ended(process.returncode, output)
    except subprocess.TimeoutExpired:
        _end(process)
        return Ended(None, process.communicate()[0])
    except BaseException:  # an interruption ends the step, too
        _end(process)
        raise


def _end(process: subprocess.Popen[str]) -> None:
    """End a process and its own."""
    os.killpg(process.pid, signal.SIGTERM)
    for _ in range(20):
        if process.poll() is not None:
            break
        time.sleep(0.1)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
