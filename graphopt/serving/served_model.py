"""A model that answers requests: an ONNX Runtime session, and what it takes and gives."""

from __future__ import annotations

__all__ = ["BadRequest", "ServedModel", "TensorSpec"]

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from graphopt.errors import GraphoptError, ModelError, listed
from graphopt.runtime.sessions import RuntimeRefused, create_session, run
from graphopt.serving.datatypes import datatype_of_array, datatype_of_runtime
from graphopt.serving.settings import ServingSettings

Array = npt.NDArray[Any]

# ONNX Runtime's code for values that an operator does not take, such as an index out of bounds.
_BAD_VALUE = ("INVALID_ARGUMENT", "out of data bounds")


class BadRequest(GraphoptError):
    """A request that the model cannot answer, whoever asks: what a server answers with 4xx."""


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """An input or an output, as the protocol describes it.

    Attributes:
        name: Its name.
        datatype: Its type, such as ``FP32``.
        shape: Its sizes; -1 is any.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


class ServedModel:
    """One session, opened once and run by many threads.

    Args:
        settings: How to open it, with the paths of its files.

    Attributes:
        inputs: What it takes.
        outputs: What it gives.

    Raises:
        UsageError: The provider is unknown.
        ModelError: ONNX Runtime cannot load the model, or it has an input or output that the
            protocol has no type for.
        EnvironmentFailure: ONNX Runtime is missing, it refuses a library, or the provider does not
            start.
    """

    def __init__(self, settings: ServingSettings) -> None:
        self._session = create_session(
            settings.model,
            provider=settings.provider,
            threads=settings.threads,
            library=settings.library or None,
            custom_op_libraries=settings.custom_op_libraries,
            provider_options=settings.provider_options,
            session_options=settings.session_options,
        )
        self.inputs = tuple(_spec(value, settings) for value in self._session.get_inputs())
        self.outputs = tuple(_spec(value, settings) for value in self._session.get_outputs())

    def infer(self, inputs: Mapping[str, Array], outputs: Sequence[str] = ()) -> dict[str, Array]:
        """The outputs of one request.

        Args:
            inputs: One array for each input, by name.
            outputs: Names of the outputs to give; none is all.

        Raises:
            BadRequest: A name is unknown or missing, a type or a shape is another, or a value is
                one that an operator does not take.
            RuntimeRefused: A kernel failed.
        """
        self._check(inputs, outputs)
        try:
            results = run(self._session, inputs)
        except RuntimeRefused as error:
            if any(code in str(error) for code in _BAD_VALUE):
                raise BadRequest(
                    f"the inputs hold a value that does not fit ({error}): send others"
                ) from error
            raise
        return {name: results[name] for name in outputs or results}

    def _check(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> None:
        needed = [spec.name for spec in self.inputs]
        given = [spec.name for spec in self.outputs]
        for what, names, known in (("input", inputs, needed), ("output", outputs, given)):
            for name in names:
                if name not in known:
                    raise BadRequest(f"unknown {what} {name!r}: choose one of {listed(known)}")
        for spec in self.inputs:
            if spec.name not in inputs:
                raise BadRequest(f"input {spec.name!r} is missing: give {listed(needed)}")
            _check_array(spec, inputs[spec.name])


def _check_array(spec: TensorSpec, array: Array) -> None:
    found = datatype_of_array(array) or str(array.dtype)
    if found != spec.datatype:
        raise BadRequest(f"input {spec.name!r} has type {found}: give {spec.datatype}")
    sizes = zip(spec.shape, array.shape, strict=False)
    fits = len(spec.shape) == array.ndim and all(size in (-1, own) for size, own in sizes)
    if not fits:
        raise BadRequest(
            f"input {spec.name!r} has shape {list(array.shape)}: give {list(spec.shape)}, where -1 "
            "is any size"
        )


def _spec(value: Any, settings: ServingSettings) -> TensorSpec:
    datatype = datatype_of_runtime(value.type)
    if datatype is None:
        raise ModelError(
            f"{settings.model}: {value.name!r} is of type {value.type}, which the protocol or "
            "NumPy has not: export the model with tensors of another type"
        )
    shape = tuple(size if isinstance(size, int) else -1 for size in value.shape)
    return TensorSpec(value.name, datatype, shape)
