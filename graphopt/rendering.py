"""Prints plans, reports and comparisons as tables for people."""

from __future__ import annotations

__all__ = [
    "console",
    "print_findings",
    "print_models",
    "print_plan",
    "print_report",
    "print_steps",
    "print_verification",
]

import math
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from graphopt.errors import EnvironmentFailure
from graphopt.library import library_path

if TYPE_CHECKING:
    from graphopt.doctor import Finding
    from graphopt.models import Description
    from graphopt.passes.pipeline import Step
    from graphopt.passes.report import NormDecision, PassRecord, PlanSummary, Recentring
    from graphopt.reporting import Report
    from graphopt.verification import OutputError, Verification

_UNLIMITED = 10_000


def console() -> Console:
    """A console on standard output, as wide as the terminal, or as its text where there is none.

    So names stay whole for who searches the output of a pipe. ``COLUMNS`` sets another width.
    """
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _UNLIMITED
    return _Console(width=width, highlight=False, emoji=False, markup=False)


class _Console(Console):
    """Leaves a broken pipe to the caller, where rich would exit with the code of a failed check."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def print_report(out: Console, report: Report, *, verbose: bool) -> None:
    """Print the plan, the verification and the files of an optimization."""
    print_plan(out, report.plan)
    if verbose:
        _print_passes(out, report.passes)
        _print_pairs(out, "seconds", ((k, f"{v:.2f}") for k, v in report.seconds.items()))
        _print_pairs(out, "versions", report.environment.items())
    if report.verification is not None:
        print_verification(out, report.verification)
    before, after = report.input, report.output
    for what, old, new in (
        ("opset", before.opset, after.opset),
        ("IR version", before.ir_version, after.ir_version),
    ):
        if old != new:
            out.print(f"{what} raised from {old} to {new}")
    if after.path is not None:
        out.print(
            f"wrote {after.path} ({_size(after.bytes)}; the input has {_size(before.bytes)})",
            style="bold",
            soft_wrap=True,  # a path is to be copied whole
        )
    if (line := _registration(report)) is not None:
        out.print(f"native kernels: {line}", soft_wrap=True)  # to be copied whole


def _registration(report: Report) -> str | None:
    """The line that gives a session the kernels of what was made, if they were built."""
    if not any(step.name == "lower-custom-norms" and step.changed for step in report.passes):
        return None
    try:
        library_path(report.provider)
    except EnvironmentFailure:
        return None
    argument = "" if report.provider == "cpu" else f'"{report.provider}"'
    path = f"str(graphopt.library_path({argument}))"
    return f"session_options.register_custom_ops_library({path})"


def print_plan(out: Console, plan: PlanSummary) -> None:
    """Print every norm with its decision, then what the plan adds to the model."""
    if plan.norms:
        table = _table("LayerNorm", "axis", "size", "becomes", "its mean and beta, or why it stays")
        shown: set[str] = set()
        for norm in plan.norms:
            table.add_row(
                norm.name,
                str(norm.axis) if norm.axis >= 0 else "?",
                "?" if norm.size is None else str(norm.size),
                Text("RMSNorm", "green") if norm.converted else Text("kept", "yellow"),
                "; ".join(filter(None, (_mean(norm, shown), norm.affine))),
            )
        out.print(table)
    for recentring in plan.recentrings:
        out.print(
            f"recentred explicitly: {recentring.value} (axis {recentring.axis}, "
            f"size {recentring.size}), which unlocks {_unlocked(recentring, plan)}"
        )
    for copy in plan.copies:
        out.print(f"held twice: {copy.tensor} ({_size(copy.bytes)} more): {copy.reason}")
    for other in plan.other_norms:
        out.print(f"left alone: {other.name} ({other.kind}): {other.reason}")
    if plan.norms:
        out.print(f"{plan.converted} of {len(plan.norms)} LayerNorms become RMSNorms", style="bold")
    else:
        out.print("no LayerNorm found: there is nothing to convert", style="bold")


def _mean(norm: NormDecision, shown: set[str]) -> str:
    """Where the norm's mean goes: only the weights that no norm above has named already."""
    if not norm.converted:
        return norm.reason
    fresh = [name for name in norm.absorbed_by if name not in shown]
    repeated = len(norm.absorbed_by) - len(fresh)
    shown.update(fresh)
    weights = [_names(fresh)] if fresh else []
    if repeated:
        weights.append(f"{repeated} above")
    parts = [f"recentred at {name}" for name in norm.recentrings]
    if weights:
        parts.append(f"absorbed by {' and '.join(weights)}")
    return f"mean {', '.join(parts)}" if parts else ""


