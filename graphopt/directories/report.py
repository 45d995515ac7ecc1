"""The report on a directory, as a value that can be printed, tested and saved."""

from __future__ import annotations

__all__ = ["SCHEMA", "DirectoryReport", "FileReport", "Together"]

import dataclasses
from typing import TYPE_CHECKING, Literal

from graphopt.json_values import fields_of, to_json

if TYPE_CHECKING:
    from graphopt.reporting import Report
    from graphopt.verification import Verification

SCHEMA = "graphopt.directory-report/1"


@dataclasses.dataclass(frozen=True)
class FileReport:
    """What became of one model.

    Attributes:
        name: Its path within the directory.
        action: ``optimized``, or ``copied`` byte by byte with its external data.
        reason: Why it was copied; else "".
        report: The report on it, or None where it was not read: it is quantized.
    """

    name: str
    action: Literal["optimized", "copied"]
    reason: str = ""
    report: Report | None = None


@dataclasses.dataclass(frozen=True)
class Together:
    """Several models run one after the other, each result handed on as the client does.

    Attributes:
        steps: The files in the order of their calls; one that reads its own cache is called twice.
        handed: What is handed on, as ``FILE: OUTPUT -> FILE: INPUT``.
        verification: Both chains compared on the CPU; the outputs are named ``FILE: OUTPUT``.
        verification_with_kernels: The same with the native kernels, or None where there are none.
    """

    steps: tuple[str, ...]
    handed: tuple[str, ...]
    verification: Verification
    verification_with_kernels: Verification | None = None


@dataclasses.dataclass(frozen=True)
class DirectoryReport:
    """What was given, what was done to each model, and how it was checked.

    Attributes:
        input: The directory that was given.
        output: The directory that was made.
        client: The library that it is for, such as ``optimum``; ``plain`` where none is known.
        bytes_before: Size of all files of the input.
        bytes_after: Size of all files of the output.
        files: Each model.
        together: The check of models that are run after each other, or None where none are, or
            where it was not asked for.
        library: The kernel library that was copied into the output and named in its configuration,
            or "".
        notes: Sentences on what a user should know.
    """

    input: str
    output: str
    client: str
    bytes_before: int
    bytes_after: int
    files: tuple[FileReport, ...]
    together: Together | None = None
    library: str = ""
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The report as JSON text; numbers that JSON has not (NaN, infinity) are strings."""
        return to_json({"schema": SCHEMA, **fields_of(self)})
