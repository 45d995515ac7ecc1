"""Replays golden requests on an endpoint, and holds its answers to the golden ones."""

from __future__ import annotations

__all__ = ["EndpointCheck", "choose_tensors", "replay"]

import dataclasses
from typing import Literal

import numpy as np

from graphopt.endpoints.agreement import check_description
from graphopt.endpoints.endpoint import Endpoint, Tensors
from graphopt.endpoints.refusals import RequestRefused
from graphopt.errors import UsageError
from graphopt.golden import Golden
from graphopt.verification.differences import OutputError
from graphopt.verification.golden_answers import errors_of_answer, worst_errors


@dataclasses.dataclass(frozen=True)
class EndpointCheck:
    """How an endpoint answered.

    Attributes:
        status: ``passed`` or ``failed``.
        url: Where it is.
        model: The model's name on it.
        tensors: How tensors were sent: ``binary`` or ``json``.
        requests: How many requests were sent and compared.
        outputs: Of each output the worst error over all answers.
        p50: Median seconds of a request.
        p99: 99th percentile of the seconds of a request.
        notes: What a reader should know beside it.
    """

    status: Literal["passed", "failed"]
    url: str
    model: str
    tensors: Tensors
    requests: int
    outputs: tuple[OutputError, ...]
    p50: float
    p99: float
    notes: tuple[str, ...] = ()


def replay(
    endpoint: Endpoint, golden: Golden, *, tensors: Tensors = "binary", repeat: int = 20
) -> EndpointCheck:
    """Send each golden request ``repeat`` times, one after the other, and compare every answer.

    Args:
        endpoint: Who answers.
        golden: The requests and the answers of a right model.
        tensors: How to send tensors. Where a server does not take bytes, JSON is sent, and the
            notes say so.
        repeat: How often each request is sent.

    Raises:
        VerificationFailed: The server describes another model.
        RequestRefused: It refuses a request.
        UsageError: It has no such model, or ``repeat`` is below 1.
        EnvironmentFailure: It does not answer, or not in time.
    """
    if repeat < 1:
        raise UsageError(f"--repeat {repeat}: give 1 or more")
    check_description(endpoint, golden)
    chosen, notes = choose_tensors(endpoint, golden, tensors)
    names = list(golden.rtol)
    errors, seconds = [], []
    for request in golden.requests:
        for _ in range(repeat):
            answer = endpoint.infer(request.inputs, names, chosen)
            seconds.append(answer.seconds)
            errors.append(errors_of_answer(golden, request, answer.outputs))
    outputs = worst_errors(errors)
    p50, p99 = np.quantile(seconds, [0.5, 0.99])
    return EndpointCheck(
        "passed" if all(output.passed for output in outputs) else "failed",
        endpoint.url,
        endpoint.model,
        chosen,
        len(seconds),
        outputs,
        float(p50),
        float(p99),
        notes,
    )


def choose_tensors(
    endpoint: Endpoint, golden: Golden, tensors: Tensors
) -> tuple[Tensors, tuple[str, ...]]:
    """How tensors can be sent to an endpoint, and what is to be said of it.

    The binary extension is optional, and no server says reliably whether it has it: one request
    tells. A server without it refuses the request, or fails.

    Raises:
        RequestRefused: It refuses bytes and JSON; the refusal is that of the bytes.
        EnvironmentFailure: It does not answer, or not in time.
    """
    if tensors == "json":
        return "json", ()
    names, inputs = list(golden.rtol), golden.requests[0].inputs
    try:
        answer = endpoint.infer(inputs, names, "binary")
    except RequestRefused as refused:
        if endpoint.url.startswith("grpc"):
            raise
        try:
            endpoint.infer(inputs, names, "json")
        except RequestRefused:
            raise refused from None
        return "json", ("the server takes no binary tensors over HTTP: JSON was sent",)
    if not answer.is_binary:
        return "binary", ("the server takes binary tensors over HTTP, and answers in JSON",)
    return "binary", ()
