"""Python with Ray, and examples/ray_serve.py for as long as a context lasts."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.graphopt.serving.environments import pinned
from tests.versions.environments import ROOT, python_with

__all__ = ["ray_python", "serving"]

_SECONDS = 240


def ray_python() -> Path:
    """Python with Ray Serve, ONNX Runtime and graphopt."""
    ray, *others = pinned("ray", "onnxruntime", "numpy")
    return python_with("ray", ray.replace("ray", "ray[serve]"), *others, graphopt=True)


@contextlib.contextmanager
def serving(command: Sequence[object], folder: Path) -> Iterator[None]:
    """The command runs in ``folder``, and has said that it serves.

    However the context ends, nothing of what it started is left: neither a process, nor a file in
    Ray's folder. Ray's processes leave each other's groups, so they are known by that folder,
    which is in the environment of each.
    """
    log = folder / "ray.log"
    # Not in pytest's folder: the path of a socket has 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as own:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_TMPDIR": own, "HOME": own}
        with log.open("w") as file:
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait(process, log)
            yield
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
            left = _processes_of(own)
            for number in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            process.wait()
    assert (process.returncode, left) == (0, []), "it did not end well, or something went on"


def _wait(process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end and process.poll() is None:
        if "\nserving " in log.read_text(errors="replace"):
            return
        time.sleep(0.2)
    raise AssertionError(f"Ray does not serve:\n{log.read_text(errors='replace')[-4000:]}")


def _processes_of(folder: str) -> list[int]:
    """Processes that have Ray's folder in their environment."""
    found, mark = [], f"RAY_TMPDIR={folder}".encode()
    for file in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in file.read_bytes().split(b"\0"):
                found.append(int(file.parent.name))
    return found
