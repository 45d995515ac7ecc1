"""The verdict on a candidate, as a value that can be printed, tested and saved."""

from __future__ import annotations

__all__ = ["Verification"]

import dataclasses
from typing import Literal

from graphopt.options import Reference
from graphopt.verification.differences import OutputError


@dataclasses.dataclass(frozen=True)
class Verification:
    """The result of a comparison.

    Attributes:
        status: ``passed``; ``failed``; or ``unverified``, which is neither.
        outputs: One entry for each output; empty where nothing could be compared.
        reason: Why nothing could be verified, or what failed beyond numbers; else "".
        defaulted: Symbolic dimensions of generated inputs that were chosen by default.
        reference: What the outputs were held against.
        runtime: Version of ONNX Runtime and its execution provider, or "" where it did not run.
        lacks_kernel: The candidate has an operator that the execution provider has no kernel for.
        configured: Those of ``defaulted`` that files beside the model state.
        configuration: Names of these files.
        draws: How many inputs, of several seeds, scales and sizes, were tried.
        notes: Sentences on what the result does not rest on: outputs that prove nothing, and
            decisions that were left to float64.
    """

    status: Literal["passed", "failed", "unverified"]
    outputs: tuple[OutputError, ...] = ()
    reason: str = ""
    defaulted: dict[str, int] = dataclasses.field(default_factory=dict)
    reference: Reference = "ort"
    runtime: str = ""
    lacks_kernel: bool = False
    configured: dict[str, int] = dataclasses.field(default_factory=dict)
    configuration: tuple[str, ...] = ()
    draws: int = 0
    notes: tuple[str, ...] = ()
