"""Draws random inputs that a model accepts."""

from __future__ import annotations

__all__ = ["GeneratedInputs", "InputGenerator", "generate_inputs"]

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from graphopt.errors import UsageError, listed
from graphopt.evaluation.calls import Array
from graphopt.files import loading
from graphopt.inputs.configuration import Configuration, read_configuration
from graphopt.inputs.dimensions import ATTEMPTS, Dimensions, InputsUnknown, choose_dimensions
from graphopt.inputs.meaning import Meaning, trace_meaning
from graphopt.inputs.other_sizes import other_sizes
from graphopt.inputs.padding import is_float_mask, is_mask, padded_lengths, padding_mask
from graphopt.passes.infer_shapes import InferShapes

_DIGITS = 3
"""A step of a diffusion model is below 1000."""


@dataclasses.dataclass(frozen=True)
class GeneratedInputs:
    """Inputs to run a model on.

    Attributes:
        arrays: One array for each graph input that is not also an initializer, by name.
        dims: The size of each symbolic dimension.
        defaulted: Those among them that were chosen by default, which a report should say.
        configured: Those among the defaulted that files beside the model state.
    """

    arrays: dict[str, Array]
    dims: dict[str, int]
    defaulted: dict[str, int]
    configured: dict[str, int] = dataclasses.field(default_factory=dict)


def generate_inputs(
    model: ir.Model | str | os.PathLike[str],
    *,
    seed: int = 0,
    input_shapes: Mapping[str, Sequence[int]] = {},
    dims: Mapping[str, int] = {},
    given: Mapping[str, Array] = {},
) -> GeneratedInputs:
    """Inputs for a model: the given ones, and random valid values for the rest.

    Floats are normal. Integers that index a table are bounded by it, wherever the graph hides the
    lookup; integers used as a mask are ones, with the last quarter of every sample but the first
    set to 0 as padding to the right, and lengths say the same; positions that no table bounds count
    upwards; any other integer is 0 or 1. The same seed gives the same arrays.

    Args:
        model: A file, or a model in memory, which is not changed.
        seed: Of the random numbers; each input draws from a stream of its own.
        input_shapes: Complete shapes of some inputs, by name.
        dims: Sizes of some symbolic dimensions, by name.
        given: Arrays of some inputs, by name.

    Raises:
        InputsUnknown: An input cannot be generated.
        UsageError: Something given does not fit the model.
        ModelError: A file is missing or is no valid model.
    """
    if not isinstance(model, ir.Model):
        model = loading.load(model)
    generator = InputGenerator(model, input_shapes=input_shapes, dims=dims, given=given)
    return generator.draw(next(generator.sizes()), seed=seed)


class InputGenerator:
    """Draws inputs of several sizes, seeds and scales, having looked at the model once.

    The arguments are those of :func:`generate_inputs`.

    Attributes:
        configuration: What the files beside the model state.
    """

    def __init__(
        self,
        model: ir.Model,
        *,
        input_shapes: Mapping[str, Sequence[int]] = {},
        dims: Mapping[str, int] = {},
        given: Mapping[str, Array] = {},
    ) -> None:
        self._inputs = [value for value in model.graph.inputs if value.const_value is None]
        self._given = given
        self._shapes = _fixed_shapes(model, self._inputs, input_shapes, given)
        self._dims = dims
        source = loading.source_of(model)
        self.configuration = read_configuration(source.path) if source else Configuration()
        self._meanings = _trace_meanings(model)

    @property
    def varies(self) -> bool:
        """True where another seed gives other inputs."""
        return any(value.name not in self._given for value in self._inputs)

    def sizes(self) -> Iterator[Dimensions]:
        """Sizes to run the model with, the likeliest first, each once.

        Raises:
            InputsUnknown: The shape of an input cannot be told, or it is no tensor of numbers.
            UsageError: Something given does not fit the model.
        """
        for value in self._inputs:
            if value.name not in self._given:
                _check_numeric(value)
        seen: list[dict[str, int]] = []
        for attempt in ATTEMPTS:
            chosen = choose_dimensions(
                self._inputs, self._shapes, self._dims, self.configuration, attempt
            )
            if chosen.symbols not in seen:
                seen.append(chosen.symbols)
                yield chosen

    def other_sizes(self, chosen: Dimensions) -> Iterator[Dimensions]:
        """Sizes beside those chosen, in which no two symbols nobody gave are alike, or all are.

        None where every size is given, stated by the configuration, or that of an image or sound.
        """
        for dims in other_sizes(self._inputs, chosen, self._dims):
            with contextlib.suppress(UsageError):  # an expression of them is no size
                yield choose_dimensions(self._inputs, self._shapes, dims, self.configuration)

    def draw(
        self, chosen: Dimensions, *, seed: int = 0, scale: float = 1.0, whole: int = 0
    ) -> GeneratedInputs:
        """Inputs of these sizes.

        Args:
            chosen: The sizes.
            seed: Of the random numbers.
            scale: Deviation of generated floats, which are normal.
            whole: Number of the draw, and of the sample that masks leave whole (``padding_mask``).
                Integers that are used as numbers have as many digits, up to three.

        Raises:
            UsageError: An array that was given has another type than the input.
        """
        arrays = {}
        switches = self._switches(chosen)
        for number, value in enumerate(self._inputs):
            name = value.name or ""
            if name in self._given:
                arrays[name] = _check_type(value, self._given[name])
            else:
                stream = np.random.default_rng((seed, number))
                meaning = self._meanings[name]
                if name in switches:  # they alternate, every other one at half the speed
                    turn = seed >> switches.index(name) % 2
                    array = np.full(chosen.shapes[name], (turn + number) % 2)
                else:
                    array = _draw(value, chosen, meaning, stream, scale, whole)
                assert value.dtype is not None
                arrays[name] = np.asarray(array).astype(value.dtype.numpy())
        arrays |= {name: array for name, array in self._given.items() if name not in arrays}
        return GeneratedInputs(arrays, chosen.symbols, chosen.defaulted, chosen.configured)

    def settings(self, chosen: Dimensions) -> int:
        """How many draws of consecutive seeds set each two switches that follow in every way."""
        return (1, 2, 4)[min(2, len(self._switches(chosen)))]

    def _switches(self, chosen: Dimensions) -> list[str]:
        """Names of the generated inputs that choose between two branches."""
        return [
            value.name or ""
            for value in self._inputs
            if value.name not in self._given
            and _is_switch(value, chosen, self._meanings[value.name or ""])
        ]


