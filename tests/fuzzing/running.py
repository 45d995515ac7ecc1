"""Runs many cases, each in a process split off from one that has everything imported."""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.fuzzing.one_case import BYTES, END_FILE, run_case

__all__ = ["DEFECTS", "Ended", "run_cases", "table"]

_PATIENCE = 300
"""Seconds after which a process hangs, on however busy a machine."""

DEFECTS = (
    "wrong result",
    "exit 70",
    "died",
    "more than 30 s",
    "more than 2 GB",
    "out of memory",
    "exit 2 without a message",
    "exit 3 without a message",
    "the fuzzer failed",
)


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a case ended.

    Attributes:
        end: In a few words; those in DEFECTS are defects of graphopt.
        case: What :class:`tests.fuzzing.cases.Case` says of it.
        said: What graphopt printed.
        seconds: Wall time.
        bytes: Maximum resident set.
    """

    end: str
    case: dict[str, Any]
    said: str
    seconds: float
    bytes: int

    @property
    def is_defect(self) -> bool:
        """True where graphopt is to blame."""
        return self.end.startswith(DEFECTS)


def run_cases(
    seed: int, numbers: Sequence[int], models: Sequence[Path], *, jobs: int = 1
) -> Iterator[Ended]:
    """Run the cases of these numbers, some side by side, in the order in which they end."""
    with tempfile.TemporaryDirectory() as directory:
        waiting = collections.deque((number, True) for number in numbers)
        running: dict[int, tuple[int, bool, Path, float]] = {}
        while waiting or running:
            while waiting and len(running) < jobs:
                number, verify = waiting.popleft()
                folder = Path(tempfile.mkdtemp(dir=directory))
                pid = _split_off(seed, number, models, folder, verify)
                running[pid] = (number, verify, folder, time.monotonic())
            pid, status, usage = _next(running)
            number, verify, folder, began = running.pop(pid)
            ended = _judge(folder, status, usage.ru_maxrss * 1024, time.monotonic() - began)
            shutil.rmtree(folder, ignore_errors=True)
            if verify and ended.end.startswith("died"):
                # ONNX Runtime may end the process that it runs in: without it, nothing may.
                waiting.append((number, False))
            elif not verify and not ended.is_defect:
                yield dataclasses.replace(ended, end=f"{ended.end}, ONNX Runtime died")
            else:
                yield ended


def _split_off(seed: int, number: int, models: Sequence[Path], folder: Path, verify: bool) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setpgid(0, 0)
        run_case(seed, number, models, folder, verify=verify)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(99)
    os._exit(0)


def _next(running: dict[int, tuple[int, bool, Path, float]]) -> tuple[int, int, Any]:
    """Wait for one of them; end one that outlives its alarm, with whatever it started."""
    while True:
        for pid, (_, _, _, began) in running.items():
            found, status, usage = os.wait4(pid, os.WNOHANG)
            if found:
                return pid, status, usage
            if time.monotonic() - began > _PATIENCE:
                os.killpg(pid, signal.SIGKILL)
        time.sleep(0.005)


def _judge(folder: Path, status: int, peak: int, seconds: float) -> Ended:
    said = (folder / "said").read_text(errors="replace")
    file = folder / END_FILE
    case = json.loads(file.read_text()) if file.exists() else {"end": ""}
    end = case.pop("end")
    code = os.waitstatus_to_exitcode(status)
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        end = "more than 30 s"
    elif code < 0:
        end = f"died of {signal.Signals(-code).name}"
    elif code or not end:
        end = f"the fuzzer failed ({code})"
    elif peak > BYTES:
        end = "more than 2 GB"
    return Ended(end, case, said, seconds, peak)


def table(ends: Sequence[Ended]) -> str:
    """How many ended how, as a Markdown table, defects last."""
    counts = collections.Counter(ended.end for ended in ends)
    ordered = sorted(counts, key=lambda end: (end.startswith(DEFECTS), -counts[end]))
    rows = [f"| {end} | {counts[end]} |" for end in ordered]
    return "\n".join(["| ended | files |", "| --- | --- |", *rows, f"| in all | {len(ends)} |"])
