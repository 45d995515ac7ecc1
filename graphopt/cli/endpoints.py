"""What ``verify --endpoint`` and ``bench --endpoint`` do: ask, print, save."""

from __future__ import annotations

__all__ = ["bench_endpoints", "verify_endpoint"]

import functools
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from graphopt.cli.progress import progress_bar
from graphopt.errors import UsageError, VerificationFailed
from graphopt.files.text_files import check_targets, write_text

if TYPE_CHECKING:
    from graphopt.benchmarking.settings import Settings
    from graphopt.cli.endpoint_options import EndpointOptions

_SCHEMA = 1


def verify_endpoint(asked: EndpointOptions, repeat: int, *, as_json: bool) -> None:
    """Replay golden requests on one endpoint and print the errors; raise where an answer is wrong.

    Raises:
        VerificationFailed: An answer is wrong, or the model is another.
        UsageError: There are several endpoints, the model is unknown, or the pair is none.
        EnvironmentFailure: The server does not answer, or not in time.
    """
    from graphopt.endpoints.opening import open_endpoint
    from graphopt.endpoints.replay import replay
    from graphopt.golden import load_golden
    from graphopt.json_values import to_json
    from graphopt.printing.console import console
    from graphopt.printing.endpoints import print_endpoint_check

    if len(asked.targets) > 1:
        raise UsageError("verify takes one --endpoint: call it once for each")
    golden = load_golden(asked.golden)
    url, model = asked.targets[0]
    with closing(open_endpoint(url, model, asked.timeout)) as endpoint:
        checked = replay(endpoint, golden, tensors=asked.tensors, repeat=repeat)
    if as_json:
        print(to_json({"schema": _SCHEMA, "result": checked}), end="")
    else:
        print_endpoint_check(console(), checked)
    if checked.status == "failed":
        raise VerificationFailed(
            f"{url}: model {model!r} does not give the outputs of the pair: serve the one it is of"
        )


def bench_endpoints(
    asked: EndpointOptions, settings: Settings, *, json: Path | None, force: bool
) -> None:
    """Compare the latencies of endpoints, print them, and write the file asked for.

    Raises:
        VerificationFailed: One answers wrongly.
        UsageError: There are fewer than two, an unknown model, or the pair is none.
        EnvironmentFailure: A server does not answer, or not in time, or the disk fails.
    """
    from graphopt.endpoints.timing import Target, benchmark_endpoints
    from graphopt.golden import load_golden
    from graphopt.json_values import to_json
    from graphopt.printing.console import console
    from graphopt.printing.endpoints import print_endpoint_benchmark

    check_targets({"--json": json}, [asked.golden], force)
    golden = load_golden(asked.golden)
    with progress_bar(still=True) as progress:
        result = benchmark_endpoints(
            [Target(url, model) for url, model in asked.targets],
            golden,
            tensors=asked.tensors,
            timeout=asked.timeout,
            duration=settings.duration,
            rounds=settings.iterations,
            openings=settings.openings,
            warmup=settings.warmup,
            seed=settings.seed,
            progress=None if progress is None else functools.partial(progress, "endpoints"),
        )
    try:
        # The file first: what was measured must not be lost with a closed pipe.
        if json is not None:
            write_text(json, to_json({"schema": _SCHEMA, "result": result}))
    finally:
        print_endpoint_benchmark(console(), result)