def _fixed_shapes(
    model: ir.Model,
    inputs: Sequence[ir.Value],
    shapes: Mapping[str, Sequence[int]],
    given: Mapping[str, Array],
) -> dict[str, Sequence[int]]:
    """The shapes that were given, those of arrays included."""
    names = {value.name for value in model.graph.inputs}
    for name, array in given.items():
        if name not in names:
            known = listed(value.name or "" for value in inputs)
            raise UsageError(f"the model has no input {name!r}: choose one of {known}")
        if name in shapes and tuple(shapes[name]) != array.shape:
            raise UsageError(
                f"input {name!r} is given with shape {list(array.shape)} and --input-"
                f"shape {list(shapes[name])}; give one of them"
            )
    return dict(shapes) | {
        value.name: given[value.name].shape
        for value in inputs
        if value.name is not None and value.name in given
    }


def _trace_meanings(model: ir.Model) -> dict[str, Meaning]:
    """Meanings of all inputs; shapes are inferred, on a copy, where the graph computes a table."""
    if model.functions:
        model = model.clone()
        InlinePass()(model)
    meanings = {value.name or "": trace_meaning(value) for value in model.graph.inputs}
    if any(meaning.unbounded for meaning in meanings.values()):
        model = model.clone()
        InferShapes()(model)
        meanings = {value.name or "": trace_meaning(value) for value in model.graph.inputs}
    return meanings


def _check_numeric(value: ir.Value) -> None:
    if not isinstance(value.type, ir.TensorType) or value.type.dtype == ir.DataType.STRING:
        raise InputsUnknown(
            f"input {value.name!r} is no tensor of numbers: no input can be generated "
            f"(--input {value.name}:FILE.npy gives a tensor)"
        )


def _check_type(value: ir.Value, array: Array) -> Array:
    if value.dtype == ir.DataType.STRING:
        return array.astype(str)
    if value.dtype is not None and value.dtype.numpy() != array.dtype:
        raise UsageError(
            f"input {value.name!r} is declared {value.dtype.numpy()}; the array given is "
            f"{array.dtype}: give it in that type"
        )
    return array


def _draw(
    value: ir.Value,
    chosen: Dimensions,
    meaning: Meaning,
    stream: np.random.Generator,
    scale: float,
    whole: int,
) -> Array:
    """An array for an input that is no switch."""
    name = value.name or ""
    assert isinstance(value.type, ir.TensorType)
    shape, dtype = chosen.shapes[name], value.type.dtype
    if dtype == ir.DataType.BOOL:
        is_padding = is_mask(name, meaning)
        array = padding_mask(shape, whole) if is_padding else stream.integers(0, 2, shape)
    elif dtype.is_integer():
        array = _draw_integers(name, chosen, meaning, stream, whole)
    elif is_float_mask(name, shape, meaning):
        array = padding_mask(shape, whole)
    else:
        array = scale * stream.normal(size=shape)
    return np.asarray(array)


def _draw_integers(
    name: str, chosen: Dimensions, meaning: Meaning, stream: np.random.Generator, whole: int
) -> Array:
    shape = chosen.shapes[name]
    if meaning.high is not None:
        return stream.integers(meaning.low, max(meaning.high, meaning.low + 1), shape)
    if (lengths := padded_lengths(name, shape, chosen.shapes, whole)) is not None:
        return lengths
    if is_mask(name, meaning):
        return padding_mask(shape, whole)
    if "position" in name.lower() and shape:
        return np.broadcast_to(np.arange(shape[-1]), shape)
    return stream.integers(0, _highest_number(meaning, whole) + 1, shape)


def _highest_number(meaning: Meaning, whole: int) -> int:
    """1, which is valid for most that can be asked of an integer; more where anything is."""
    return 10 ** min(whole, _DIGITS) if meaning.number else 1


def _is_switch(value: ir.Value, chosen: Dimensions, meaning: Meaning) -> bool:
    """Whether an input, one entry of 0 or 1, may choose between two branches."""
    name = value.name or ""
    assert value.dtype is not None
    shape, dtype = chosen.shapes[name], value.dtype
    is_discrete = dtype == ir.DataType.BOOL or dtype.is_integer()
    is_index = meaning.high is not None or "position" in name.lower()
    if not is_discrete or is_index or is_mask(name, meaning) or math.prod(shape) != 1:
        return False
    if meaning.number and dtype.is_integer():
        return False
    return padded_lengths(name, shape, chosen.shapes) is None
