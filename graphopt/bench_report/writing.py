"""Puts a report on disk, whole or not at all."""

from __future__ import annotations

__all__ = ["write_html"]

import os
from pathlib import Path

from graphopt.bench_report.page import render_html
from graphopt.benchmark_result import Benchmark
from graphopt.errors import EnvironmentFailure


def write_html(benchmark: Benchmark, path: str | os.PathLike[str]) -> None:
    """Write the report to ``path``, replacing a report that was there.

    It is written beside ``path`` under a temporary name and renamed when complete.

    Raises:
        EnvironmentFailure: The file cannot be written.
    """
    path = Path(path)
    text = render_html(benchmark)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8", newline="\n")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise EnvironmentFailure(f"{path}: cannot be written: {error.strerror or error}") from error
