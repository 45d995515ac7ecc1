"""What ``graphopt bench`` does: run the benchmark, print it and save it."""

from __future__ import annotations

__all__ = ["bench", "compare_files"]

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graphopt.cli.progress import progress_bar
from graphopt.errors import UsageError
from graphopt.files.text_files import check_targets, write_text

if TYPE_CHECKING:
    from graphopt.benchmarking.result import Benchmark
    from graphopt.benchmarking.settings import Settings


def bench(
    models: Sequence[Path],
    settings: Settings,
    *,
    json: Path | None,
    csv: Path | None,
    html: Path | None,
    force: bool,
) -> None:
    """Run a benchmark, print its tables, and write the files asked for.

    Raises:
        UsageError: A file cannot be written as asked, or a setting does not fit the model.
        ModelError: The first model cannot be read or run.
        EnvironmentFailure: ONNX Runtime, a provider, the plotting library or the disk fails.
    """
    from graphopt.benchmarking.running import run_benchmark
    from graphopt.files.external_data import files_of
    from graphopt.files.loading import load, source_of
    from graphopt.printing import reports
    from graphopt.printing.benchmarks import print_benchmark

    first = load(models[0])
    source = source_of(first)
    files = [*models, *(source.data_files if source else ())]
    files += [file for model in models[1:] for file in files_of(model)]
    check_targets({"--json": json, "--csv": csv, "--html": html}, files, force)
    if html is not None:
        # A missing plotting library is said before the work, not after it.
        from graphopt.bench_report import write_html
    with progress_bar(still=True) as progress:
        result = run_benchmark(models, settings, progress, first=first)
    try:
        # Files first: what was measured must not be lost with a closed pipe, nor with a full disk.
        if json is not None:
            write_text(json, result.to_json())
        if csv is not None:
            from graphopt.benchmarking.sheet import to_csv

            write_text(csv, to_csv(result))
        if html is not None:
            write_html(result, html)
    finally:
        print_benchmark(reports.console(), result)


def compare_files(first: Path, second: Path) -> None:
    """Print the rows that two saved benchmarks share.

    Raises:
        UsageError: A file is no benchmark, or the two cannot be compared.
    """
    from graphopt.printing import reports
    from graphopt.printing.comparisons import print_comparison

    one, other = (_read(path) for path in (first, second))
    print_comparison(reports.console(), one, other, (str(first), str(second)))


def _read(path: Path) -> Benchmark:
    from graphopt.benchmarking.result import Benchmark

    try:
        return Benchmark.from_json(path.read_text(encoding="utf-8"))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: is no benchmark, because no text: give a file of --json"
        ) from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}): check the path") from error
