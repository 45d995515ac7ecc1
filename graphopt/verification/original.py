"""The model that candidates are held against: loaded, checked and run once, however many."""

from __future__ import annotations

__all__ = ["Expectation", "Original"]

import contextlib
import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import onnx_ir as ir

from graphopt.errors import UsageError
from graphopt.evaluation.calls import Array
from graphopt.evaluation.float64 import evaluate_in_float64
from graphopt.files import loading, saving
from graphopt.inputs import GeneratedInputs, InputsUnknown
from graphopt.options import Sample
from graphopt.passes.choices import PROVIDER
from graphopt.passes.inline_functions import InlineFunctions
from graphopt.runtime.results import Result
from graphopt.runtime.session_process import Opened, RuntimeDied, SessionProcess
from graphopt.runtime.sessions import Optimization, RuntimeRefused, lacks_operator
from graphopt.verification.draws import Draws, Runs, SizesRefused
from graphopt.verification.graph_runs import GraphRuns, graphs_that_ran
from graphopt.verification.precision import computing_types
from graphopt.verification.random_operators import random_outputs, seed_operators
from graphopt.verification.structure import as_result, is_readable, kind, parts

ModelOrPath = ir.Model | str | os.PathLike[str]

_KILLED = 9
"""The signal that Linux ends a process with where memory runs out."""
_LEVELS: tuple[Optimization, ...] = ("all", "extended", "basic", "disable")


@dataclasses.dataclass(frozen=True)
class Expectation:
    """What the original gave, or why it gave nothing.

    Attributes:
        reason: Why there is nothing to compare with; else "".
        draws: The inputs of each run.
        results: The outputs of each run, by name.
        needed: Names of the inputs, sorted.
        outputs: Names of the outputs, in order; one that is listed twice is here twice.
        sizes: The first draw with the sizes that were chosen, or None where none was.
        configuration: Names of the files that some sizes were read from.
        provider: Execution provider that it ran on.
        version: Version of ONNX Runtime.
        optimization: The highest level of ONNX Runtime's own optimizations at which it runs.
        problem: How ONNX Runtime ended at a higher level; else "".
        left_out: How many drawn inputs it refused.
    """

    reason: str = ""
    draws: tuple[Mapping[str, Array], ...] = ()
    results: tuple[Mapping[str, Result], ...] = ()
    needed: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    sizes: GeneratedInputs | None = None
    configuration: tuple[str, ...] = ()
    provider: str = "cpu"
    version: str = ""
    optimization: Optimization = "all"
    problem: str = ""
    left_out: int = 0

    def other_sizes(self, draw: int) -> str:
        """The shapes of the inputs of a draw, in words, where they are not those of the first."""
        return ", ".join(
            f"{name} {list(array.shape)}"
            for name, array in self.draws[draw].items()
            if array.shape != self.draws[0][name].shape
        )


