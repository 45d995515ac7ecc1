"""Where a result is verified: on the CPU, with the kernels, and on what it was made for."""

from __future__ import annotations

__all__ = ["OutputRejected", "verified"]

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphopt import verification
from graphopt.errors import EnvironmentFailure, VerificationFailed
from graphopt.options import Check
from graphopt.passes.targets import CPU, operator_set_named, provider_named
from graphopt.reporting import Report
from graphopt.runtime.library import find_library
from graphopt.verification import Original, Verification


class OutputRejected(VerificationFailed):
    """The optimized model failed its verification, and no output was written.

    Attributes:
        report: The report on the rejected model.
    """

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where a result is verified.

    Attributes:
        field: The field of the report for what comes of it.
        provider: The execution provider.
        library: The kernels to register, or None.
        may_lack_kernels: The result may have operators that are for another provider.
    """

    field: str
    provider: str = CPU.name
    library: Path | None = None
    may_lack_kernels: bool = False


def _places(report: Report) -> Iterator[_Place]:
    """On the CPU as it is, with the kernels, and on the provider that the result is for."""
    target, has_kernels = provider_named(report.provider), report.has_custom_operators
    runs_here = not target.is_device or operator_set_named(report.ops).runs_anywhere
    yield _Place("verification", may_lack_kernels=not runs_here)
    if has_kernels and (library := find_library(CPU.name)):
        yield _Place("verification_with_kernels", library=library)
    if target.is_device:
        library = find_library(target.name) if has_kernels else None
        yield _Place(target.checked_as, target.name, library)


def verified(report: Report, base: Original, candidate: Path, check: Check) -> Report:
    """The report with the result of each check that there can be.

    The original is run once for all of them, where it runs on the CPU.

    Raises:
        OutputRejected: The candidate failed one.
    """
    for place in _places(report):
        on_cpu = place.provider == CPU.name
        before = report.verification
        if on_cpu and before and before.status != "passed" and not before.outputs:
            continue  # what does not run as it is does not with kernels
        try:
            checked = verification.verify(
                base,
                candidate,
                rtol=check.rtol,
                atol=check.atol,
                provider=place.provider,
                library=place.library,
                norms={norm.name: norm.merges for norm in report.plan.norms if norm.converted},
            )
        except EnvironmentFailure as error:
            # A runtime that is too old for the library, or a machine without a GPU.
            if place.field == "verification":
                raise
            checked = Verification("unverified", reason=str(error))
        if checked.lacks_kernel and place.may_lack_kernels:
            reason = f"it was made for {report.provider}: {checked.reason}"
            checked = dataclasses.replace(checked, status="unverified", outputs=(), reason=reason)
        found: dict[str, Any] = {place.field: checked}
        report = dataclasses.replace(report, **found)
        if checked.status == "failed":
            raise OutputRejected(_failure(checked), report)
    return report


def _failure(checked: Verification) -> str:
    wrong = [output for output in checked.outputs if not output.passed]
    worst = max(wrong, key=lambda output: output.max_rel)
    what = checked.reason or (
        f"{len(wrong)} of {len(checked.outputs)} outputs differ, most of all {worst.name!r} "
        f"by {worst.max_abs:.2g} (rtol {worst.rtol:.2g}, atol {worst.atol:.2g})"
    )
    where = f" in ONNX Runtime {checked.runtime}" if checked.runtime else ""
    return f"verification failed{where}, no output was written: {what}: keep the original"
