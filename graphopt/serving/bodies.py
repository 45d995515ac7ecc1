"""Arrays by name as the body of an HTTP request or answer: NumPy's ``.npz``, without pickle."""

from __future__ import annotations

__all__ = ["pack", "unpack"]

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from graphopt.serving.served_model import BadRequest

Array = npt.NDArray[Any]


def pack(arrays: Mapping[str, Array]) -> bytes:
    """The bytes of arrays of numbers; nothing is compressed, which would take longer than a model.

    ``numpy.savez`` would take the names as its own arguments, and so not each name.
    """
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as file:
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    return body.getvalue()


def unpack(body: bytes) -> dict[str, Array]:
    """The arrays of a body. Nothing that is read is executed.

    Raises:
        BadRequest: It is no such file, is damaged, or holds something else than numbers.
    """
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            return dict(file)
    except (ValueError, TypeError, AttributeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise BadRequest(
            f"the body is no .npz of arrays ({error}): send what graphopt.serving.bodies.pack makes"
        ) from error