def _names(names: Iterable[str]) -> str:
    """Join names, those of one module in braces: ``h.0.c_proj.{weight,bias}``."""
    modules: dict[str, list[str]] = {}
    for name in names:
        module, dot, parameter = name.rpartition(".")
        modules.setdefault(module + dot or name, []).append(parameter if dot else "")
    return ", ".join(
        module + (parameters[0] if len(parameters) == 1 else f"{{{','.join(parameters)}}}")
        for module, parameters in modules.items()
    )


def print_verification(out: Console, checked: Verification) -> None:
    """Print the error of each output, then the verdict."""
    if checked.outputs:
        out.print(_errors_in_float64(checked) if _is_float64(checked) else _errors(checked))
    for problem in dict.fromkeys(filter(None, (output.problem for output in checked.outputs))):
        out.print(problem, style="red")
    if checked.defaulted:
        sizes = ", ".join(f"{name}={size}" for name, size in checked.defaulted.items())
        out.print(f"symbolic dimensions were given sizes: {sizes} (--dim sets others)")
    where = f" in ONNX Runtime {checked.runtime}" if checked.runtime else ""
    verdict, style = {
        "passed": (f"verification: PASSED{where}", "bold green"),
        "failed": (f"verification: FAILED{where}", "bold red"),
        "unverified": (f"COULD NOT BE VERIFIED: {checked.reason}", "bold yellow"),
    }[checked.status]
    out.print(verdict, style=style)


def _is_float64(checked: Verification) -> bool:
    return any(output.error_base is not None for output in checked.outputs)


def _errors(checked: Verification) -> Table:
    table = _table("output", "type", "max abs error", "max rel", "tolerance", "")
    for output in checked.outputs:
        numbers = (
            f"{output.max_abs:.2g}",
            f"{output.max_rel:.2g}",
            f"rtol {output.rtol:.2g}, atol {output.atol:.2g}",
        )
        shown = numbers if math.isfinite(output.max_abs) else ("", "", "")
        table.add_row(output.name, output.dtype, *shown, _verdict(output))
    return table


def _errors_in_float64(checked: Verification) -> Table:
    table = _table("output", "type", "error of base", "of candidate", "at most", "")
    for output in checked.outputs:
        errors = (output.error_base, output.error_candidate)
        table.add_row(
            output.name,
            output.dtype,
            *("" if error is None else f"{error:.2g}" for error in errors),
            "" if output.error_base is None else f"{output.rtol:.2g}",
            _verdict(output),
        )
    return table


def _verdict(output: OutputError) -> Text:
    return Text("ok", "green") if output.passed else Text("FAILED", "red")


def print_steps(out: Console, steps: Iterable[Step]) -> None:
    """Print the passes of a pipeline in their order."""
    table = _table("pass", "may be skipped", "what it does")
    for step in steps:
        table.add_row(step.name, "yes" if step.optional else "", step.summary)
    out.print(table)


def print_models(out: Console, models: Iterable[Description]) -> None:
    """Print what can be exported."""
    table = _table("name", "architecture", "blocks", "exporters and notes")
    for model in models:
        exporters = " or ".join(model.exporters)
        notes = filter(None, (exporters, model.notes, *model.cannot))
        table.add_row(model.name, model.architecture, str(model.blocks), "; ".join(notes))
    out.print(table)


def _print_passes(out: Console, records: Iterable[PassRecord]) -> None:
    table = _table("pass", "seconds", "what it did")
    for record in records:
        detail = ", ".join(f"{what}: {count}" for what, count in record.detail.items() if count)
        table.add_row(record.name, f"{record.seconds:.3f}", detail)
    out.print(table)


def print_findings(out: Console, findings: Iterable[Finding]) -> None:
    """What works on this machine, a row a finding."""
    table = _table("what", "state", "found")
    for finding in findings:
        advice = f" ({finding.advice})" if finding.advice else ""
        table.add_row(finding.subject, finding.status, finding.text + advice)
    out.print(table)


def _print_pairs(out: Console, title: str, pairs: Iterable[tuple[str, str]]) -> None:
    out.print(f"{title}: " + ", ".join(f"{name} {value}" for name, value in pairs))


def _table(*headings: str) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        header_style="bold",
    )
    for heading in headings:
        # Long names are folded: cut off, they could not be found in the graph.
        table.add_column(heading, overflow="fold", no_wrap=heading == "name")
    return table


def _unlocked(recentring: Recentring, plan: PlanSummary) -> str:
    names = recentring.unlocks
    if len(names) == plan.converted and len(names) > 1:
        return f"all {len(names)} norms that become RMSNorms"
    return f"{len(names)} norm{'s' * (len(names) != 1)}: {', '.join(names)}"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
