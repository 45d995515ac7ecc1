"""Replaying and timing, on endpoints without a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from graphopt.endpoints import timing
from graphopt.endpoints.address import parse_address
from graphopt.endpoints.endpoint import Array, Tensor
from graphopt.endpoints.refusals import RequestRefused
from graphopt.endpoints.replay import replay
from graphopt.endpoints.timing import Target, benchmark_endpoints
from graphopt.errors import UsageError, VerificationFailed
from tests.graphopt.endpoints.fake_endpoint import GOLDEN, INPUTS, OUTPUTS, FakeEndpoint, doubled


def test_every_answer_is_compared_and_timed() -> None:
    endpoint = FakeEndpoint()
    checked = replay(endpoint, GOLDEN, repeat=3)
    assert checked.status == "passed"
    assert (checked.requests, checked.tensors, checked.notes) == (6, "binary", ())
    # One request told how tensors can be sent; the seconds of the fake count its requests.
    assert len(endpoint.sent) == 7
    np.testing.assert_allclose(
        [checked.p50, checked.p99], np.quantile(np.arange(2, 8), [0.5, 0.99]) / 1000
    )


def test_one_wrong_answer_among_many_fails() -> None:
    calls: list[int] = []

    def sometimes(inputs: Mapping[str, Array]) -> dict[str, Array]:
        calls.append(1)
        return {"y": 2 * inputs["x"] + (0.5 if len(calls) == 5 else 0)}

    checked = replay(FakeEndpoint(sometimes), GOLDEN, repeat=3)
    assert checked.status == "failed"
    assert [(error.passed, error.max_abs) for error in checked.outputs] == [(False, 0.5)]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda inputs: {}, "the answer has no 'y'"),
        (lambda inputs: {"y": inputs["x"][:, :1]}, r"shape [2, 1] instead of [2, 2]"),
        (lambda inputs: {"y": inputs["x"].astype("f8")}, "type float64 instead of float32"),
    ],
)
def test_an_answer_of_another_form_fails(answer: Any, problem: str) -> None:
    checked = replay(FakeEndpoint(answer), GOLDEN, repeat=1)
    assert checked.status == "failed"
    assert checked.outputs[0].problem == problem


def test_a_server_without_bytes_gets_json_and_that_is_said() -> None:
    endpoint = FakeEndpoint(takes=("json",))
    checked = replay(endpoint, GOLDEN, repeat=1)
    assert (checked.status, checked.tensors) == ("passed", "json")
    assert checked.notes == ("the server takes no binary tensors over HTTP: JSON was sent",)
    assert endpoint.sent == ["binary", "json", "json", "json"]


def test_a_server_that_answers_in_json_is_said_to() -> None:
    checked = replay(FakeEndpoint(answers_in="json"), GOLDEN, repeat=1)
    assert checked.tensors == "binary"
    assert checked.notes == ("the server takes binary tensors over HTTP, and answers in JSON",)


@pytest.mark.parametrize("url", ["http://here:1", "grpc://here:1"])
def test_a_server_that_refuses_every_form_is_quoted(url: str) -> None:
    with pytest.raises(RequestRefused, match=r"here:1: model 'twice' .*\(400\): no binary here"):
        replay(FakeEndpoint(takes=(), url=url), GOLDEN)


@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        ((Tensor("z", "FP32", (-1, 2)),), OUTPUTS, "it has the inputs z, the pair x"),
        ((*INPUTS, Tensor("z", "FP32", ())), OUTPUTS, "it has the inputs x, z, the pair x"),
        (INPUTS, (Tensor("z", "FP32", (-1, 2)),), "it has the outputs z, the pair y"),
        ((Tensor("x", "FP16", (-1, 2)),), OUTPUTS, "its input 'x' has type FP16, the pair's FP32"),
        ((Tensor("x", "FP32", (-1,)),), OUTPUTS, r"its input 'x' has shape \[-1\], the pair's"),
        (INPUTS, (Tensor("y", "FP32", (-1, 3)),), r"its output 'y' has shape \[-1, 3\], the"),
    ],
)
def test_another_model_is_known_before_anything_is_sent(
    inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], said: str
) -> None:
    endpoint = FakeEndpoint(inputs=inputs, outputs=outputs)
    with pytest.raises(VerificationFailed, match=f"is not the one of the golden pair: {said}"):
        replay(endpoint, GOLDEN)
    assert endpoint.sent == []


def test_a_server_that_describes_nothing_is_asked_all_the_same() -> None:
    assert replay(FakeEndpoint(inputs=(), outputs=()), GOLDEN, repeat=1).status == "passed"


def test_endpoints_are_timed_in_interleaved_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[FakeEndpoint] = []

    def opening(url: str, model: str, timeout: float) -> FakeEndpoint:
        takes = ("json",) if "slow" in url else ("binary", "json")
        opened.append(FakeEndpoint(url=url, seconds=0.004 if "slow" in url else 0.001, takes=takes))
        return opened[-1]

    monkeypatch.setattr(timing, "open_endpoint", opening)
    targets = [Target("http://slow:1", "a"), Target("http://fast:1", "b")]
    found = benchmark_endpoints(targets, GOLDEN, rounds=3, openings=6)
    assert (found.openings, found.rounds) == (6, 3)
    assert [row.tensors for row in found.rows] == ["json", "binary"]
    assert [row.verdict for row in found.rows] == ["no difference", "faster"]
    assert found.rows[1].figures.ratio.high < 0.9
    assert [len(row.seconds) for row in found.rows] == [6, 6]
    assert found.notes == (
        "http://slow:1 a: the server takes no binary tensors over HTTP: JSON was sent",
    )
    assert len(opened) == 2 + 2 * 6
    assert all(endpoint.closed for endpoint in opened)


def test_what_answers_wrongly_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def opening(url: str, model: str, timeout: float) -> FakeEndpoint:
        return FakeEndpoint(doubled if "a" in url else lambda inputs: {"y": inputs["x"]}, url=url)

    monkeypatch.setattr(timing, "open_endpoint", opening)
    targets = [Target("http://a:1", "m"), Target("http://b:1", "m")]
    with pytest.raises(VerificationFailed, match=r"b:1: model 'twice' does not answer .*'y': larg"):
        benchmark_endpoints(targets, GOLDEN)


def test_a_comparison_needs_two_endpoints() -> None:
    target = Target("http://a:1", "m")
    for targets in ([target], [target, target]):
        with pytest.raises(UsageError, match="--endpoint: give two or more, each once"):
            benchmark_endpoints(targets, GOLDEN)


@pytest.mark.parametrize(
    ("url", "place", "is_grpc", "is_secure"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", False, False),
        ("https://host:443/base/", "host:443/base", False, True),
        ("http://host:80/v2", "host:80", False, False),
        ("grpc://[::1]:8001", "[::1]:8001", True, False),
        ("grpcs://host:8001/", "host:8001", True, True),
    ],
)
def test_addresses(url: str, place: str, is_grpc: bool, is_secure: bool) -> None:
    found = parse_address(url)
    assert (found.url, found.place) == (url, place)
    assert (found.is_grpc, found.is_secure) == (is_grpc, is_secure)


@pytest.mark.parametrize(
    "url",
    [
        "host:8000",
        "ftp://host:1",
        "http://host",
        "http://:80",
        "http://host:99999",
        "grpc://h:1/v2/x",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"--endpoint .*write it as"):
        parse_address(url)
