"""Runs base and candidate on the same inputs and compares every output."""

from __future__ import annotations

__all__ = ["Verification", "prove", "verify"]

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import onnx_ir as ir

from graphopt.errors import ModelError, UsageError
from graphopt.evaluation import EvaluationFailed, evaluate
from graphopt.evaluation.calls import Array
from graphopt.evaluation.float64 import evaluate_in_float64
from graphopt.files import loading
from graphopt.inputs import GeneratedInputs, generate_inputs
from graphopt.options import REFERENCES, Reference
from graphopt.passes.choices import PROVIDER
from graphopt.passes.targets import provider_named
from graphopt.runtime import sessions
from graphopt.runtime.sessions import RuntimeRefused
from graphopt.verification.differences import (
    OutputError,
    compare,
    compare_with_truth,
    mismatch,
)

ModelOrPath = ir.Model | str | os.PathLike[str]


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
    """

    status: Literal["passed", "failed", "unverified"]
    outputs: tuple[OutputError, ...] = ()
    reason: str = ""
    defaulted: dict[str, int] = dataclasses.field(default_factory=dict)
    reference: Reference = "ort"
    runtime: str = ""
    lacks_kernel: bool = False


def verify(
    base: ModelOrPath,
    candidate: ModelOrPath,
    *,
    inputs: Mapping[str, Array] | None = None,
    input_shapes: Mapping[str, Sequence[int]] = {},
    dims: Mapping[str, int] = {},
    seed: int = 0,
    rtol: float | None = None,
    atol: float | None = None,
    reference: Reference = "ort",
    provider: str = PROVIDER.default,
    library: str | os.PathLike[str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Verification:
    """Run both models in ONNX Runtime on the same inputs and compare their outputs.

    With the reference ``ort`` every element of the candidate must be within a tolerance of the
    base (:func:`graphopt.verification.differences.compare`). With ``float64`` the base is also
    evaluated in float64, and the candidate's error against that must be at most twice the base's
    (:func:`graphopt.verification.differences.compare_with_truth`); rtol and atol do not apply.

    Args:
        base: The original, as a file or in memory.
        candidate: The model to be checked.
        inputs: Arrays of some inputs; the others are generated.
        input_shapes: Shapes of generated inputs, by name.
        dims: Sizes of symbolic dimensions, by name.
        seed: Seed of generated inputs.
        rtol: Relative tolerance; None takes that of each output's type.
        atol: Absolute tolerance; None takes rtol times the mean magnitude of each output.
        reference: ``ort`` or ``float64``.
        provider: Execution provider: ``cpu`` or ``cuda``.
        library: Library of kernels that the candidate is run with, such as
            :func:`graphopt.library_path` gives. Without, it runs in ONNX Runtime as it is.
        shapes: The older name of ``input_shapes``.

    Returns:
        The verdict. A base that ONNX Runtime cannot run, or that gives nothing finite, leaves the
        candidate unverified; a candidate that it refuses, or whose inputs or outputs have other
        names, types or shapes, has failed.

    Raises:
        UsageError: Something given does not fit the base, or the base does not run on it.
        ModelError: A file is missing or the base is no valid model.
        EnvironmentFailure: ONNX Runtime is missing, it refuses the library, or the provider does
            not start.
    """
    if reference not in REFERENCES:
        raise UsageError(f"unknown reference {reference!r}; choose {' or '.join(REFERENCES)}")
    input_shapes = input_shapes if shapes is None else shapes
    if not isinstance(candidate, ir.Model) and not Path(candidate).is_file():
        raise ModelError(f"{candidate}: there is no such file")
    model = base if isinstance(base, ir.Model) else loading.load(base)
    drawn = generate_inputs(model, seed=seed, shapes=input_shapes, dims=dims, given=inputs or {})
    unverified = Verification(
        "unverified",
        defaulted=drawn.defaulted,
        reference=reference,
        runtime=f"{sessions.ort_version()} ({provider}{', native kernels' if library else ''})",
    )
    # The tolerances are those of float32.
    exact = {"use_tf32": "0"} if provider_named(provider).is_device else {}
    try:
        session = sessions.create_session(
            base, provider_options=exact, provider=provider, threads=0
        )
    except RuntimeRefused as error:
        return dataclasses.replace(unverified, reason=f"the original does not run: {error}")
    try:
        expected = sessions.run(session, drawn.arrays)
    except RuntimeRefused as error:
        if inputs or input_shapes or dims:
            raise UsageError(f"the original does not run on the given inputs: {error}") from error
        reason = f"the original does not run on generated inputs ({_sizes(drawn)}): {error}"
        return dataclasses.replace(unverified, reason=reason)
    needed = sorted(value.name for value in session.get_inputs())
    del session  # one model at a time is in memory
    if not all(isinstance(array, np.ndarray) for array in expected.values()):
        return dataclasses.replace(
            unverified, reason="the original has outputs that are no tensors"
        )
    if not any(_has_finite(array) for array in expected.values()):
        reason = "every output of the original is NaN or infinite on these inputs"
        return dataclasses.replace(unverified, reason=reason)
    truth = None
    if reference == "float64":
        try:
            truth = evaluate_in_float64(model, drawn.arrays)
        except (EvaluationFailed, MemoryError) as error:
            reason = f"the original cannot be evaluated in float64: {error or 'out of memory'}"
            return dataclasses.replace(unverified, reason=reason)
    try:
        session = sessions.create_session(
            candidate, provider=provider, threads=0, library=library, provider_options=exact
        )
        found = sorted(value.name for value in session.get_inputs())
        if found != needed:
            return _failed(unverified, expected, _difference("input", needed, found))
        actual = sessions.run(session, drawn.arrays)
    except RuntimeRefused as error:
        failed = _failed(unverified, expected, f"the candidate does not run: {error}")
        return dataclasses.replace(failed, lacks_kernel=sessions.lacks_kernel(error))
    if list(actual) != list(expected):
        return _failed(unverified, expected, _difference("output", list(expected), list(actual)))
    return _decide(unverified, expected, actual, truth, rtol, atol)


def prove(
    base: ir.Model,
    candidate: ir.Model,
    inputs: Mapping[str, Array],
    *,
    rtol: float = 1e-9,
    atol: float = 1e-13,
) -> Verification:
    """Evaluate two float64 models with numpy and compare them far below float32 rounding.

    Every element must be within ``rtol`` times the largest finite element of its output, plus
    ``atol`` (a base that is exactly zero where the candidate rounds).

    Args:
        base: A float64 model, as :func:`graphopt.evaluation.float64.cast_to_float64` gives it.
        candidate: The same model, optimized in float64.
        inputs: One array for each input.
        rtol: Tolerance relative to the largest element of an output.
        atol: Absolute tolerance.

    Raises:
        EvaluationFailed: One of them cannot be evaluated.
    """
    expected, actual = evaluate(base, inputs), evaluate(candidate, inputs)
    result = Verification("unverified", reference="float64")
    if list(actual) != list(expected):
        return _failed(result, expected, _difference("output", list(expected), list(actual)))
    outputs = []
    for name, array in expected.items():
        magnitude = np.abs(array[np.isfinite(array)], dtype=np.float64)
        scaled = atol + rtol * float(magnitude.max(initial=0.0))
        outputs.append(compare(name, array, actual[name], 0.0, scaled))
    return _judge(result, outputs)


def _decide(
    undecided: Verification,
    expected: Mapping[str, Array],
    actual: Mapping[str, Array],
    truth: Mapping[str, Array] | None,
    rtol: float | None,
    atol: float | None,
) -> Verification:
    if truth is None:
        outputs = [compare(name, expected[name], actual[name], rtol, atol) for name in expected]
    else:
        outputs = [
            compare_with_truth(name, truth[name], expected[name], actual[name]) for name in expected
        ]
    return _judge(undecided, outputs)


def _judge(undecided: Verification, outputs: Sequence[OutputError]) -> Verification:
    problems = [f"output {output.name!r}: {output.problem}" for output in outputs if output.problem]
    return dataclasses.replace(
        undecided,
        status="passed" if all(output.passed for output in outputs) else "failed",
        outputs=tuple(outputs),
        reason=problems[0] if problems else "",
    )


def _failed(undecided: Verification, expected: Mapping[str, Array], problem: str) -> Verification:
    outputs = [mismatch(name, str(array.dtype), problem) for name, array in expected.items()]
    return dataclasses.replace(undecided, status="failed", outputs=tuple(outputs), reason=problem)


def _difference(kind: str, needed: Sequence[str], found: Sequence[str]) -> str:
    missing = [name for name in needed if name not in found]
    extra = [name for name in found if name not in needed]
    parts = []
    if missing:
        parts.append(f"lacks the {kind}s {', '.join(missing)}")
    if extra:
        parts.append(f"has the {kind}s {', '.join(extra)}, which the original has not")
    return f"the candidate {' and '.join(parts) or f'has its {kind}s in another order'}"


def _has_finite(array: Array) -> bool:
    return array.dtype.kind not in "fV" or bool(np.isfinite(array).any())


def _sizes(drawn: GeneratedInputs) -> str:
    sizes = ", ".join(f"{name}={size}" for name, size in drawn.dims.items())
    return f"{sizes}: --dim sets others" if sizes else "all of static shape"
