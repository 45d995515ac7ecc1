"""Inputs of several seeds, scales and sizes, and what a model gives on them."""

from __future__ import annotations

__all__ = ["Draws", "Runs", "SizesRefused"]

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import onnx_ir as ir

from graphopt.evaluation.calls import Array
from graphopt.inputs import GeneratedInputs, InputGenerator
from graphopt.options import Sample
from graphopt.runtime.results import Result
from graphopt.runtime.session_process import RuntimeDied, SessionProcess
from graphopt.runtime.sessions import RuntimeRefused

_SCALES = (1.0, 0.25, 4.0)
"""Deviation of the generated floats of each draw."""


class SizesRefused(RuntimeRefused):
    """A model runs on none of the inputs that were tried; the message is that of the first."""


@dataclasses.dataclass(frozen=True)
class Runs:
    """What a model gave.

    Attributes:
        sizes: The inputs of the first run, with the sizes of all.
        inputs: The inputs of each run, by name.
        results: The outputs of each run, by name.
        attempt: Number of the sizes that were taken, 0 for the likeliest.
        refused: True where the model refused some inputs that came before the last of these.
        left_out: How many further inputs of the same sizes the model refused.
    """

    sizes: GeneratedInputs
    inputs: tuple[Mapping[str, Array], ...]
    results: tuple[Mapping[str, Result], ...]
    attempt: int
    refused: bool = False
    left_out: int = 0


class Draws:
    """What one model is run on: the given inputs, or others where it refuses the likeliest sizes.

    Args:
        model: The model.
        sample: What it is run on. Its seed is that of the first draw; each further one has the
            next.

    Raises:
        InputsUnknown: An input cannot be generated.
        UsageError: Something given does not fit the model.
    """

    def __init__(self, model: ir.Model, sample: Sample) -> None:
        self._generator = InputGenerator(
            model, input_shapes=sample.input_shapes, dims=sample.dims, given=sample.inputs
        )
        self._seed = sample.seed
        self._sizes = list(self._generator.sizes())
        self.first = self._generator.draw(self._sizes[0], seed=self._seed)

    @property
    def configuration(self) -> tuple[str, ...]:
        """Names of the files beside the model that state sizes."""
        return self._generator.configuration.files

    def run(self, process: SessionProcess, attempt: int = 0) -> Runs:
        """Run the open session on the first sizes that it takes, with every seed and scale.

        Then once on other sizes, where it takes others. A further draw that it refuses, because of
        its values, is left out, and counted.

        Args:
            process: What runs it.
            attempt: Number of the sizes to begin with.

        Raises:
            SizesRefused: It runs on none.
            RuntimeDied: It ended the process on the first sizes.
        """
        problem: RuntimeRefused | None = None
        for number in range(attempt, len(self._sizes)):
            drawn = self._generator.draw(self._sizes[number], seed=self._seed)
            try:
                results = [process.run(drawn.arrays)]
            except RuntimeDied:
                raise
            except RuntimeRefused as error:
                problem = problem or error
                continue
            inputs: list[Mapping[str, Array]] = [drawn.arrays]
            refused, left_out = problem is not None, 0
            for other, is_resized in self._further(number):
                if _equal(other, inputs[0]):
                    continue
                try:
                    results.append(process.run(other))
                except RuntimeDied:
                    if is_resized:  # the session is gone, and what it gave is enough
                        break
                    raise
                except RuntimeRefused:
                    refused = True
                    left_out += not is_resized
                    continue
                inputs.append(other)
                if is_resized:
                    break
            return Runs(drawn, tuple(inputs), tuple(results), number, refused, left_out)
        raise SizesRefused(str(problem))

    def _further(self, number: int) -> Iterator[tuple[Mapping[str, Array], bool]]:
        """The other draws: of the same sizes, then, marked so, of others until one is taken."""
        sizes = self._sizes[number]
        scales = self._further_scales(number)
        for index, scale in enumerate(scales, start=1):
            drawn = self._generator.draw(sizes, seed=self._seed + index, scale=scale, whole=index)
            yield drawn.arrays, False
        if not self._generator.varies:
            return
        index = len(scales) + 1
        for other in self._generator.other_sizes(sizes):
            yield self._generator.draw(other, seed=self._seed + index, whole=index).arrays, True

    def _further_scales(self, number: int) -> tuple[float, ...]:
        """One for each further draw: enough for two switches to be set in every way."""
        if not self._generator.varies:
            return ()
        missing = self._generator.settings(self._sizes[number]) - len(_SCALES)
        return (*_SCALES[1:], *(1.0 for _ in range(missing)))


def _equal(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)
