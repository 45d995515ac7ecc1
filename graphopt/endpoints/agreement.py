"""Whether a server's model is the one that a golden pair was made from: names, types, shapes."""

from __future__ import annotations

__all__ = ["check_description"]

from collections.abc import Mapping, Sequence

from graphopt.endpoints.endpoint import Array, Endpoint, Tensor
from graphopt.errors import VerificationFailed
from graphopt.golden import Golden
from graphopt.serving.datatypes import datatype_of_array


def check_description(endpoint: Endpoint, golden: Golden) -> None:
    """Raise where the server describes another model. A description without tensors says nothing.

    Raises:
        VerificationFailed: A name, a type or a shape is another.
        UsageError: The server has no such model.
        EnvironmentFailure: The server does not answer, or not in time.
    """
    inputs, outputs = endpoint.describe()
    for request in golden.requests:
        for what, described, arrays in (
            ("input", inputs, request.inputs),
            ("output", outputs, request.outputs),
        ):
            problem = _difference(what, described, arrays) if described else ""
            if problem:
                raise VerificationFailed(
                    f"{endpoint.url}: model {endpoint.model!r} is not the one of the golden pair: "
                    f"{problem}: serve the model that it was made from, or give that model's pair"
                )


def _difference(what: str, described: Sequence[Tensor], arrays: Mapping[str, Array]) -> str:
    known = {tensor.name: tensor for tensor in described}
    missing = [name for name in arrays if name not in known]
    # A model may have more outputs than are compared, and never more inputs than are sent.
    extra = [name for name in known if name not in arrays] if what == "input" else []
    if missing or extra:
        return f"it has the {what}s {', '.join(known)}, the pair {', '.join(arrays)}"
    for name, array in arrays.items():
        tensor = known[name]
        datatype = datatype_of_array(array) or str(array.dtype)
        if tensor.datatype != datatype:
            return f"its {what} {name!r} has type {tensor.datatype}, the pair's {datatype}"
        if not _fits(tensor.shape, array.shape):
            return (
                f"its {what} {name!r} has shape {list(tensor.shape)}, the pair's "
                f"{list(array.shape)}"
            )
    return ""


def _fits(shape: Sequence[int], sizes: Sequence[int]) -> bool:
    pairs = zip(shape, sizes, strict=False)
    return len(shape) == len(sizes) and all(size in (-1, own) for size, own in pairs)
