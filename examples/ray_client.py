"""Sends golden requests to examples/ray_serve.py, again where one fails, and counts answers.

    python -m examples.ray_client http://127.0.0.1:8000 FOLDER/golden.npz --requests 200

A model is a function: to send a request again does no harm, although it is a POST. So a client
loses nothing where a replica dies, as long as another one answers before the attempts run out.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from graphopt import GraphoptError
from graphopt.golden import Golden, load_golden
from graphopt.serving.bodies import pack, unpack
from graphopt.serving.golden_answers import check_answers

ATTEMPTS = 6
SECONDS = 60
"""How long one attempt may take."""


def open_session(attempts: int = ATTEMPTS) -> requests.Session:
    """A session that sends a request up to ``attempts`` times, at once and then ever later.

    It does so where no connection is made, one breaks, or the server says that the failure is its
    own: 500 (a replica died), 502, 503 (too many wait) and 504. What is refused with 4xx is not
    sent again.
    """
    retry = Retry(
        attempts - 1,
        status_forcelist=(500, 502, 503, 504),
        allowed_methods={"POST"},
        backoff_factor=0.2,
        backoff_jitter=0.1,
    )
    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=retry))
    return session


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of one request.

    Attributes:
        seconds: How long it took, with all attempts.
        verdict: right, wrong or lost.
        attempts: How often it was sent; 0 where none of the attempts was answered.
        replica: Who answered; "" where nobody did.
        problem: Why it is wrong or lost; else "".
    """

    seconds: float
    verdict: str
    attempts: int = 0
    replica: str = ""
    problem: str = ""


def ask(session: requests.Session, url: str, golden: Golden, number: int) -> Outcome:
    """Send one golden request and hold the answer to the golden one."""
    request = golden.requests[number % len(golden.requests)]
    begin = time.perf_counter()
    try:
        response = session.post(url, pack(request.inputs), timeout=SECONDS)
        response.raise_for_status()
    except requests.RequestException as error:
        return Outcome(time.perf_counter() - begin, "lost", problem=str(error))
    seconds, attempts = time.perf_counter() - begin, 1 + len(response.raw.retries.history)
    replica = response.headers["replica"]
    try:
        check_answers(golden, [request], [unpack(response.content)])
    except GraphoptError as error:
        return Outcome(seconds, "wrong", attempts, replica, str(error))
    return Outcome(seconds, "right", attempts, replica)


def load(
    url: str,
    golden: Golden,
    count: int,
    clients: int,
    attempts: int,
    seen: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Send ``count`` requests from ``clients`` threads, each one at a time.

    Args:
        url: Where to.
        golden: The requests and their answers.
        count: How many.
        clients: How many are under way at once.
        attempts: How often each is sent at most; 1 is once.
        seen: Called with each outcome, in the thread that has it.
    """
    own = threading.local()

    def one(number: int) -> Outcome:
        if not hasattr(own, "session"):
            own.session = open_session(attempts)
        outcome = ask(own.session, url, golden, number)
        seen(outcome)
        return outcome

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(one, range(count)))


def figures(outcomes: list[Outcome], seconds: float) -> dict[str, float]:
    """How many were right, wrong, lost, and sent more than once; rate; latencies."""
    verdicts = [outcome.verdict for outcome in outcomes]
    p50, p99 = np.quantile([outcome.seconds for outcome in outcomes], [0.5, 0.99])
    return {
        **{verdict: verdicts.count(verdict) for verdict in ("right", "wrong", "lost")},
        "sent_again": sum(outcome.attempts > 1 for outcome in outcomes),
        "replicas": len({outcome.replica for outcome in outcomes} - {""}),
        "per_second": round(len(outcomes) / seconds, 1),
        "p50_ms": round(1e3 * p50, 1),
        "p99_ms": round(1e3 * p99, 1),
    }


def main() -> None:
    """Prints the figures as JSON; exits with 1 where a request was lost or an answer wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("golden", type=Path)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--attempts", type=int, default=ATTEMPTS)
    options = parser.parse_args()
    golden = load_golden(options.golden)
    begin = time.perf_counter()
    outcomes = load(options.url, golden, options.requests, options.clients, options.attempts)
    found = figures(outcomes, time.perf_counter() - begin)
    print(json.dumps(found))
    problems = {outcome.problem for outcome in outcomes} - {""}
    sys.exit("\n".join(sorted(problems)) or 0)


if __name__ == "__main__":
    main()
