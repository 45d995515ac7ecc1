"""The types of tensors: what the protocol, ONNX Runtime and NumPy call each."""

from __future__ import annotations

__all__ = ["datatype_of_array", "datatype_of_runtime"]

import numpy as np
import numpy.typing as npt

# bfloat16 and text are left out: NumPy has no bfloat16, and a transformer reads no text.
_NUMPY = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
_PROTOCOL = {name: datatype for datatype, name in _NUMPY.items()}
_RUNTIME = {"float": "float32", "double": "float64"}


def datatype_of_runtime(text: str) -> str | None:
    """The protocol's name of a type such as ``tensor(float)``; None where it has none."""
    if not (text.startswith("tensor(") and text.endswith(")")):
        return None
    name = text.removeprefix("tensor(").removesuffix(")")
    return _PROTOCOL.get(_RUNTIME.get(name, name))


def datatype_of_array(array: npt.NDArray[np.generic]) -> str | None:
    """The protocol's name of an array's type; None where it has none."""
    return _PROTOCOL.get(array.dtype.name)