class Original:
    """A model, and what ONNX Runtime makes of it: found when it is first asked for, and once.

    Used in a ``with`` statement; its process and its temporary files go with it.

    Args:
        model: The original, as a file or in memory; it is not changed.
        sample: What it is run on; what is not given is generated.
        path: The file of a model in memory, where there is one; else it is written to one.
        provider: Execution provider that it is run on, where it runs there.

    Raises:
        ModelError: The file is missing or holds no valid model.
    """

    def __init__(
        self,
        model: ModelOrPath,
        sample: Sample = Sample(),  # noqa: B008 (immutable)
        *,
        path: Path | None = None,
        provider: str = PROVIDER.default,
    ) -> None:
        self.model = model if isinstance(model, ir.Model) else loading.load(model)
        self.sample = sample
        self.process = SessionProcess()
        self.random = random_outputs(self.model)
        self._path = path if isinstance(model, ir.Model) else Path(model)
        self._provider = provider
        self._expectations: dict[str, Expectation] = {}
        self._ran: GraphRuns | None = None
        self._files = contextlib.ExitStack()

    def __enter__(self) -> Original:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.close()
        self._files.close()

    def expectation(self, provider: str | None = None) -> Expectation:
        """What it gives, from one loading and one series of runs.

        Args:
            provider: Execution provider to run it on where its own refuses it; None tries no other.

        Raises:
            UsageError: Something given does not fit the model, or it does not run on it.
            EnvironmentFailure: ONNX Runtime is missing, it refuses a library, or the provider does
                not start.
        """
        for name in dict.fromkeys((self._provider, provider or self._provider)):
            if name not in self._expectations:
                self._expectations[name] = self._expect(name)
            if not self._expectations[name].reason:
                break
        return self._expectations[name]

    def _expect(self, provider: str) -> Expectation:
        try:
            draws = Draws(self.model, self.sample)
        except InputsUnknown as error:
            return Expectation(str(error), provider=provider)
        return self._run(draws, provider)

    @functools.cached_property
    def inlined(self) -> ir.Model:
        """The model without functions; itself where it has none."""
        if not self.model.functions:
            return self.model
        model = self.model.clone()
        InlineFunctions()(model)
        return model

    @functools.cached_property
    def computing_types(self) -> dict[str, ir.DataType]:
        """The coarsest floating-point type that computes each output, by name."""
        return computing_types(self.inlined)

    def output(self, name: str) -> ir.Value | None:
        """The value of ``inlined`` that is the output of that name."""
        return next((value for value in self.inlined.graph.outputs if value.name == name), None)

    def graphs_that_ran(self, expected: Expectation) -> GraphRuns | None:
        """The nested graphs of ``inlined`` that ran in each draw; None where it cannot be told."""
        if self._ran is None:
            with contextlib.suppress(RuntimeRefused):
                self._ran = graphs_that_ran(
                    self.process,
                    self.inlined,
                    expected.draws,
                    custom_op_libraries=self.sample.custom_op_libraries,
                )
        return self._ran

    def in_float64(self, inputs: Mapping[str, Array]) -> dict[str, Result]:
        """Its outputs, evaluated in float64 from the inputs on.

        Raises:
            EvaluationFailed: It cannot be.
            MemoryError: There is too little memory.
        """
        found = evaluate_in_float64(self.model, inputs)
        return {name: as_result(value) for name, value in found.items()}

    def _run(self, draws: Draws, provider: str) -> Expectation:
        """Run it at the highest level of ONNX Runtime's own optimizations that it runs at."""
        problems: list[Exception] = []
        for level in _LEVELS:
            try:
                opened = self._open(provider, level)
                runs = draws.run(self.process)
                if self.random and runs.refused:  # they draw on where a refused run left them
                    self._open(provider, level)
                    again = tuple(self.process.run(inputs) for inputs in runs.inputs)
                    runs = dataclasses.replace(runs, results=again)
            except RuntimeRefused as error:
                problems.append(error)
                continue
            return Expectation(
                reason=_obstacle(runs),
                draws=runs.inputs,
                results=runs.results,
                needed=tuple(sorted(opened.inputs)),
                outputs=tuple(opened.outputs),
                sizes=runs.sizes,
                configuration=draws.configuration if runs.sizes.configured else (),
                provider=provider,
                version=opened.version,
                optimization=level,
                problem=_problem(problems),
                left_out=runs.left_out,
            )
        sample = self.sample
        given = sample.inputs or sample.input_shapes or sample.dims
        if isinstance(problems[-1], SizesRefused) and given:
            raise UsageError(
                f"the original does not run on the given inputs ({problems[-1]}): give others"
            )
        reason = f"the original does not run ({_advice(problems[0])}): {problems[0]}"
        if died := _deaths(problems):
            reason = f"{died[0]} on the original ({_advice(died[0])})"
        if isinstance(problems[0], SizesRefused):
            sizes = ", ".join(f"{name}={size}" for name, size in draws.first.dims.items())
            advice = (
                f"{sizes}: --dim sets others" if sizes else "of static shape: --input gives others"
            )
            reason = f"the original does not run on generated inputs ({advice}): {problems[0]}"
        return Expectation(reason, sizes=draws.first, provider=provider)

    def _open(self, provider: str, level: Optimization) -> Opened:
        return self.process.open(
            self._file,
            provider=provider,
            optimization=level,
            custom_op_libraries=self.sample.custom_op_libraries,
        )

    @functools.cached_property
    def _file(self) -> Path:
        if self._path is not None and not self.random:
            return self._path
        model = self.model
        if self.random:
            model = model.clone()
            seed_operators(model)
        return self._files.enter_context(saving.temporary(model))


def _advice(problem: Exception) -> str:
    """What would help where the original does not run."""
    if isinstance(problem, RuntimeDied):
        if problem.signal == _KILLED:
            return "perhaps for want of memory: --dim gives smaller sizes"
        return "another release of ONNX Runtime may run it"
    if isinstance(problem, RuntimeRefused) and lacks_operator(problem):
        return "--custom-op-library registers operators of your own"
    return "give a model that ONNX Runtime runs"


def _deaths(problems: Sequence[Exception]) -> list[RuntimeDied]:
    return [error for error in problems if isinstance(error, RuntimeDied)]


def _problem(problems: Sequence[Exception]) -> str:
    """How ONNX Runtime ended, where it did."""
    died = _deaths(problems)
    return f"{died[0]} on the original" if died else ""


def _obstacle(runs: Runs) -> str:
    """Why the outputs cannot be compared, or ""."""
    outputs = [(name, result) for found in runs.results for name, result in found.items()]
    for name, result in outputs:
        if not is_readable(result):
            return (
                f"the original has an output that cannot be read, {name}, which is {kind(result)}: "
                "export the model without it to have the others compared"
            )
    arrays = [part.array for _, result in outputs for part in parts(result)]
    if any(array.size for array in arrays) and not any(map(_has_finite, arrays)):
        return "every output of the original is NaN or infinite (--input gives other inputs)"
    return ""


def _has_finite(array: Array) -> bool:
    return bool(array.size) and (array.dtype.kind not in "fV" or bool(np.isfinite(array).any()))
