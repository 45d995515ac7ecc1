"""examples/ray_serve.py and its client: two replicas, one of which is killed under load."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from graphopt.optimization import optimize_for
from graphopt.options import Check
from graphopt.packaging.job import PackageOptions, write_package
from graphopt.passes.pipeline import Options
from tests.conftest import ZooModel
from tests.examples.ray_environment import ray_python, serving
from tests.graphopt.serving.running import free_ports
from tests.versions.environments import ROOT

pytestmark = pytest.mark.slow
SERVER = ("-m", "examples.ray_local")
KILL = Path(__file__).with_name("kill_under_load.py")
CLIENTS, REQUESTS = 8, 80
WAITING = ("--batch", 16, "--wait", 0.5)
"""No batch gets full, so that each request waits: some are under way where a replica dies."""


@pytest.fixture(scope="module")
def package(zoo_model: ZooModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An optimized model with the answers of the original."""
    folder = tmp_path_factory.mktemp("ray")
    original = zoo_model("vit-ti-16-tiny", "dynamo")
    optimize_for(original, Options(), check=Check(), output=folder / "optimized.onnx")
    options = PackageOptions(original=original)
    write_package(folder / "optimized.onnx", "kserve", folder / "vit", options)
    return folder / "vit"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(part) for part in (ray_python(), *arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_a_replica_dies_under_load(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with serving([ray_python(), *SERVER, package, "--port", port, *WAITING], tmp_path):
        _check_refusal(url)
        once, again = (_killed(url, package, attempts) for attempts in (1, 6))
    with capsys.disabled():
        print("\nwithout retry", once, "\nwith retry", again)
    assert 1 <= once["lost"] <= CLIENTS
    assert (once["wrong"], once["right"]) == (0, REQUESTS - once["lost"])
    assert (again["lost"], again["wrong"], again["right"]) == (0, 0, REQUESTS)
    assert (once["sent_again"], again["sent_again"] >= 1) == (0, True)
    assert "too many 500 error responses" in once["problems"][0]


def _killed(url: str, package: Path, attempts: int) -> dict[str, Any]:
    golden = package / "golden.npz"
    done = run(KILL, url, golden, CLIENTS, REQUESTS, attempts)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["killed"]
    return found


def _check_refusal(url: str) -> None:
    """What is no request is answered with 400 and one line."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url, b"{}", timeout=60)
    assert caught.value.code == 400
    assert b"the body is no .npz of arrays" in caught.value.read()


def test_health_holds_the_model_to_its_golden_pair(package: Path) -> None:
    done = run(Path(__file__).with_name("ask_health.py"), package)
    assert done.returncode == 0, done.stderr
    assert "is not the golden one" in done.stdout


def test_what_cannot_be_served_is_one_line_before_ray_starts(package: Path, tmp_path: Path) -> None:
    shutil.copytree(package, tmp_path / "other")
    (tmp_path / "other" / "serving.json").write_text('{"thread": 1}', encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cases = {
            (tmp_path,): "serving.json: cannot be read: give a folder that",
            (tmp_path / "other",): "unknown setting 'thread'",
            (package, "--port", port): f"port {port}: Address already in use",
        }
        for arguments, said in cases.items():
            done = run(*SERVER, *arguments)
            assert (done.returncode, done.stdout) == (1, "")
            assert said in done.stderr
            assert done.stderr.startswith("graphopt: error: ")
            assert done.stderr.count("\n") == 1
