"""Runs a module in a process of its own, whose crash or memory is not ours."""

from __future__ import annotations

__all__ = ["ProcessFailed", "report_failure", "run_module"]

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import NoReturn

from graphopt.errors import GraphoptError

_FAILED = 1


class ProcessFailed(GraphoptError):
    """The process raised, was killed or took too long; the message says which."""


def run_module(
    module: str,
    arguments: Mapping[str, object],
    *,
    seconds: float,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Runs ``python -m module`` and returns the last line that it prints.

    Args:
        module: Name of the module.
        arguments: Its arguments, which it gets as one JSON text.
        seconds: Time that it may take.
        environment: Environment variables to set beside those of this process.

    Raises:
        ProcessFailed: It did not end well within ``seconds``.
    """
    command = [sys.executable, "-m", module, json.dumps(arguments)]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ProcessFailed(f"it did not end within {seconds:.0f} s") from error
    if done.returncode < 0:
        raise ProcessFailed(
            f"its process was killed by {signal.Signals(-done.returncode).name}"
            f"{', perhaps for want of memory' if done.returncode == -signal.SIGKILL else ''}"
        )
    said = done.stderr if done.returncode else done.stdout
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if done.returncode:
        raise ProcessFailed(lines[-1] if lines else f"its process ended with {done.returncode}")
    return lines[-1] if lines else ""


def report_failure(error: Exception) -> NoReturn:
    """Ends this process so that :func:`run_module` raises with the message of ``error``."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    message = lines[-1] if lines else ""
    known = isinstance(error, GraphoptError)
    print(message if known else f"{type(error).__name__}: {message}", file=sys.stderr)
    sys.exit(_FAILED)
