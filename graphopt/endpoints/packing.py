"""Arrays as tritonclient sends and gives them, over HTTP and gRPC alike."""

from __future__ import annotations

__all__ = ["inputs_of", "outputs_of"]

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphopt.endpoints import refusals
from graphopt.endpoints.endpoint import Array


def inputs_of(kind: Any, inputs: Mapping[str, Array], **options: bool) -> list[Any]:
    """The inputs of a request.

    Args:
        kind: The client's ``InferInput``.
        inputs: The arrays, by name.
        options: What ``set_data_from_numpy`` is told.
    """
    from tritonclient.utils import np_to_triton_dtype

    sent = []
    for name, array in inputs.items():
        tensor = kind(name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(np.asarray(array, order="C"), **options)
        sent.append(tensor)
    return sent


def outputs_of(url: str, result: Any, names: Sequence[str]) -> dict[str, Array]:
    """The outputs of an answer, by name; one that it has not is left out.

    Raises:
        EnvironmentFailure: A tensor has other bytes than its type and shape need.
    """
    try:
        arrays = {name: result.as_numpy(name) for name in names}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise refusals.no_answer(url, f"a tensor of its answer is damaged: {error}") from error
    return {name: array for name, array in arrays.items() if array is not None}
