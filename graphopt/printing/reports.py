"""Prints reports, comparisons and lists as tables for people."""

from __future__ import annotations

__all__ = [
    "console",
    "print_findings",
    "print_metadata",
    "print_models",
    "print_plan",
    "print_report",
    "print_steps",
    "print_verification",
]

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from graphopt.benchmarking.figures import milliseconds, ratio_text
from graphopt.cautions import optimized_before
from graphopt.errors import EnvironmentFailure, shortened
from graphopt.passes.choices import PROVIDER
from graphopt.printing.console import console, size_text, table, wrapped
from graphopt.printing.forecasts import measured_line
from graphopt.printing.plans import print_plan
from graphopt.runtime.library import library_path

if TYPE_CHECKING:
    from graphopt.models import Description
    from graphopt.passes.pipeline import Step
    from graphopt.passes.report import PassRecord
    from graphopt.reporting import Report, Speedup, Tuning
    from graphopt.runtime.doctor import Finding
    from graphopt.verification import OutputError, Verification

_VERDICTS = {"faster": "bold green", "no difference": "bold", "slower": "bold yellow"}


def print_report(
    out: Console, report: Report, *, verbose: bool, failed_to_measure: bool = False
) -> None:
    """Print how the result was checked and timed, and what to do next: what follows on the plan.

    Args:
        out: Where to.
        report: The report.
        verbose: Print a row for each pass and each output, too.
        failed_to_measure: It was to be timed, and could not be: an error follows.
    """
    if verbose:
        _print_passes(out, report.passes)
        _print_pairs(out, "seconds", ((k, f"{v:.2f}") for k, v in report.seconds.items()))
        _print_pairs(out, "versions", report.environment.items())
    if report.verification is not None:
        print_verification(out, report.verification, tables=verbose)
    else:
        out.print("not verified (--no-verify)", style="yellow")
    for checked in (report.verification_with_kernels, report.verification_on_cuda):
        if checked is not None:
            print_verification(out, checked, brief=True)
    before, after = report.input, report.output
    for what, old, new in (
        ("opset", before.opset, after.opset),
        ("IR version", before.ir_version, after.ir_version),
    ):
        if old != new:
            out.print(f"{what} raised from {old} to {new}")
    for caution in report.cautions:
        wrapped(out, f"note: {caution}", "yellow")
    if report.tuning is not None:
        _print_tuning(out, report.tuning)
    if report.speedup is not None:
        _print_speedup(out, report.speedup, report.variant)
    elif failed_to_measure:
        out.print("not measured: the error below says why", style="yellow")
    elif report.variant == "crms" and report.plan.compressed:
        out.print("note: crms is seldom faster than rms: --measure compares them", style="yellow")
    elif report.tuning is None and after.path is not None:
        out.print("not measured: --measure times it beside the input, in about 20 seconds")
    if after.path is not None:
        out.print(
            f"wrote {after.path} ({size_text(after.bytes)}; "
            f"the input has {size_text(before.bytes)})",
            style="bold",
            soft_wrap=True,  # a path is to be copied whole
        )
    out.print(f"reads in: {report.readers}", soft_wrap=True)
    if report.has_custom_operators:
        out.print(f"native kernels: {_registration(report.provider)}", soft_wrap=True)


def print_metadata(out: Console, made: Mapping[str, str], *, verbose: bool) -> None:
    """Print what graphopt said in a file of what it made; nothing where it made nothing.

    Args:
        out: Where to.
        made: The metadata.
        verbose: Print every entry, too.
    """
    if line := optimized_before(made):
        checked = made.get("graphopt.verification", "unknown")
        wrapped(out, f"{line}; verification: {checked}")
    if verbose and made:
        _print_pairs(out, "metadata", made.items())


def _registration(provider: str) -> str:
    """The line that gives a session the kernels, or how to build them."""
    try:
        library_path(provider)
    except EnvironmentFailure as error:
        return str(error).removeprefix("the kernels ")
    argument = "" if provider == PROVIDER.default else f'"{provider}"'
    path = f"str(graphopt.library_path({argument}))"
    return f"session_options.register_custom_ops_library({path})"


def _print_speedup(out: Console, speedup: Speedup, variant: str) -> None:
    """Print the latencies, and what they say of the output, and of crms."""
    rows = table("model", "p50 ms", "ratio to the input", "")
    for row in speedup.rows:
        is_input = row.name == "input"
        cells = ("1", "") if is_input else (ratio_text(row.ratio), row.verdict)
        rows.add_row(row.name, milliseconds(row.median), *cells)
    out.print(rows)
    kernels = "with" if speedup.kernels else "without"
    line, verdict = measured_line(speedup, variant)
    wrapped(out, line, _VERDICTS[verdict])
    wrapped(out, f"measured {kernels} native kernels on {speedup.environment}")
    if speedup.crms_to_rms is not None:
        verdict = speedup.crms_to_rms.verdict
        word = "no faster" if verdict == "no difference" else verdict
        style = "bold green" if verdict == "faster" else "bold yellow"
        ratio = ratio_text(speedup.crms_to_rms.ratio)
        out.print(
            f"crms is {word} than rms for this model and machine: {ratio} times its latency",
            style=style,
        )


