"""A bounded load: CLIENTS threads send REQUESTS requests; prints how many came back right.

Called by the client's Python: ``load.py URL MODEL GOLDEN CLIENTS REQUESTS``.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np

from graphopt.endpoints.opening import open_endpoint
from graphopt.endpoints.replay import choose_tensors
from graphopt.golden import load_golden
from graphopt.verification.golden_answers import errors_of_answer


def main(url: str, model: str, file: str, clients: int, requests: int) -> None:
    golden = load_golden(Path(file))
    with closing(open_endpoint(url, model, 60)) as endpoint:
        tensors, _ = choose_tensors(endpoint, golden, "binary")

    def client(count: int) -> list[tuple[float, bool]]:
        found = []
        with closing(open_endpoint(url, model, 60)) as endpoint:
            for number in range(count):
                request = golden.requests[number % len(golden.requests)]
                answer = endpoint.infer(request.inputs, list(golden.rtol), tensors)
                errors = errors_of_answer(golden, request, answer.outputs)
                found.append((answer.seconds, all(error.passed for error in errors)))
        return found

    begin = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        shares = [requests // clients + (n < requests % clients) for n in range(clients)]
        found = [each for part in pool.map(client, shares) for each in part]
    seconds = time.perf_counter() - begin
    p50, p99 = np.quantile([each for each, _ in found], [0.5, 0.99])
    right = sum(passed for _, passed in found)
    print(json.dumps({"right": right, "per_second": len(found) / seconds, "p50": p50, "p99": p99}))


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:]))
