"""``verify --endpoint`` and ``bench --endpoint`` against a server of the protocol.

They need tritonclient, which wants an older protobuf than development has: where it is missing they
run in an environment of their own (test_in_environment.py).
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from graphopt.cli import cli
from graphopt.cli.exit_codes import run
from graphopt.endpoints.opening import open_endpoint
from graphopt.golden import save_golden
from tests.graphopt.endpoints.fake_endpoint import GOLDEN, X
from tests.graphopt.endpoints.protocol_server import Behaviour, serving

pytest.importorskip("tritonclient.http", reason='it comes with "graphopt[endpoint]"')
pytest.importorskip("tritonclient.grpc", reason='it comes with "graphopt[endpoint]"')


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    save_golden(GOLDEN, tmp_path / "golden.npz")
    return tmp_path / "golden.npz"


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def graphopt(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the program; exit code, output and errors."""

    def called(*arguments: object) -> tuple[int, str, str]:
        code = run(cli, [str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return called


@pytest.fixture
def verify(graphopt: Run, golden: Path) -> Run:
    """Verifies an endpoint by the golden pair, each request sent twice."""

    def called(url: str, *options: object, model: str = "twice") -> tuple[int, str, str]:
        asked = ("--endpoint", url, "--model", model, "--golden", golden)
        return graphopt("verify", *asked, "--repeat", 2, *options)

    return called


@pytest.mark.parametrize("tensors", ["binary", "json"])
def test_a_right_server_passes(verify: Run, tensors: str) -> None:
    with serving(Behaviour()) as url:
        code, out, error = verify(url, "--tensors", tensors)
    assert (code, error) == (0, "")
    assert f"verification: PASSED by twice at {url}" in out
    assert f"4 requests one after the other, {'JSON' if tensors == 'json' else 'binary'}" in out
    assert "note:" not in out


def test_a_server_without_the_binary_extension_gets_json(verify: Run) -> None:
    with serving(Behaviour(takes_binary=False)) as url:
        code, out, _ = verify(url)
    assert code == 0
    assert "JSON tensors" in out
    assert "note: the server takes no binary tensors over HTTP: JSON was sent" in out


def test_a_server_that_answers_in_json_is_said_to(verify: Run) -> None:
    with serving(Behaviour(answers_binary=False)) as url:
        code, out, _ = verify(url)
    assert code == 0
    assert "note: the server takes binary tensors over HTTP, and answers in JSON" in out


def test_a_wrong_server_fails_and_its_result_is_printed(verify: Run) -> None:
    with serving(Behaviour(factor=2.1)) as url:
        code, out, error = verify(url)
        as_json, text, _ = verify(url, "--json")
    assert (code, as_json) == (1, 1)
    assert f"verification: FAILED by twice at {url}" in out
    assert "beyond the tolerance" in out
    assert error.startswith("graphopt: error: http://127.0.0.1:")
    result = json.loads(text)["result"]
    assert (result["status"], result["requests"]) == ("failed", 4)
    assert result["outputs"][0]["max_abs"] == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize(
    ("behaviour", "options", "code", "said"),
    [
        (Behaviour(seconds=2), ["--timeout", "0.3"], 3, "no answer within 0.3 s: give the server"),
        (Behaviour(shape=(-1, 3)), [], 1, "its input 'x' has shape [-1, 3], the pair's [2, 2]"),
        (Behaviour(status=400), [], 2, "model 'twice' refuses the request (400): not today"),
        (Behaviour(status=503), [], 2, "model 'twice' refuses the request (503): not today"),
        (Behaviour(garbage=b"<html>"), [], 3, "no server of the protocol answers"),
        (Behaviour(garbage=b"[1]"), [], 3, "no server of the protocol answers"),
    ],
    ids=["slow", "another model's shapes", "refuses", "overloaded", "a web page", "other JSON"],
)
def test_what_goes_wrong_is_one_line_and_the_right_code(
    verify: Run, behaviour: Behaviour, options: list[str], code: int, said: str
) -> None:
    with serving(behaviour) as url:
        found, out, error = verify(url, *options)
    assert (found, out) == (code, "")
    assert error.count("\n") == 1
    assert said in error


def test_an_unknown_model_is_said(verify: Run) -> None:
    with serving(Behaviour()) as url:
        code, _, error = verify(url, model="thrice")
    assert code == 2
    assert f"{url}: there is no model 'thrice' (no such model): give the name" in error


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_an_endpoint_that_is_down_is_said(verify: Run, scheme: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code, _, error = verify(f"{scheme}://127.0.0.1:{port}", "--timeout", 5)
    assert code == 3
    assert error.count("\n") == 1
    assert "no server of the protocol answers" in error


def test_two_servers_are_compared(graphopt: Run, golden: Path, tmp_path: Path) -> None:
    with serving(Behaviour(seconds=0.01)) as slow, serving(Behaviour()) as fast:
        asked = ("--endpoint", slow, "--endpoint", fast, "--model", "twice", "--golden", golden)
        sizes = ("--iterations", 3, "--sessions", 6, "--json", tmp_path / "b.json")
        code, out, error = graphopt("bench", *asked, *sizes)
    assert (code, error) == (0, "")
    assert f"{fast} twice" in out
    assert "faster" in out
    rows = json.loads((tmp_path / "b.json").read_text())["result"]["rows"]
    assert [row["verdict"] for row in rows] == ["no difference", "faster"]
    assert [len(row["seconds"]) for row in rows] == [6, 6]


def test_arrays_of_any_layout_are_sent_as_they_are() -> None:
    with serving(Behaviour()) as url:
        endpoint = open_endpoint(url, "twice", 5)
        for x in (X.T, X[:, ::-1], np.array(3, np.float32), X[:0]):
            answer = endpoint.infer({"x": x}, ["y"], "binary")
            np.testing.assert_array_equal(answer.outputs["y"], 2 * x)
            assert answer.outputs["y"].shape == x.shape
        endpoint.close()
