"""What a model gives for an output: a tensor, a sequence, a map or nothing; to files and back."""

from __future__ import annotations

__all__ = ["Map", "Other", "Result", "read", "tensors", "write"]

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_MAP = re.compile(r"map\(\w+,tensor\((\w+)\)\)")
"""How ONNX Runtime writes the type of a map, which may be in a sequence."""
_NUMPY_NAMES = {"float": "float32", "double": "float64", "string": "str"}
"""What numpy calls the types that it has another name for."""


@dataclasses.dataclass(frozen=True)
class Map:
    """A map of ONNX-ML.

    Attributes:
        keys: Integers or strings, sorted.
        values: One number, or string, for each.
    """

    keys: tuple[int, ...] | tuple[str, ...]
    values: Array


@dataclasses.dataclass(frozen=True)
class Other:
    """Something that is not read, a sparse tensor for example.

    Attributes:
        type: Its type, as ONNX Runtime writes it.
    """

    type: str


Result = Array | tuple["Result", ...] | Map | Other | None
"""None is an optional that holds nothing."""


def tensors(results: Mapping[str, Result]) -> dict[str, Array]:
    """The results that are tensors, by name; what is nothing is left out.

    Raises:
        TypeError: One is a sequence, a map, or something that is not read; the message names it.
    """
    found: dict[str, Array] = {}
    for name, result in results.items():
        if isinstance(result, np.ndarray):
            found[name] = result
        elif result is not None:
            raise TypeError(f"output {name!r} is no tensor")
    return found


def write(given: Any, declared: str, directory: Path, name: str) -> Any:
    """Write what ONNX Runtime gave for one output to ``.npy`` files.

    Args:
        given: What its Python API gives.
        declared: The type of the output, as ONNX Runtime writes it: that of a map's values, which
            come as Python's numbers.
        directory: Where the files go.
        name: How their names begin.

    Returns:
        What stands where, as JSON: :func:`read` reads it.
    """
    if given is None:
        return None
    if isinstance(given, np.ndarray):
        array = given.astype(str) if given.dtype == object else given
        np.save(directory / f"{name}.npy", array, allow_pickle=False)
        return f"{name}.npy"
    if isinstance(given, list):
        return [
            write(item, declared, directory, f"{name}-{number}")
            for number, item in enumerate(given)
        ]
    if isinstance(given, dict) and (found := _MAP.search(declared)):
        keys = sorted(given)
        values = np.array([given[key] for key in keys], _NUMPY_NAMES.get(found[1], found[1]))
        return {"keys": keys, "values": write(values, declared, directory, name)}
    return {"other": declared}


def read(written: Any, directory: Path) -> Result:
    """What :func:`write` wrote."""
    if written is None:
        return None
    if isinstance(written, str):
        array: Array = np.load(directory / written, allow_pickle=False)
        return array
    if isinstance(written, list):
        return tuple(read(item, directory) for item in written)
    if "other" in written:
        return Other(written["other"])
    values: Array = np.load(directory / written["values"], allow_pickle=False)
    return Map(tuple(written["keys"]), values)
