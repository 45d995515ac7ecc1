"""The inputs and outputs of a model as Triton's configuration has them."""

from __future__ import annotations

__all__ = ["tensor_message"]

from typing import Any

from graphopt.errors import UsageError
from graphopt.packaging.text_format import Message, Word
from graphopt.runtime.session_process import TensorType
from graphopt.serving.datatypes import datatype_of_runtime

_ANY = -1
_ADVICE = "export the model with another tensor, or choose another format"


def tensor_message(tensor: TensorType, *, batched: bool) -> Message:
    """An entry of ``input`` or ``output``: name, type and sizes, without the batch.

    Triton takes no tensor without sizes. One that has a batch alone has one size of 1 for clients,
    and is given to the model without it.

    Args:
        tensor: What ONNX Runtime says of it: Triton's backend compares the sizes of outputs with
            that, and not with the file.
        batched: Whether Triton puts the batch before the sizes.

    Raises:
        UsageError: Triton cannot serve it, or not in batches.
    """
    name = tensor.name
    datatype = datatype_of_runtime(tensor.type)
    if datatype is None:
        raise UsageError(
            f"{name!r} is of type {tensor.type}, which the package cannot hold: {_ADVICE}"
        )
    if not tensor.shape:
        raise UsageError(
            f"{name!r} is a scalar, or its dimensions are not known, and Triton serves neither: "
            f"{_ADVICE}"
        )
    if 0 in tensor.shape:
        raise UsageError(f"{name!r} has the size 0, which Triton does not take: {_ADVICE}")
    if batched and tensor.shape[0] is not None:
        raise UsageError(
            f"{name!r} has the fixed size {tensor.shape[0]} where its batch would be: leave out "
            "--max-batch-size, or export the model with a symbolic batch"
        )
    sizes = [_ANY if size is None else size for size in tensor.shape[1 if batched else 0 :]]
    message: dict[str, Any] = {
        "name": name,
        "data_type": Word(f"TYPE_{datatype}"),
        "dims": sizes or [1],
    }
    if not sizes:
        message["reshape"] = {"shape": []}
    return message
