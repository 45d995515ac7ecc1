"""Runs base and candidate on the same inputs and compares every output."""

from __future__ import annotations

__all__ = ["prove", "verify"]

import contextlib
import dataclasses
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from graphopt.errors import ModelError, UsageError, listed
from graphopt.evaluation import EvaluationFailed, evaluate
from graphopt.evaluation.calls import Array
from graphopt.files import loading, parsing, saving
from graphopt.options import REFERENCES, Reference, Sample
from graphopt.passes.choices import PROVIDER
from graphopt.runtime.results import Result
from graphopt.runtime.session_process import RuntimeDied
from graphopt.runtime.sessions import RuntimeRefused, lacks_kernel
from graphopt.verification.differences import OutputError, compare, mismatch
from graphopt.verification.evidence import Comparison
from graphopt.verification.idle_norms import idle_norms
from graphopt.verification.interface import interface_difference
from graphopt.verification.original import Expectation, Original
from graphopt.verification.random_operators import random_outputs, seed_operators
from graphopt.verification.result import Verification
from graphopt.verification.structure import as_result
from graphopt.verification.structured import compare_results, element_type

ModelOrPath = ir.Model | str | os.PathLike[str]


def verify(
    base: ModelOrPath | Original,
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
    custom_op_libraries: Sequence[str | os.PathLike[str]] = (),
    norms: Collection[str] | Mapping[str, Sequence[str]] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Verification:
    """Run both models in ONNX Runtime on the same inputs and compare their outputs.

    Generated inputs are drawn with several seeds and scales, in sizes that the base runs on,
    and once in other sizes where it runs on others. ONNX Runtime runs in a process of its own,
    which a model may end.

    With the reference ``ort`` every element of the candidate must be within a tolerance of the
    base (:func:`graphopt.verification.differences.compare`); where it is not, and the base can be
    evaluated in float64, that decides (:func:`graphopt.verification.differences.decide`). With
    ``float64`` the base is evaluated in float64 at once, and the candidate's error against that
    must be at most twice the base's
    (:func:`graphopt.verification.differences.compare_with_truth`); rtol and atol do not apply.

    Args:
        base: The original, as a file or in memory; or as an :class:`Original`, which was given its
            inputs, and is loaded and run once for any number of candidates.
        candidate: The model to be checked.
        inputs: Arrays of some inputs; the others are generated.
        input_shapes: Shapes of generated inputs, by name.
        dims: Sizes of symbolic dimensions, by name.
        seed: Seed of generated inputs.
        rtol: Relative tolerance; None takes that of the coarsest type that computes each output.
        atol: Absolute tolerance; None takes rtol times the mean magnitude of each output.
        reference: ``ort`` or ``float64``.
        provider: Execution provider: ``cpu`` or ``cuda``.
        library: Library of kernels that the candidate is run with, such as
            :func:`graphopt.library_path` gives. Without, it runs in ONNX Runtime as it is.
        custom_op_libraries: Libraries of the user's own operators, for both.
        norms: Names of norms of the base that the candidate converted, or for each of them the
            names of the results of Ifs that hand on what it normalizes. All of them must have run,
            behind both branches, and some output must show it, or the candidate is unverified. None
            where they are not known: then the norm operators of the candidate must have run.
        shapes: The older name of ``input_shapes``.

    Returns:
        The verdict. A base that ONNX Runtime cannot run, or whose outputs prove nothing (they are
        constant, saturated or not finite), leaves the candidate unverified; a candidate that it
        refuses, or whose inputs or outputs have other names, types or shapes, has failed.

    Raises:
        UsageError: Something given does not fit the base, or the base does not run on it.
        ModelError: A file is missing or holds no model, or the base is no valid one.
        EnvironmentFailure: ONNX Runtime is missing, it refuses a library, or the provider does not
            start.
    """
    if reference not in REFERENCES:
        raise UsageError(f"unknown reference {reference!r}; choose {' or '.join(REFERENCES)}")
    input_shapes = input_shapes if shapes is None else shapes
    if not isinstance(candidate, ir.Model) and not Path(candidate).is_file():
        if Path(candidate).is_dir():
            raise ModelError(f"{candidate}: is a directory: give a .onnx file")
        raise ModelError(f"{candidate}: there is no such file: check the path")
    with contextlib.ExitStack() as stack:
        if not isinstance(base, Original):
            sample = Sample(inputs or {}, input_shapes, dims, seed, tuple(custom_op_libraries))
            base = stack.enter_context(Original(base, sample, provider=provider))
        expected = base.expectation(provider)
        converted = norms if isinstance(norms, Mapping) else dict.fromkeys(norms or (), ())
        held = Comparison(base, expected, reference, rtol, atol, converted)
        result = _verify(base, candidate, held, provider, library)
        if norms is not None or result.status != "passed":
            return result
        if idle := idle_norms(base, expected, candidate, library):
            return dataclasses.replace(result, status="unverified", reason=_idle(idle))
        return result


def _verify(
    base: Original,
    candidate: ModelOrPath,
    held: Comparison,
    provider: str,
    library: str | os.PathLike[str] | None,
) -> Verification:
    known = held.expected
    result = _undecided(known, held.reference, provider, library)
    if known.reason:
        return dataclasses.replace(result, reason=known.reason)
    if held.reference == "float64":
        try:
            for draw in range(len(known.draws)):
                held.truth(draw)
        except (EvaluationFailed, MemoryError) as error:
            reason = (
                f"the original cannot be evaluated in float64 ({error or 'out of memory'}): "
                "--reference ort compares with what ONNX Runtime computes"
            )
            return dataclasses.replace(result, reason=reason)
    expected = known.results[0]
    actual: list[Mapping[str, Result]] = []
    try:
        with _file(base, candidate) as path:
            opened = base.process.open(
                path,
                provider=provider,
                library=library,
                optimization=known.optimization,
                custom_op_libraries=base.sample.custom_op_libraries,
            )
            if sorted(opened.inputs) != list(known.needed):
                problem = interface_difference("input", known.needed, sorted(opened.inputs))
                return _failed(result, expected, problem)
            if opened.outputs != known.outputs:
                problem = interface_difference("output", known.outputs, opened.outputs)
                return _failed(result, expected, problem)
            actual.extend(base.process.run(inputs) for inputs in known.draws)
    except _NotSeeded as error:
        return dataclasses.replace(result, reason=str(error))
    except RuntimeDied as error:
        return _failed(result, expected, f"the candidate does not run: {error} on it")
    except RuntimeRefused as error:
        if not isinstance(candidate, ir.Model):
            parsing.read(Path(candidate))  # a file that holds no model is no wrong model
        sizes = known.other_sizes(len(actual)) if actual else ""
        where = f"where the original does on {sizes}" if sizes else ""
        words = f"the candidate does not run {where}".rstrip()
        failed = _failed(result, expected, f"{words}: {error}")
        return dataclasses.replace(failed, lacks_kernel=lacks_kernel(error))
    return _judge(result, held, actual)


def _judge(
    result: Verification, held: Comparison, actual: Sequence[Mapping[str, Result]]
) -> Verification:
    """The verdict, as far as the outputs carry one."""
    outputs = held.outputs(actual)
    result = dataclasses.replace(result, outputs=tuple(outputs), notes=tuple(held.notes(outputs)))
    if not all(output.passed for output in outputs):
        problems = [f"output {each.name!r}: {each.problem}" for each in outputs if each.problem]
        return dataclasses.replace(result, status="failed", reason=problems[0] if problems else "")
    if problem := held.missing_evidence():
        return dataclasses.replace(result, reason=problem)
    return dataclasses.replace(result, status="passed")


def _undecided(
    known: Expectation,
    reference: Reference,
    provider: str,
    library: str | os.PathLike[str] | None,
) -> Verification:
    how = [provider, *(["native kernels"] if library else [])]
    if known.optimization != "all":
        how.append(f"optimizations of the runtime: {known.optimization}")
    if provider != known.provider:
        how.append(f"the original on {known.provider}")
    return Verification(
        "unverified",
        defaulted=known.sizes.defaulted if known.sizes else {},
        reference=reference,
        runtime=f"{known.version} ({', '.join(how)})" if known.version else "",
        configured=known.sizes.configured if known.sizes else {},
        configuration=known.configuration,
        draws=len(known.draws),
    )


class _NotSeeded(ModelError):
    """The random operators of a candidate cannot be seeded as those of the original."""


@contextlib.contextmanager
def _file(base: Original, candidate: ModelOrPath) -> Iterator[Path]:
    """The file to run: the candidate's own, or a copy whose random operators are seeded."""
    if not base.random:
        if not isinstance(candidate, ir.Model):
            yield Path(candidate)
            return
        model = candidate
    else:
        model = candidate.clone() if isinstance(candidate, ir.Model) else loading.load(candidate)
        if random_outputs(model) != base.random:
            raise _NotSeeded(
                "random operators without a seed give other values in the candidate than in the "
                f"original ({listed(sorted(random_outputs(model) ^ base.random))}): give them seeds"
            )
        seed_operators(model)
    with saving.temporary(model) as path:
        yield path


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
        return _failed(
            result, expected, interface_difference("output", list(expected), list(actual))
        )
    outputs = []
    for name, base_result in expected.items():

        def compare_part(_: int, array: Array, found: Array, name: str = name) -> OutputError:
            magnitude = np.abs(array[np.isfinite(array)], dtype=np.float64)
            scaled = atol + rtol * float(magnitude.max(initial=0.0))
            return compare(name, array, found, 0.0, scaled)

        found = as_result(actual[name])
        outputs.append(compare_results(name, as_result(base_result), found, compare_part))
    passed = all(output.passed for output in outputs)
    problems = [f"output {each.name!r}: {each.problem}" for each in outputs if each.problem]
    return dataclasses.replace(
        result,
        status="passed" if passed else "failed",
        outputs=tuple(outputs),
        reason=problems[0] if problems else "",
    )


def _failed(undecided: Verification, expected: Mapping[str, Result], problem: str) -> Verification:
    outputs = [mismatch(name, element_type(base), problem) for name, base in expected.items()]
    return dataclasses.replace(undecided, status="failed", outputs=tuple(outputs), reason=problem)


def _idle(norms: Sequence[str]) -> str:
    count = "1 norm" if len(norms) == 1 else f"{len(norms)} norms"
    return (
        f"{count} of the candidate ran on none of the inputs ({listed(norms)}; --input and --dim "
        "give others)"
    )
