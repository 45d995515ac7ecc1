"""Starts servers of packages on free ports of the loopback interface, and stops them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.versions.environments import ROOT

__all__ = ["Urls", "free_ports", "kserve_server", "loopback_path", "mlserver_server", "running"]

_LOOPBACK = Path(__file__).with_name("loopback")
_SECONDS = 180


def loopback_path() -> str:
    """The PYTHONPATH with which KServe's server stays on the loopback interface."""
    return os.pathsep.join([str(ROOT), str(_LOOPBACK)])


class Urls(NamedTuple):
    """Where a server is."""

    http: str
    grpc: str


@contextlib.contextmanager
def kserve_server(python: Path, package: Path, name: str) -> Iterator[Urls]:
    """A server of KServe's SDK for as long as the context lasts."""
    http, grpc = free_ports(2)
    command = [python, "-m", "graphopt.serving.kserve_model", "--model_dir", package]
    options = ["--model_name", name, "--http_port", http, "--grpc_port", grpc]
    environment = {"PYTHONPATH": loopback_path()}
    with running([*command, *options], environment, package, http, name):
        yield Urls(f"http://127.0.0.1:{http}", f"grpc://127.0.0.1:{grpc}")


@contextlib.contextmanager
def mlserver_server(python: Path, package: Path, name: str) -> Iterator[Urls]:
    """An MLServer for as long as the context lasts."""
    http, grpc, metrics = free_ports(3)
    environment = {
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": str(http),
        "MLSERVER_GRPC_PORT": str(grpc),
        "MLSERVER_METRICS_PORT": str(metrics),
        "PYTHONPATH": str(ROOT),
    }
    command = [python.with_name("mlserver"), "start", package]
    with running(command, environment, package, http, name):
        yield Urls(f"http://127.0.0.1:{http}", f"grpc://127.0.0.1:{grpc}")


@contextlib.contextmanager
def running(
    command: Sequence[object],
    environment: Mapping[str, str],
    package: Path,
    port: int,
    name: str,
) -> Iterator[None]:
    """The process, once its model is ready; it is stopped however the context ends."""
    log = package.with_name(f"{package.name}.log")
    with log.open("w") as file:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=package.parent,
            env={**os.environ, **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(process, f"http://127.0.0.1:{port}/v2/models/{name}/ready", log)
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    raise AssertionError(f"the server is not ready:\n{log.read_text(errors='replace')[-4000:]}")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with contextlib.ExitStack() as sockets:
        free = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in free:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in free]
