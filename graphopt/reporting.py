"""The report of a run, as a value that can be printed, tested and saved."""

from __future__ import annotations

__all__ = [
    "PLAN_SCHEMA",
    "SCHEMA",
    "VERIFICATION_SCHEMA",
    "ModelFile",
    "Report",
    "Speedup",
    "Tuning",
    "describe",
    "environment",
]

import dataclasses
import importlib.metadata
import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING

from graphopt.json_values import fields_of, to_json
from graphopt.passes.targets import provider_named

if TYPE_CHECKING:
    import onnx_ir as ir

    from graphopt.files.loading import Source
    from graphopt.measuring.comparison import Comparison
    from graphopt.passes.report import PassRecord, PlanSummary
    from graphopt.runtime.environment import Environment
    from graphopt.verification import Verification

# The number is raised with a change that is not a mere addition of fields.
SCHEMA = "graphopt.report/1"
PLAN_SCHEMA = "graphopt.plan/1"
VERIFICATION_SCHEMA = "graphopt.verification/1"

_PACKAGES = ("graphopt", "onnx", "onnx-ir", "onnx-shape-inference", "onnxruntime", "numpy")


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """A model before or after optimization.

    Attributes:
        path: The model file, or None for a model in memory.
        bytes: Size of the model file and its external data, or of its weights in memory.
        opset: Version of the ONNX operator set.
        ir_version: Version of the ONNX format.
        nodes: Number of nodes in all its graphs.
    """

    path: str | None
    bytes: int
    opset: int
    ir_version: int
    nodes: int


@dataclasses.dataclass(frozen=True)
class Speedup:
    """Latencies of one call on one thread, of models side by side.

    Attributes:
        rows: Each model beside the input, which is the first: for crms the output of rms, and the
            output by the name of its variant.
        crms_to_rms: The crms model beside the rms model, or None where there is none.
        kernels: True where the native kernels were registered.
        environment: What it was measured on.
    """

    rows: tuple[Comparison, ...]
    crms_to_rms: Comparison | None
    kernels: bool
    environment: Environment


@dataclasses.dataclass(frozen=True)
class Tuning:
    """Latencies of one call on one thread, of results that leave out more or less.

    Attributes:
        rows: Each result beside the input, which is the first; behind it the simplest.
        kept: The one that was kept: the simplest that none is significantly faster than.
        rejected: Why another was not timed: it failed its verification.
        kernels: True where the native kernels were registered.
        environment: What it was measured on.
    """

    rows: tuple[Comparison, ...]
    kept: str
    rejected: dict[str, str]
    kernels: bool
    environment: Environment


@dataclasses.dataclass(frozen=True)
class Report:
    """What was given, what was done to it, and how it was checked.

    :meth:`to_json` writes these fields by these names, with ``schema`` first. The fields of the
    nested values are those of :mod:`graphopt.passes.report` and :mod:`graphopt.verification`.

    Attributes:
        input: The model that was given.
        output: The model that was made; its path is None where no file was asked for.
        variant: What the LayerNorms became.
        ops: Operators that the output may use.
        target: Where the output goes, or None where nobody said.
        provider: Execution provider that the output is lowered for.
        plan: Every norm with its decision, the recentrings, and the weights held twice.
        passes: What each pass did, in order.
        verification: Result of the check on the CPU, or None where it was not asked for. A result
            for another provider that the CPU cannot run is unverified here.
        verification_with_kernels: The same with the native kernels registered, or None where it was
            not asked for, the output has none of their operators, or they were not built.
        verification_on_cuda: The same on CUDA, with the kernels for it where they were built, or
            None where it was not asked for or the output is for the CPU.
        has_custom_operators: True where the output has operators of the domain graphopt.
        readers: The runtimes that read the output, in words.
        cautions: Sentences on what the output is worse at than one may expect.
        speedup: Latencies beside the input's, or None where they were not asked for.
        tuning: Latencies of the results that this one was chosen from, or None likewise.
        environment: Versions of Python and of the packages that had a part.
        seconds: Wall time of each stage: ``load``, ``optimize``, ``write``, ``verify``,
            ``measure``.
    """

    input: ModelFile
    output: ModelFile
    variant: str
    ops: str
    target: str | None
    provider: str
    plan: PlanSummary
    passes: tuple[PassRecord, ...]
    verification: Verification | None
    verification_with_kernels: Verification | None
    verification_on_cuda: Verification | None
    has_custom_operators: bool
    readers: str
    cautions: tuple[str, ...]
    speedup: Speedup | None
    tuning: Tuning | None
    environment: Mapping[str, str]
    seconds: Mapping[str, float]

    @property
    def doubt(self) -> str:
        """Why the output is not known to be right on what it was made for; "" where it is."""
        target = provider_named(self.provider)
        checked: Verification | None = getattr(self, target.checked_as)
        if checked is not None and checked.status == "passed":
            return ""
        where = f" on {target.title}" if target.is_device else ""
        return f"could not be verified{where}: {checked.reason if checked else ''}"

    def to_json(self) -> str:
        """The report as JSON text; numbers that JSON has not (NaN, infinity) are strings."""
        return to_json({"schema": SCHEMA, **fields_of(self)})


def describe(model: ir.Model, source: Source | None) -> ModelFile:
    """Describe a model in memory, or the file that ``source`` names."""
    tensors = [value.const_value for g in model.graphs() for value in g.initializers.values()]
    in_memory = sum(tensor.nbytes for tensor in tensors if tensor is not None)
    return ModelFile(
        path=None if source is None else str(source.path),
        bytes=in_memory if source is None else source.size,
        opset=model.opset_imports[""],
        ir_version=model.ir_version,
        nodes=sum(len(graph) for graph in model.graphs()),
    )


def environment() -> dict[str, str]:
    """Versions of Python and of the packages that decide what a run does."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions
