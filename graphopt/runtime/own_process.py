"""A Python process that answers requests, whose crash or memory is not ours."""

from __future__ import annotations

__all__ = ["OwnProcess", "ProcessFailed", "run_module", "serve"]

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from graphopt.errors import EnvironmentFailure, GraphoptError

_TAIL_BYTES = 4096
_MARK = "\x1e"
"""Begins each answer: what a module prints while it is imported is none."""


class ProcessFailed(GraphoptError):
    """A process raised, was killed or took too long; the message says which.

    Attributes:
        kind: Name of the exception that it raised, or "" where it raised none.
        signal: Number of the signal that ended it, or None.
    """

    def __init__(self, message: str, *, kind: str = "", signal: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        if kind == EnvironmentFailure.__name__:
            self.exit_code = EnvironmentFailure.exit_code
        self.signal = signal


class OwnProcess:
    """A process that runs a module, which calls :func:`serve`, from the first request on.

    One that died is started anew by the next request. It imports what this process would, writes
    no core file, does not see Ctrl-C, which is ours to handle, and ends when this process does.

    Args:
        module: Name of the module.
        environment: Environment variables to set beside those of this process.
    """

    def __init__(self, module: str, environment: Mapping[str, str] | None = None) -> None:
        self._module = module
        self._environment = environment or {}
        self._process: subprocess.Popen[str] | None = None
        self._said: Any = None

    def __enter__(self) -> OwnProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, self._said):
            try:
                if stream is not None:
                    stream.close()
            except BrokenPipeError:  # what it had not read yet
                pass

    def ask(self, request: Mapping[str, Any], *, seconds: float) -> Any:
        """Sends one request and returns the answer; both are what JSON can hold.

        Raises:
            ProcessFailed: It raised, died, or did not answer within ``seconds``.
        """
        process = self._process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        too_late = threading.Event()

        def end() -> None:
            too_late.set()
            process.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            try:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
            except BrokenPipeError:  # it died; how it did is seen below
                pass
            line = next((line for line in process.stdout if line.startswith(_MARK)), "")
        finally:
            timer.cancel()
        if not line.endswith("\n"):
            code = process.wait()
            said = self._last_line()
            self.close()
            if too_late.is_set():
                raise ProcessFailed(f"it did not end within {seconds:.0f} s")
            raise _died(code, said)
        answer = json.loads(line.removeprefix(_MARK))
        if "kind" in answer:
            raise ProcessFailed(answer["message"], kind=answer["kind"])
        return answer["answer"]

    def _start(self) -> subprocess.Popen[str]:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        return subprocess.Popen(
            # -P: the working directory is no place to import from, unless it is so here.
            [sys.executable, "-P", "-m", self._module],
            env={**os.environ, "PYTHONPATH": paths, **self._environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )

    def _last_line(self) -> str:
        size = self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, size - _TAIL_BYTES))
        return _last_line(self._said.read().decode(errors="replace"))


def run_module(
    module: str,
    request: Mapping[str, Any],
    *,
    seconds: float,
    environment: Mapping[str, str] | None = None,
) -> Any:
    """The answer of a process that is started for one request, and ended.

    Args:
        module: Name of a module that calls :func:`serve`.
        request: What it is asked.
        seconds: Time that it may take.
        environment: Environment variables to set beside those of this process.

    Raises:
        ProcessFailed: It raised, died, or did not answer within ``seconds``.
    """
    with OwnProcess(module, environment) as process:
        return process.ask(request, seconds=seconds)


def serve(answer: Callable[[dict[str, Any]], Any]) -> None:
    """Answers the requests of :class:`OwnProcess` until the process that asks has ended.

    What libraries print goes to the standard error stream, of which the last line says why a
    process died.
    """
    _leave_no_core_file()
    _be_the_first_to_go()
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    source = os.fdopen(os.dup(0), encoding="utf-8")
    threading.Thread(target=_receive, args=(source, requests), daemon=True).start()
    while True:
        try:
            found = {"answer": answer(json.loads(requests.get()))}
        except Exception as error:  # the failure is the answer
            known = isinstance(error, GraphoptError)
            name, message = type(error).__name__, _last_line(str(error))
            found = {"kind": name, "message": message if known else f"{name}: {message}"}
        print(_MARK + json.dumps(found), file=results, flush=True)


def _receive(source: TextIO, requests: queue.SimpleQueue[str]) -> None:
    """Takes requests also while one is answered, so that the end of who asks is noticed."""
    for line in source:
        requests.put(line)
    os._exit(0)


def _leave_no_core_file() -> None:
    try:
        import resource
    except ImportError:  # Windows has neither
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _be_the_first_to_go() -> None:
    """Where memory runs out, Linux ends this process, not one that somebody needs."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _died(code: int, said: str) -> ProcessFailed:
    if code < 0:
        return ProcessFailed(
            f"its process was killed by {signal.Signals(-code).name}"
            f"{', perhaps for want of memory' if code == -signal.SIGKILL else ''}",
            signal=-code,
        )
    return ProcessFailed(said or f"its process ended with {code}")


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
