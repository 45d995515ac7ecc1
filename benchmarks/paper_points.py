"""Times the variants of one size at growing batches, as far as memory and time go."""

from __future__ import annotations

__all__ = ["Subject", "Timer"]

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import onnx_ir as ir
from paper_limits import TimeLimit, gibibytes
from paper_tables import Measured, Missing
from paper_variants import BASELINE, dimensions, parameters

from graphopt.benchmarking.candidates import Candidate
from graphopt.benchmarking.execution import Execution
from graphopt.benchmarking.result import Failure, Point
from graphopt.benchmarking.settings import Settings
from graphopt.benchmarking.timing import time_point
from graphopt.benchmarking.trial import try_model
from graphopt.errors import ModelError
from graphopt.inputs import generate_inputs
from graphopt.runtime.own_process import ProcessFailed


@dataclasses.dataclass(frozen=True)
class Subject:
    """The variants of one size and type on one execution provider.

    Attributes:
        size: The size, for example ``vit-ti``.
        dtype: Type of the weights.
        model: The variant pre-ln, for the shapes of its inputs.
        variants: What is timed, pre-ln included.
        failures: The variants that could not be made.
        execution: How they are run.
    """

    size: str
    dtype: str
    model: ir.Model
    variants: Sequence[Candidate]
    failures: Sequence[Failure]
    execution: Execution

    @property
    def name(self) -> str:
        """What a reader calls it."""
        return f"{self.size}, {self.dtype}, {self.execution.provider}"


class Timer:
    """Times points, or says why one is not timed.

    Args:
        duration: Seconds to aim at for each point.
        limit: The longest that a point may take where calls are slow.
        memory: Bytes that all sessions of a provider may take together, None for any number.
        progress: Told what is timed next.
    """

    def __init__(
        self,
        duration: float,
        limit: TimeLimit,
        memory: Callable[[str], int | None],
        progress: Callable[[str], None],
    ) -> None:
        self.duration, self.limit = duration, limit
        self.memory, self.progress = memory, progress

    def batches(
        self, subject: Subject, length: int, batches: Sequence[int]
    ) -> Iterator[Measured | Missing]:
        """A result for each batch, ascending, up to the first that cannot be timed."""
        kind = (subject.execution.provider, subject.dtype)
        for batch in sorted(batches):
            what = f"{subject.name}, {length} tokens, batch {batch}"
            work = parameters(subject.size) * length * batch
            reason = self.limit.reason(kind, work, len(subject.variants))
            if not reason:
                self.progress(what)
                found = self._time(subject, length, batch)
                if isinstance(found, Measured):
                    self.limit.learn(kind, work, found.seconds())
                    yield found
                    continue
                reason = found
            yield Missing(f"{what}{'' if batch == max(batches) else ' and above'}", reason)
            return

    def _time(self, subject: Subject, length: int, batch: int) -> Measured | str:
        """The point, or why it was not timed."""
        execution = subject.execution
        dims = dimensions(subject.size, batch, length)
        inputs = generate_inputs(subject.model, dims=dims).arrays
        baseline = next(c.path for c in subject.variants if c.info.name == BASELINE)
        try:
            needed = (try_model(baseline, inputs, execution).memory or 0) * len(subject.variants)
        except ProcessFailed as error:
            return str(error)
        allowed = self.memory(execution.provider)
        if allowed is not None and needed > allowed:
            return (
                f"{len(subject.variants)} sessions side by side take {gibibytes(needed)}, more "
                f"than {gibibytes(allowed)} (--memory)"
            )
        point = Point(
            provider=execution.provider,
            threads=execution.threads,
            dtype=subject.dtype,
            batch=batch,
            dims=dims,
            shapes={name: array.shape for name, array in inputs.items()},
            baseline=BASELINE,
            rows=(),
            failures=tuple(subject.failures),
        )
        settings = self.settings(execution)
        try:
            [timed] = time_point(point, subject.variants, inputs, execution, settings, _ignore)
        except ModelError as error:
            return str(error)
        return Measured(subject.size, length, timed)

    def settings(self, execution: Execution) -> Settings:
        """How points are timed: by the CPU time of the thread where one thread does the work."""
        is_one_thread = execution.threads == 1 and execution.provider == "cpu"
        return Settings(
            threads=(execution.threads,),
            duration=self.duration,
            clock="thread_cpu" if is_one_thread else "wall",
        )


def _ignore(what: str, share: float) -> None:
    """Tell nobody."""
