"""What ``optimize`` does with a directory: refuse what is for one file, run the job, print it."""

from __future__ import annotations

__all__ = ["optimize_directory"]

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from graphopt.cli.progress import progress_bar
from graphopt.errors import UsageError
from graphopt.files.text_files import check_targets, write_text

if TYPE_CHECKING:
    from graphopt.options import Check
    from graphopt.passes.pipeline import Options


def optimize_directory(
    directory: Path,
    options: Options,
    check: Check,
    *,
    verify: bool,
    measure: bool,
    only_if_faster: bool,
    tune: bool,
    output: Path | None,
    report_path: Path | None,
    force: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Optimize ``directory`` into ``output``, print a line for each model, and save the report."""
    timing = {"--measure": measure, "--only-if-faster": only_if_faster, "--tune": tune}
    _refuse_what_is_for_a_file(directory, check, timing)
    from graphopt import directories
    from graphopt.printing import console
    from graphopt.printing.directories import print_directory

    target = output or _default_output(directory, options.variant)
    if report_path is not None:
        _check_report(report_path, directory, target, force=force)
    out = console.console()
    try:
        with progress_bar(quiet=quiet) as progress:
            report = directories.optimize_directory_for(
                directory,
                target,
                options,
                check=check if verify else None,
                force=force,
                progress=progress,
            )
    except directories.DirectoryRejected as error:
        if not quiet:
            print_directory(out, error.report, verbose=verbose)
        if report_path is not None:
            write_text(report_path, error.report.to_json())
        raise
    if report_path is not None:
        write_text(report_path, report.to_json())
    if quiet:
        print(target)
    else:
        print_directory(out, report, verbose=verbose)
        out.print(f"wrote {target}", style="bold", soft_wrap=True)


def _default_output(directory: Path, variant: str) -> Path:
    """A directory beside it, also where it is given as one without a name, such as ``.``."""
    path = directory.resolve()
    beside = path if directory.name in ("", "..") else directory
    return beside.parent / f"{path.name}.{variant}"


def _refuse_what_is_for_a_file(directory: Path, check: Check, timing: Mapping[str, bool]) -> None:
    given = {
        "--input": check.sample.inputs,
        "--input-shape": check.sample.input_shapes,
        **timing,
    }
    for option, value in given.items():
        if value:
            raise UsageError(
                f"{option} is for one model, and {directory} is a directory: give one of its files"
            )


def _check_report(path: Path, directory: Path, target: Path, *, force: bool) -> None:
    """A report is no file of either directory: the one is never written to, the other is made."""
    from graphopt.directories.layout import files_of_layout, read_layout

    for folder in (directory, target):
        if folder.resolve() in (path.resolve(), *path.resolve().parents):
            raise UsageError(f"--report {path}: lies in {folder}: choose another file")
    files = files_of_layout(read_layout(directory))
    check_targets({"--report": path}, files, force)
