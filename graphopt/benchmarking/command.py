"""What ``graphopt bench`` does: run the benchmark, print it and save it."""

from __future__ import annotations

__all__ = ["bench", "compare_files"]

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from graphopt.errors import EnvironmentFailure, UsageError


def bench(
    models: Sequence[Path],
    *,
    json: Path | None,
    csv: Path | None,
    html: Path | None,
    force: bool,
    **settings: Any,
) -> None:
    """Run a benchmark, print its tables, and write the files asked for.

    Raises:
        UsageError: A file cannot be written as asked, or a setting cannot be used.
        ModelError: The first model cannot be read or run.
        EnvironmentFailure: ONNX Runtime, a provider, the plotting library or the disk fails.
    """
    from graphopt import rendering
    from graphopt.benchmarking.running import benchmark
    from graphopt.benchmarking.tables import print_benchmark

    for option, path in (("--json", json), ("--csv", csv), ("--html", html)):
        if path is not None:
            _check_path(option, path, models, force)
    if html is not None:
        # A missing plotting library is said before the work, not after it.
        from graphopt.bench_report import write_html
    with _progress_bar() as progress:
        result = benchmark(models, progress=progress, **settings)
    # Files first: what was measured must not be lost with a closed pipe.
    if json is not None:
        _write(json, result.to_json())
    if csv is not None:
        from graphopt.benchmarking.sheet import to_csv

        _write(csv, to_csv(result))
    if html is not None:
        write_html(result, html)
    print_benchmark(rendering.console(), result)


def compare_files(first: Path, second: Path) -> None:
    """Print the rows that two saved benchmarks share.

    Raises:
        UsageError: A file is no benchmark, or the two cannot be compared.
    """
    from graphopt import rendering
    from graphopt.benchmark_result import Benchmark
    from graphopt.benchmarking.saved import print_comparison

    one, other = (Benchmark.from_json(_read(path)) for path in (first, second))
    print_comparison(rendering.console(), one, other, (str(first), str(second)))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is no benchmark: it is no text") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def _check_path(option: str, path: Path, models: Sequence[Path], force: bool) -> None:
    if any(path.resolve() == model.resolve() for model in models):
        raise UsageError(f"{option} {path}: is a model of this run: choose another file")
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"{option} {path}: cannot be a file: choose another")
    if os.path.lexists(path) and not force:
        raise UsageError(f"{option} {path}: exists: choose another file, or replace it (--force)")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EnvironmentFailure(f"{path}: cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def _progress_bar() -> Iterator[Callable[[str, float], None] | None]:
    """A bar with the time left, which vanishes at the end; nothing where nobody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("load", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)
