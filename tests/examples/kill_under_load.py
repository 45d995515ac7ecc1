"""Kills a replica of examples/ray_serve.py under load; prints what became of the requests.

Called by the Python that has Ray: ``kill_under_load.py URL GOLDEN CLIENTS REQUESTS ATTEMPTS``.
Another replica than the two that answer first is waited for afterwards.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from examples.ray_client import Outcome, ask, figures, load, open_session
from graphopt.golden import Golden, load_golden

_SECONDS = 240
_DELAY = 0.3


class Killer:
    """Sees the outcomes; after a third of them, with two replicas seen, one of the two is killed.

    That is done a little after an outcome, when both replicas have new requests, which wait there
    for others to run with.
    """

    def __init__(self, requests: int) -> None:
        self.killed = ""
        self.replicas: set[str] = set()
        self._left = requests // 3
        self._lock = threading.Lock()

    def __call__(self, outcome: Outcome) -> None:
        with self._lock:
            self._left -= 1
            if self.killed:
                return
            self.replicas.add(outcome.replica)
            if self._left > 0 or len(self.replicas) < 2:
                return
            self.killed = max(self.replicas)
        time.sleep(_DELAY)
        os.kill(int(self.killed), signal.SIGKILL)


def wait_for_another(url: str, golden: Golden, known: set[str]) -> str:
    """The replica that came for the one that was killed."""
    session, end = open_session(), time.monotonic() + _SECONDS
    while time.monotonic() < end:
        found = ask(session, url, golden, 0)
        if found.verdict == "right" and found.replica not in known:
            return found.replica
        time.sleep(0.1)
    raise TimeoutError(f"no replica came for the one that was killed within {_SECONDS} s")


def main(url: str, file: str, clients: int, requests: int, attempts: int) -> None:
    golden = load_golden(Path(file))
    killer = Killer(requests)
    begin = time.perf_counter()
    outcomes = load(url, golden, requests, clients, attempts, killer)
    found = figures(outcomes, time.perf_counter() - begin)
    begin = time.perf_counter()
    another = wait_for_another(url, golden, killer.replicas)
    problems = sorted({outcome.problem for outcome in outcomes} - {""})
    more = {"killed": killer.killed, "another": another, "problems": problems}
    print(json.dumps({**found, **more, "another_after_s": round(time.perf_counter() - begin, 1)}))


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:]))
