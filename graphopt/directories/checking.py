"""Verifies what was made of a directory: each model by itself, then those that are run together."""

from __future__ import annotations

__all__ = ["DirectoryRejected", "Pair", "verified_directory"]

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from graphopt.directories.handing import Call, calls_in_order
from graphopt.directories.report import DirectoryReport, FileReport, Together
from graphopt.directories.together import Pair, verify_together
from graphopt.errors import EnvironmentFailure, VerificationFailed
from graphopt.optimization.checking import OutputRejected, verified
from graphopt.options import Check
from graphopt.passes.report import Progress
from graphopt.passes.targets import CPU, operator_set_named, provider_named
from graphopt.runtime.library import find_library
from graphopt.verification import Original, Verification


class DirectoryRejected(VerificationFailed):
    """A model, or all together, failed the verification, and no output was written.

    Attributes:
        report: The report as far as it goes, with the check that failed.
    """

    def __init__(self, message: str, report: DirectoryReport) -> None:
        super().__init__(message)
        self.report = report


def verified_directory(
    report: DirectoryReport,
    pairs: Mapping[Path, Pair],
    check: Check,
    progress: Progress | None = None,
) -> DirectoryReport:
    """The report with the result of each check that there can be.

    A model that was copied is no other, and is run only where it belongs to a chain.

    Args:
        report: The report on what was made.
        pairs: The models that could be read, before and after.
        check: How to verify them.
        progress: Called as the work advances.

    Raises:
        DirectoryRejected: A check failed.
        EnvironmentFailure: ONNX Runtime is missing.
    """
    for number, file in enumerate(report.files):
        if progress is not None:
            progress(f"{Path(file.name).name}: verify", number / len(report.files))
        report = _verified_file(report, number, file, pairs, check)
    optimized = {Path(file.name) for file in report.files if file.action == "optimized"}
    calls = calls_in_order({path: pair.model for path, pair in pairs.items()})
    if not optimized & {call.model for call in calls}:
        return report
    if progress is not None:
        progress("verify together", 0.0)
    return _verified_together(report, calls, pairs, check)


def _verified_file(
    report: DirectoryReport,
    number: int,
    file: FileReport,
    pairs: Mapping[Path, Pair],
    check: Check,
) -> DirectoryReport:
    if file.action == "copied" or file.report is None:
        return report
    pair = pairs[Path(file.name)]
    own = dataclasses.replace(check, sample=pair.sample)
    problem = ""
    try:
        with Original(pair.model, pair.sample, path=pair.original) as base:
            checked = verified(file.report, base, pair.candidate, own)
    except OutputRejected as error:
        problem, checked = str(error), error.report
    files = list(report.files)
    files[number] = dataclasses.replace(file, report=checked)
    report = dataclasses.replace(report, files=tuple(files))
    if problem:
        raise DirectoryRejected(f"{file.name}: {problem}", report)
    return report


def _verified_together(
    report: DirectoryReport, calls: tuple[Call, ...], pairs: Mapping[Path, Pair], check: Check
) -> DirectoryReport:
    found = Together(
        steps=tuple(str(call.model) for call in calls),
        handed=tuple(
            f"{calls[handed.call].model}: {handed.name} -> {call.model}: {name}"
            for call in calls
            for name, handed in call.handed.items()
        ),
        verification=_not_on_the_cpu(report) or verify_together(calls, pairs, check),
    )
    report = dataclasses.replace(report, together=found)
    _refuse_failed(found.verification, report)
    has_kernels = any(file.report and file.report.has_custom_operators for file in report.files)
    library = find_library(CPU.name) if has_kernels else None
    if library is None or found.verification.status != "passed":
        return report
    try:
        checked = verify_together(calls, pairs, check, library)
    except EnvironmentFailure as error:  # a runtime that is too old for the library
        checked = Verification("unverified", reason=str(error))
    found = dataclasses.replace(found, verification_with_kernels=checked)
    report = dataclasses.replace(report, together=found)
    _refuse_failed(checked, report)
    return report


def _not_on_the_cpu(report: DirectoryReport) -> Verification | None:
    """Why the chain is not run, where its models are for another provider alone."""
    for made in (file.report for file in report.files):
        if made is None or not provider_named(made.provider).is_device:
            continue
        if not operator_set_named(made.ops).runs_anywhere:
            reason = f"they were made for {made.provider}, and are run together on the CPU alone"
            return Verification("unverified", reason=reason)
    return None


def _refuse_failed(checked: Verification, report: DirectoryReport) -> None:
    if checked.status != "failed":
        return
    what = checked.reason
    if not what:
        wrong = next(output for output in checked.outputs if not output.passed)
        what = f"{wrong.name} differs by {wrong.max_abs:.2g} (rtol {wrong.rtol:.2g})"
    problem = "the models run one after the other differ from the originals, no output was written"
    raise DirectoryRejected(f"{problem}: {what}: keep the originals", report)
