"""Golden pairs: requests with the outputs that a right model gives, in one file without pickle.

The file is NumPy's ``.npz``. Its array ``golden`` is JSON text that lists the names of inputs and
outputs and the tolerance of each output; the others are named ``REQUEST.input.INDEX`` and
``REQUEST.output.INDEX``. So any name of a tensor is safe, and nothing that is read is executed.
"""

from __future__ import annotations

__all__ = ["GOLDEN_FILE", "Golden", "Request", "load_golden", "save_golden"]

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphopt.errors import EnvironmentFailure, UsageError
from graphopt.json_values import from_plain, parse_json

Array = npt.NDArray[Any]

GOLDEN_FILE = "golden.npz"
"""Name of the file in a package."""

_INDEX = "golden"
_SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class Request:
    """One request and its answer.

    Attributes:
        inputs: The arrays that are sent, by name.
        outputs: The arrays that a right model gives, by name.
    """

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


@dataclasses.dataclass(frozen=True)
class Golden:
    """Requests of one model.

    Attributes:
        requests: At least one; all have the same names.
        rtol: Relative tolerance of each output: that of the coarsest type that computes it.
    """

    requests: tuple[Request, ...]
    rtol: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class _Index:
    schema: int
    requests: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    rtol: Mapping[str, float]


def save_golden(golden: Golden, path: Path) -> None:
    """Write a golden pair; ``path`` gets the bytes as they come, so give a temporary one.

    Raises:
        UsageError: An array is of a type that needs pickle, such as text.
    """
    first = golden.requests[0]
    index = {
        "schema": _SCHEMA,
        "requests": len(golden.requests),
        "inputs": list(first.inputs),
        "outputs": list(first.outputs),
        "rtol": dict(golden.rtol),
    }
    arrays: dict[str, Any] = {_INDEX: np.array(json.dumps(index))}
    for number, request in enumerate(golden.requests):
        for kind, values in (("input", request.inputs), ("output", request.outputs)):
            for place, (name, array) in enumerate(values.items()):
                if array.dtype.kind not in "biuf":
                    raise UsageError(
                        f"{name!r} is of type {array.dtype}, and a golden pair holds numbers "
                        "alone: export the model without that tensor"
                    )
                arrays[f"{number}.{kind}.{place}"] = array
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_golden(path: Path) -> Golden:
    """Read a golden pair.

    Raises:
        UsageError: The file is missing, or is no golden pair.
        EnvironmentFailure: It cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return _read(dict(file))
    except FileNotFoundError as error:
        raise UsageError(f"{path}: there is no such file: check the path") from error
    except OSError as error:
        raise EnvironmentFailure(
            f"{path}: cannot be read ({error.strerror or error}): check its permissions"
        ) from error
    except Exception as error:  # of a damaged file NumPy raises whatever its parts do
        # Of what is no archive NumPy says that it holds pickles, and how to load these.
        found = error if zipfile.is_zipfile(path) else "no .npz archive"
        raise UsageError(
            f'{path}: is no golden pair ({found}): make one with "graphopt package"'
        ) from error


def _read(arrays: Mapping[str, Array]) -> Golden:
    index: _Index = from_plain(_Index, parse_json(str(arrays[_INDEX])), "golden")
    if index.schema != _SCHEMA or index.requests < 1 or not index.outputs:
        raise ValueError(f"schema {index.schema} with {index.requests} requests")
    if sorted(index.rtol) != sorted(index.outputs):
        raise ValueError("it has not one tolerance for each output")
    requests = tuple(
        Request(
            _named(arrays, f"{number}.input", index.inputs),
            _named(arrays, f"{number}.output", index.outputs),
        )
        for number in range(index.requests)
    )
    return Golden(requests, index.rtol)


def _named(arrays: Mapping[str, Array], prefix: str, names: tuple[str, ...]) -> dict[str, Array]:
    return {name: arrays[f"{prefix}.{place}"] for place, name in enumerate(names)}
