"""Compares endpoints by the latency that a client sees, in interleaved rounds."""

from __future__ import annotations

__all__ = ["EndpointBenchmark", "EndpointRow", "Target", "benchmark_endpoints"]

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing

from graphopt.endpoints.agreement import check_description
from graphopt.endpoints.endpoint import Endpoint, Tensors
from graphopt.endpoints.opening import open_endpoint
from graphopt.endpoints.replay import choose_tensors
from graphopt.errors import UsageError, VerificationFailed
from graphopt.golden import Golden
from graphopt.measuring.comparison import Comparison, Verdict, compare
from graphopt.measuring.rounds import Call, Samples, measure
from graphopt.verification.golden_answers import errors_of_answer


@dataclasses.dataclass(frozen=True)
class Target:
    """One endpoint of a benchmark.

    Attributes:
        url: Where it is.
        model: The model's name on it.
    """

    url: str
    model: str

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.url} {self.model}"


@dataclasses.dataclass(frozen=True)
class EndpointRow:
    """One endpoint beside the first.

    Attributes:
        target: The endpoint.
        tensors: How tensors were sent to it.
        figures: Its latencies, and their ratio to those of the first endpoint.
        verdict: What the ratio says.
        seconds: The raw seconds, by opening and round.
    """

    target: Target
    tensors: Tensors
    figures: Comparison
    verdict: Verdict
    seconds: tuple[tuple[float, ...], ...]


@dataclasses.dataclass(frozen=True)
class EndpointBenchmark:
    """A comparison of endpoints.

    Attributes:
        rows: One for each endpoint, the one that the others are divided by first.
        openings: How often all were connected to anew.
        rounds: Timed requests to each in an opening.
        stable: Whether every warm-up ended because none became faster any more.
        notes: What a reader should know beside it.
    """

    rows: tuple[EndpointRow, ...]
    openings: int
    rounds: int
    stable: bool
    notes: tuple[str, ...] = ()


def benchmark_endpoints(
    targets: Sequence[Target],
    golden: Golden,
    *,
    tensors: Tensors = "binary",
    timeout: float = 60.0,
    duration: float = 20.0,
    rounds: int | None = None,
    openings: int = 20,
    warmup: int = 2,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> EndpointBenchmark:
    """Time the first golden request on each endpoint, after all have answered it rightly.

    Args:
        targets: At least two; the others are divided by the first.
        golden: The requests and the answers of a right model.
        tensors: How to send tensors.
        timeout: Seconds that a request may take.
        duration: Seconds to aim at, where ``rounds`` is left out.
        rounds: Timed requests to each endpoint in an opening.
        openings: The most connections to each, one after the other.
        warmup: Requests between two looks at whether they still get faster.
        seed: Seed of the order, and of the resampling.
        progress: Called with the share that is done.

    Raises:
        UsageError: There are fewer than two endpoints, one twice, or an unknown model.
        VerificationFailed: One answers another model's tensors.
        EnvironmentFailure: One does not answer, or not in time.
    """
    if len(targets) < 2 or len(set(targets)) < len(targets):
        raise UsageError(
            "--endpoint: give two or more, each once: --endpoint URL_A --endpoint URL_B"
        )
    used, notes = _checked(targets, golden, tensors, timeout)
    request, names = golden.requests[0], list(golden.rtol)

    def opener(target: Target) -> Callable[[], Call]:
        def opened() -> Call:
            endpoint = open_endpoint(target.url, target.model, timeout)
            connections.callback(endpoint.close)
            return lambda: endpoint.infer(request.inputs, names, used[target])

        return opened

    with ExitStack() as connections:
        samples = measure(
            {target.name: opener(target) for target in targets},
            openings=openings,
            rounds=rounds,
            duration=duration,
            warmup=warmup,
            seed=seed,
            progress=progress,
        )
    return _benchmark(targets, used, samples, notes, seed)


def _checked(
    targets: Sequence[Target], golden: Golden, tensors: Tensors, timeout: float
) -> tuple[dict[Target, Tensors], tuple[str, ...]]:
    """How tensors are sent to each endpoint, once each has answered rightly."""
    used: dict[Target, Tensors] = {}
    notes: list[str] = []
    for target in targets:
        with closing(open_endpoint(target.url, target.model, timeout)) as endpoint:
            check_description(endpoint, golden)
            used[target], said = choose_tensors(endpoint, golden, tensors)
            notes += [f"{target.name}: {note}" for note in said]
            _check_answer(endpoint, golden, used[target])
    return used, tuple(notes)


def _check_answer(endpoint: Endpoint, golden: Golden, tensors: Tensors) -> None:
    request = golden.requests[0]
    answer = endpoint.infer(request.inputs, list(golden.rtol), tensors)
    wrong = [e for e in errors_of_answer(golden, request, answer.outputs) if not e.passed]
    if wrong:
        raise VerificationFailed(
            f"{endpoint.url}: model {endpoint.model!r} does not answer the golden pair: output "
            f"{wrong[0].name!r}: {wrong[0].problem or f'largest error {wrong[0].max_abs:.2g}'}: "
            "serve the model of the pair"
        )


def _benchmark(
    targets: Sequence[Target],
    used: dict[Target, Tensors],
    samples: Samples,
    notes: tuple[str, ...],
    seed: int,
) -> EndpointBenchmark:
    compared = compare(samples, targets[0].name, seed=seed)
    rows = tuple(
        EndpointRow(
            target,
            used[target],
            compared[target.name],
            compared[target.name].verdict,
            tuple(tuple(map(float, opening)) for opening in samples.seconds[target.name]),
        )
        for target in targets
    )
    openings, rounds = samples.seconds[targets[0].name].shape
    return EndpointBenchmark(rows, openings, rounds, samples.stable, notes)
