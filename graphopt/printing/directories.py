"""Prints the report on a directory: a line for each model, then what is said of all."""

from __future__ import annotations

__all__ = ["print_directory"]

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from graphopt.errors import shortened
from graphopt.printing.console import size_text, table, wrapped
from graphopt.printing.plans import print_plan
from graphopt.printing.reports import print_verification

if TYPE_CHECKING:
    from graphopt.directories import DirectoryReport
    from graphopt.directories.report import FileReport
    from graphopt.reporting import Report
    from graphopt.verification import Verification

_STYLES = {"passed": "green", "failed": "red", "unverified": "yellow"}


def print_directory(out: Console, report: DirectoryReport, *, verbose: bool) -> None:
    """Print a line for each model, and the checks that failed or could not be made.

    Args:
        out: Where to.
        report: The report.
        verbose: Print the plan of each model, and what is handed on, too.
    """
    out.print(f"{report.input}: {_client(report)}", soft_wrap=True)
    rows = table("model", "norms", "size", "max rel error", "verification")
    for file in report.files:
        rows.add_row(file.name, *_cells(file))
    out.print(rows)
    for file in report.files:
        if file.report is not None:
            _print_details(out, file.name, file.report, verbose=verbose)
    if report.together is not None:
        together = report.together
        if verbose:
            for line in together.handed:
                out.print(f"handed on: {line}", soft_wrap=True)
        out.print(f"run one after the other: {', '.join(together.steps)}", soft_wrap=True)
        for checked in (together.verification, together.verification_with_kernels):
            if checked is not None:
                print_verification(out, checked, brief=True)
    for note in report.notes:
        wrapped(out, f"note: {note}", "yellow")
    if report.library:
        out.print(f"native kernels: {report.library}, named in genai_config.json")
    if report.bytes_after:
        out.print(f"{size_text(report.bytes_before)} before, {size_text(report.bytes_after)} after")


def _client(report: DirectoryReport) -> str:
    count = len(report.files)
    models = f"{count} model{'s' * (count != 1)}"
    return models if report.client == "plain" else f"{models} for {report.client}"


def _cells(file: FileReport) -> tuple[str | Text, ...]:
    """What was converted, the sizes, the largest error, and the verdict."""
    report = file.report
    norms = f"{report.plan.converted} of {len(report.plan.norms)}" if report else ""
    if file.action == "copied" or report is None:
        return norms, "", "", Text(f"copied: {shortened(file.reason)}", "yellow")
    size = f"{size_text(report.input.bytes)} to {size_text(report.output.bytes)}"
    checks = _checks(report)
    errors = [output.max_rel for checked in checks for output in checked.outputs]
    worst = next((c for c in checks if c.status == "failed"), checks[0] if checks else None)
    verdict = Text(worst.status, _STYLES[worst.status]) if worst else Text("not asked for")
    return norms, size, f"{max(errors):.2g}" if errors else "", verdict


def _checks(report: Report) -> list[Verification]:
    found = (
        report.verification,
        report.verification_with_kernels,
        report.verification_on_cuda,
    )
    return [checked for checked in found if checked is not None]


def _print_details(out: Console, name: str, report: Report, *, verbose: bool) -> None:
    if verbose:
        out.print(f"{name}:", style="bold")
        print_plan(out, report.plan, verbose=True)
    for checked in _checks(report):
        if checked.status == "unverified":
            where = f" in ONNX Runtime {checked.runtime}" if checked.runtime else ""
            reason = shortened(checked.reason)
            out.print(f"{name}: COULD NOT BE VERIFIED{where}: {reason}", style="bold yellow")
    for caution in report.cautions:
        wrapped(out, f"note: {name}: {caution}", "yellow")