def _print_tuning(out: Console, tuning: Tuning) -> None:
    """Print the latencies of what there was to choose from, and what was chosen."""
    rows = table("tried", "p50 ms", "ratio to the input", "", "")
    for row in tuning.rows:
        cells = ("1", "") if row.name == "input" else (ratio_text(row.ratio), row.verdict)
        rows.add_row(row.name, milliseconds(row.median), *cells, "kept" * (row.name == tuning.kept))
    out.print(rows)
    for name, reason in tuning.rejected.items():
        out.print(f"{name} was left out: {reason}", style="yellow")
    kernels = "with" if tuning.kernels else "without"
    out.print(f"measured {kernels} native kernels on {tuning.environment}")


def print_verification(
    out: Console, checked: Verification, *, brief: bool = False, tables: bool = True
) -> None:
    """Print the error of each output, then the verdict.

    Args:
        out: Where to.
        checked: The verification.
        brief: Print the verdict alone, unless it failed.
        tables: Print a row for each output; else the largest error, unless it failed.
    """
    if checked.outputs and ((tables and not brief) or checked.status == "failed"):
        out.print(_errors_in_float64(checked) if _is_float64(checked) else _errors(checked))
    for problem in dict.fromkeys(filter(None, (output.problem for output in checked.outputs))):
        out.print(problem, style="red")
    if checked.defaulted and not brief:
        out.print(f"symbolic dimensions were given sizes: {_sizes(checked)} (--dim sets others)")
    for note in () if brief else checked.notes:
        wrapped(out, f"note: {note}", "yellow")
    where = f" in ONNX Runtime {checked.runtime}" if checked.runtime else ""
    largest = "" if tables or brief else _largest_error(checked)
    verdict, style = {
        "passed": (f"verification: PASSED{where}{largest}", "bold green"),
        "failed": (f"verification: FAILED{where}", "bold red"),
        "unverified": (f"COULD NOT BE VERIFIED{where}: {shortened(checked.reason)}", "bold yellow"),
    }[checked.status]
    wrapped(out, verdict, style)


def _largest_error(checked: Verification) -> str:
    """How much the output differs that differs most, relative to its size."""
    errors = [each.max_rel for each in checked.outputs if math.isfinite(each.max_rel)]
    if not errors:
        return ""
    count = len(checked.outputs)
    return f": {count} output{'s' * (count != 1)}, relative difference at most {max(errors):.2g}"


def _sizes(checked: Verification) -> str:
    """The sizes that were chosen, and where those are from that files beside the model state."""
    sizes = ", ".join(f"{name}={size}" for name, size in checked.defaulted.items())
    if not checked.configured:
        return sizes
    return f"{sizes}; {', '.join(checked.configured)} from {', '.join(checked.configuration)}"


def _is_float64(checked: Verification) -> bool:
    return any(output.error_base is not None for output in checked.outputs)


def _errors(checked: Verification) -> Table:
    rows = table("output", "type", "max abs error", "max rel", "tolerance", "")
    for output in checked.outputs:
        numbers = (
            f"{output.max_abs:.2g}",
            f"{output.max_rel:.2g}",
            f"rtol {output.rtol:.2g}, atol {output.atol:.2g}",
        )
        shown = numbers if math.isfinite(output.max_abs) else ("", "", "")
        rows.add_row(output.name, _type(output), *shown, _verdict(output))
    return rows


def _errors_in_float64(checked: Verification) -> Table:
    rows = table("output", "type", "error of base", "of candidate", "at most", "")
    for output in checked.outputs:
        errors = (output.error_base, output.error_candidate)
        rows.add_row(
            output.name,
            _type(output),
            *("" if error is None else f"{error:.2g}" for error in errors),
            "" if output.error_base is None else f"{output.rtol:.2g}",
            _verdict(output),
        )
    return rows


def _type(output: OutputError) -> str:
    return f"{output.dtype}, by {output.computed_in}" if output.computed_in else output.dtype


def _verdict(output: OutputError) -> Text:
    return Text("ok", "green") if output.passed else Text("FAILED", "red")


def print_steps(out: Console, steps: Iterable[Step]) -> None:
    """Print the passes of a pipeline in their order."""
    rows = table("pass", "may be skipped", "what it does")
    for step in steps:
        rows.add_row(step.name, "yes" if step.optional else "", step.summary)
    out.print(rows)


def print_models(out: Console, models: Iterable[Description]) -> None:
    """Print what can be exported."""
    rows = table("name", "architecture", "blocks", "exporters and notes")
    for model in models:
        exporters = " or ".join(model.exporters)
        notes = filter(None, (exporters, model.notes, *model.cannot))
        rows.add_row(model.name, model.architecture, str(model.blocks), "; ".join(notes))
    out.print(rows)
    out.print("synthetic: a GPT or ViT of any size, without PyTorch; see graphopt export --help")


def _print_passes(out: Console, records: Iterable[PassRecord]) -> None:
    rows = table("pass", "seconds", "what it did")
    for record in records:
        detail = ", ".join(f"{what}: {count}" for what, count in record.detail.items() if count)
        rows.add_row(record.name, f"{record.seconds:.3f}", detail)
    out.print(rows)


def print_findings(out: Console, findings: Iterable[Finding]) -> None:
    """What works on this machine, a row a finding."""
    rows = table("what", "state", "found")
    for finding in findings:
        advice = f" ({finding.advice})" if finding.advice else ""
        rows.add_row(finding.subject, finding.status, finding.text + advice)
    out.print(rows)


def _print_pairs(out: Console, title: str, pairs: Iterable[tuple[str, str]]) -> None:
    out.print(f"{title}: " + ", ".join(f"{name} {value}" for name, value in pairs))
