"""KServe and MLServer with an original and its optimized model: verified, compared, under load."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from graphopt.optimization import optimize_for
from graphopt.options import Check
from graphopt.packaging.job import PackageOptions, write_package
from graphopt.passes.pipeline import Options
from tests.conftest import ZooModel
from tests.graphopt.serving import environments, load
from tests.graphopt.serving.running import Urls, kserve_server, mlserver_server

pytestmark = pytest.mark.slow
NAME = "vit"
CLIENTS, REQUESTS = 4, 120

Server = Callable[[Path, Path, str], AbstractContextManager[Urls]]


@pytest.fixture(scope="module")
def models(zoo_model: ZooModel, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The original and the optimized model."""
    original = zoo_model("vit-ti-16-tiny", "dynamo")
    optimized = tmp_path_factory.mktemp("models") / "optimized.onnx"
    optimize_for(original, Options(), check=Check(), output=optimized)
    return original, optimized


def client(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [environments.client(), *arguments]
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("kind", "python", "server"),
    [
        ("kserve", environments.kserve, kserve_server),
        ("mlserver", environments.mlserver, mlserver_server),
    ],
    ids=["kserve", "mlserver"],
)
def test_a_server_answers_rightly_alone_and_under_load(
    kind: str,
    python: Callable[[], Path],
    server: Server,
    models: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    original, optimized = models
    golden = tmp_path / "original" / "golden.npz"
    options = PackageOptions(name=NAME, original=original)
    with ExitStack() as servers:
        urls = []
        for name, file in (("original", original), ("optimized", optimized)):
            write_package(file, kind, tmp_path / name, options)
            urls.append(servers.enter_context(server(python(), tmp_path / name, NAME)))
        for name, at in zip(("original", "optimized"), urls, strict=True):
            for url in at:
                asked = ("--endpoint", url, "--model", NAME, "--golden", golden, "--repeat", 5)
                done = client("-m", "graphopt", "verify", *asked, "--json")
                assert done.returncode == 0, done.stderr
                result = json.loads(done.stdout)["result"]
                assert (result["status"], result["requests"]) == ("passed", 15)
                loaded = client(load.__file__, url, NAME, golden, CLIENTS, REQUESTS)
                assert loaded.returncode == 0, loaded.stderr
                figures = json.loads(loaded.stdout)
                with capsys.disabled():
                    print(f"\n{kind} {name} {url}", _shown(result), figures)
                assert figures["right"] == REQUESTS
        _check_refusals(urls[1])
        if kind == "kserve":
            _check_bytes(urls[1])
        asked = [part for at in urls for part in ("--endpoint", at.grpc)]
        done = client(
            *("-m", "graphopt", "bench", *asked, "--model", NAME, "--golden", golden),
            *("--iterations", 5, "--sessions", 6),
        )
        assert done.returncode == 0, done.stderr
        with capsys.disabled():
            print(done.stdout)


def _check_refusals(at: Urls) -> None:
    """What does not fit is answered with 4xx and one line, and the server goes on."""
    x = {"name": "pixel_values", "datatype": "FP32", "shape": [1, 3, 2, 2], "data": [0.0] * 12}
    cases: list[tuple[dict[str, Any], str]] = [
        (x, "has shape [1, 3, 2, 2]: give"),
        ({**x, "name": "pixels"}, "unknown input 'pixels'"),
        ({**x, "datatype": "INT64", "data": [0] * 12}, "has type INT64: give FP32"),
        ({**x, "data": [0.0] * 11}, "is no FP32 of shape [1, 3, 2, 2]"),
    ]
    for tensor, said in cases:
        _check_refusal(at, json.dumps({"inputs": [tensor]}).encode(), said)
    with urllib.request.urlopen(f"{at.http}/v2/health/ready", timeout=60) as answer:
        assert answer.status == 200


def _check_bytes(at: Urls) -> None:
    """The bytes of a request are held to what its head says, by graphopt and not by KServe."""
    for size, shape, said in (
        (12, [1, 3], "input 'pixel_values' has a binary_data_size of 12, and 8 bytes are left"),
        (8, [1, 3], "is no FP32 of shape [1, 3]"),
        (8, [1, 2], "has shape [1, 2]: give"),
    ):
        sizes = {"parameters": {"binary_data_size": size}}
        x = {"name": "pixel_values", "datatype": "FP32", "shape": shape, **sizes}
        head = json.dumps({"inputs": [x]}).encode()
        length = {"Inference-Header-Content-Length": str(len(head))}
        _check_refusal(at, head + bytes(8), said, length)


def _check_refusal(
    at: Urls, body: bytes, said: str, headers: Mapping[str, str] = MappingProxyType({})
) -> None:
    kind = "application/octet-stream" if headers else "application/json"
    request = urllib.request.Request(
        f"{at.http}/v2/models/{NAME}/infer", body, {"Content-Type": kind, **headers}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=60)
    assert caught.value.code == 400
    assert said in json.loads(caught.value.read())["error"]


def _shown(result: dict[str, Any]) -> str:
    error = max(output["max_rel"] for output in result["outputs"])
    return (
        f"{result['tensors']}, error {error:.2g}, p50 {1e3 * result['p50']:.1f} ms, "
        f"p99 {1e3 * result['p99']:.1f} ms;"
    )


def test_kserve_reads_bytes_where_they_lie() -> None:
    """Its own way makes a number of Python of each element."""
    code = """
import json
import numpy
from graphopt.serving.kserve_model import BinaryDataPlane

x = numpy.arange(6, dtype="f4").reshape(2, 3)
tensor = {"name": "x", "datatype": "FP32", "shape": [2, 3]}
tensor["parameters"] = {"binary_data_size": x.nbytes}
outputs = [{"name": "y", "parameters": {"binary_data": True}}]
head = json.dumps({"id": "7", "inputs": [tensor], "outputs": outputs}).encode()
body = head + x.tobytes()
headers = {"inference-header-content-length": str(len(head))}
request = BinaryDataPlane(None).decode_inference_request(body, headers, "m")
found = request.inputs[0].as_numpy()
assert (found == x).all() and request.inputs[0].data is None
assert numpy.shares_memory(found, numpy.frombuffer(body, "u1"))
assert (request.id, request.model_name) == ("7", "m")
assert [(each.name, each.binary_data) for each in request.request_outputs] == [("y", True)]
"""
    done = subprocess.run(
        [environments.kserve(), "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
