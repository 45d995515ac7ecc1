"""Keeps what other libraries say off the user's screen, but for the line that matters."""

from __future__ import annotations

__all__ = ["first_line", "quiet"]

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings, logging, and both standard streams, of Python and of C++ code alike.

    The TorchScript exporter prints the whole graph from C++ when it fails, so the streams are
    redirected by file descriptor.
    """
    disabled = logging.root.manager.disable
    streams = {1: sys.stdout, 2: sys.stderr}
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        stack.callback(logging.disable, disabled)
        sink = stack.enter_context(Path(os.devnull).open("w"))
        stack.enter_context(contextlib.redirect_stdout(sink))
        stack.enter_context(contextlib.redirect_stderr(sink))
        for descriptor, stream in streams.items():
            stream.flush()
            saved = os.dup(descriptor)
            stack.callback(os.close, saved)
            stack.callback(os.dup2, saved, descriptor)
            os.dup2(sink.fileno(), descriptor)
        yield


def first_line(error: Exception) -> str:
    """The first line of an error's message that says something, or the error's kind."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
