"""One model of one server: what it takes and gives, and its answers."""

from __future__ import annotations

__all__ = ["Answer", "Endpoint", "Tensor", "Tensors"]

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy.typing as npt

Array = npt.NDArray[Any]
Tensors = Literal["binary", "json"]


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input or output of a model, as its server describes it.

    Attributes:
        name: Its name.
        datatype: Its type, such as ``FP32``.
        shape: Its sizes; -1 is any.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a request gave.

    Attributes:
        outputs: The arrays, by name.
        seconds: Wall time of the request, the packing and unpacking of tensors included.
        is_binary: Whether the tensors of the answer were bytes; over gRPC they always are.
    """

    outputs: Mapping[str, Array]
    seconds: float
    is_binary: bool


class Endpoint(Protocol):
    """A connection to one model. Every method raises EnvironmentFailure where nothing answers.

    Attributes:
        url: Where it is.
        model: The model's name.
    """

    url: str
    model: str

    def describe(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The inputs and the outputs of the model.

        Raises:
            UsageError: The server has no such model.
            EnvironmentFailure: The server does not answer, or not in time.
        """

    def infer(
        self, inputs: Mapping[str, Array], outputs: Sequence[str], tensors: Tensors
    ) -> Answer:
        """Send one request.

        Raises:
            RequestRefused: The server refuses it.
            EnvironmentFailure: The server does not answer, or not in time.
        """

    def close(self) -> None:
        """Close the connection."""
