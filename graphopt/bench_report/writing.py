"""Puts a report on disk, whole or not at all."""

from __future__ import annotations

__all__ = ["write_html"]

import os
from pathlib import Path

from graphopt.bench_report.page import render_html
from graphopt.benchmarking.result import Benchmark
from graphopt.files.text_files import write_text


def write_html(benchmark: Benchmark, path: str | os.PathLike[str]) -> None:
    """Write the report to ``path``, replacing a report that was there.

    It is written beside ``path`` under a temporary name and renamed when complete.

    Raises:
        EnvironmentFailure: The file cannot be written.
    """
    write_text(Path(path), render_html(benchmark))
