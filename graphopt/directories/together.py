"""Runs the models of a directory one after the other, as a client does, before and after.

Each model alone is verified on inputs that are drawn. Here the original encoder's outputs go to the
original decoder, and the optimized encoder's to the optimized decoder, so that what is compared is
what a user of both gets: small differences of one may not grow in the next.
"""

from __future__ import annotations

__all__ = ["Pair", "verify_together"]

import contextlib
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from graphopt.directories.handing import Call, Handed
from graphopt.errors import UsageError
from graphopt.evaluation import EvaluationFailed
from graphopt.evaluation.calls import Array
from graphopt.evaluation.float64 import evaluate_in_float64
from graphopt.options import Check, Sample
from graphopt.runtime.results import tensors
from graphopt.runtime.sessions import RuntimeRefused
from graphopt.verification import Original, OutputError, Verification
from graphopt.verification.differences import compare, decide, mismatch

_SWITCH = "use_cache_branch"
"""The input by which a merged decoder is told whether there is a cache; a bool of one entry."""


@dataclasses.dataclass(frozen=True)
class Pair:
    """One model before and after.

    Attributes:
        model: The original, loaded.
        original: Its file.
        candidate: The file that was made of it.
        sample: What it is run on, where nothing is handed to it.
    """

    model: ir.Model
    original: Path
    candidate: Path
    sample: Sample


@dataclasses.dataclass(frozen=True)
class _Ran:
    """What a call was given, and gave, before and after.

    Attributes:
        inputs: The arrays that both were given, by name.
        outputs: The arrays that both gave, by name.
        types: The coarsest type that computes each output.
        version: Version of ONNX Runtime.
    """

    inputs: tuple[Mapping[str, Array], Mapping[str, Array]]
    outputs: tuple[Mapping[str, Array], Mapping[str, Array]]
    types: Mapping[str, ir.DataType]
    version: str

    def of(self, handed: Handed, side: int) -> Array:
        return (self.inputs if handed.is_input else self.outputs)[side][handed.name]


class _NotRun(Exception):
    """A call of the originals cannot be made; the message says why."""


def verify_together(
    calls: Sequence[Call], models: Mapping[Path, Pair], check: Check, library: Path | None = None
) -> Verification:
    """Compare what a chain of calls gives before and after, on the CPU.

    Args:
        calls: The calls, in their order.
        models: Their models, by path within the directory.
        check: How closely the outputs are compared.
        library: Kernels to register for the candidates, or None.

    Returns:
        The verdict. Where outputs differ by more than the tolerance, the chain of the originals
        evaluated in float64 decides, if it can be evaluated. A chain that does not run on the
        originals is unverified.

    Raises:
        EnvironmentFailure: ONNX Runtime is missing, or refuses a library.
    """
    ran: list[_Ran] = []
    found: list[OutputError] = []
    truths = _Truths(calls, models, ran)
    result = Verification("unverified", draws=1)
    for number, call in enumerate(calls):
        try:
            last = _run(call, models[call.model], ran, library)
        except (_NotRun, UsageError) as error:
            return dataclasses.replace(result, reason=f"{call.model}: {error}")
        except RuntimeRefused as error:
            reason = f"{call.model}: the candidate does not run: {error}"
            names = [value.name or "" for value in models[call.model].model.graph.outputs]
            outputs = [mismatch(f"{call.model}: {name}", "", reason) for name in names]
            return dataclasses.replace(
                result, status="failed", reason=reason, outputs=(*found, *outputs)
            )
        ran.append(last)
        how = "cpu, native kernels" if library else "cpu"
        result = dataclasses.replace(result, runtime=f"{last.version} ({how})")
        for name, base in last.outputs[0].items():
            after = last.outputs[1][name]
            held = compare(name, base, after, check.rtol, check.atol, last.types.get(name))
            if not held.passed and (truth := truths.of(number)) is not None:
                held = decide(held, truth[name], base, after)
            where = f"{call.model}: {name}{' (second call)' if call.is_second else ''}"
            found.append(dataclasses.replace(held, name=where))
    problems = [f"{each.name}: {each.problem}" for each in found if each.problem]
    return dataclasses.replace(
        result,
        status="passed" if all(each.passed for each in found) else "failed",
        outputs=tuple(found),
        reason=problems[0] if problems else "",
    )


def _run(call: Call, pair: Pair, ran: Sequence[_Ran], library: Path | None) -> _Ran:
    """Call the original and the candidate, each on what its own chain gave so far."""
    before, after = (
        {name: ran[handed.call].of(handed, side) for name, handed in call.handed.items()}
        for side in (0, 1)
    )
    switch = {
        value.name: np.array([call.is_second])
        for value in pair.model.graph.inputs
        if value.name == _SWITCH and value.dtype == ir.DataType.BOOL
    }
    sample = dataclasses.replace(pair.sample, inputs={**before, **switch})
    with contextlib.ExitStack() as stack:
        base = stack.enter_context(Original(pair.model, sample, path=pair.original))
        if base.random:
            raise _NotRun("has random operators, which draw anew in each model")
        known = base.expectation("cpu")
        if known.reason:
            raise _NotRun(known.reason)
        given = {**known.draws[0], **after}
        base.process.open(
            pair.candidate,
            optimization=known.optimization,
            library=library,
            custom_op_libraries=sample.custom_op_libraries,
        )
        results = base.process.run(given)
        types = base.computing_types
    try:
        outputs = tensors(known.results[0]), tensors(results)
    except TypeError as error:
        raise _NotRun(f"{error}, which nothing can be handed on from") from error
    return _Ran((known.draws[0], given), outputs, types, known.version)


class _Truths:
    """The chain of the originals in float64, evaluated as far as it is asked for."""

    def __init__(
        self, calls: Sequence[Call], models: Mapping[Path, Pair], ran: Sequence[_Ran]
    ) -> None:
        self._calls, self._models, self._ran = calls, models, ran

    def of(self, number: int) -> Mapping[str, Array] | None:
        """The outputs of a call, or None where it cannot be evaluated."""
        try:
            return self._evaluated(number)[1]
        except (EvaluationFailed, MemoryError):
            return None

    @functools.cache  # noqa: B019 (it lives as long as one comparison)
    def _evaluated(self, number: int) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        call = self._calls[number]
        handed = {
            name: self._evaluated(given.call)[0 if given.is_input else 1][given.name]
            for name, given in call.handed.items()
        }
        inputs = {**self._ran[number].inputs[0], **handed}
        return inputs, evaluate_in_float64(self._models[call.model].model, inputs)
