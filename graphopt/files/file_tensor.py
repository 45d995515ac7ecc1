"""Tensors that stay in their file until somebody reads them."""

from __future__ import annotations

__all__ = ["FileTensor", "location_of"]

import math
import os
import urllib.parse
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from graphopt.errors import EnvironmentFailure

_BYTE = 8


def location_of(file: Path) -> str:
    """A path as text of ASCII letters."""
    return urllib.parse.quote(os.fsencode(file))


class FileTensor(ir.ExternalTensor):
    """Bytes ``offset`` to ``offset + length`` of a file, read anew by each :meth:`numpy` call.

    A plain ``ir.ExternalTensor`` maps its file, keeps the mapping until ``release()``, and ends the
    process with SIGBUS where the file has been cut since. Here a tensor is an array of its own,
    which goes with whoever holds it: a model of any size can be walked tensor by tensor in the
    memory of one, and a file that was cut or removed meanwhile is an error like any other.

    The file is the real one, so that a link in a download cache reads as the file behind it. Where
    it may lie is decided by :mod:`graphopt.files.external_data`. The location is its absolute path
    as :func:`location_of` writes it: messages hold text, and a path need not be any.
    """

    __slots__ = ()

    @property
    def path(self) -> str:
        """The absolute path of the file."""
        return os.fsdecode(urllib.parse.unquote_to_bytes(os.fspath(self.location)))

    def numpy(self) -> np.ndarray:
        """Read the tensor into a read-only array."""
        shape = tuple(self.shape.numpy())
        if self.dtype.bitwidth < _BYTE:  # two or more entries in a byte: ONNX knows how
            proto = onnx.TensorProto(data_type=int(self.dtype), dims=shape, raw_data=self.tobytes())
            return ir.TensorProtoTensor(proto).numpy()
        return self._part(shape, 0)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Entries ``start`` to ``stop`` of the first axis, without reading the others."""
        shape = tuple(self.shape.numpy())
        if self.dtype.bitwidth < _BYTE:
            return self.numpy()[start:stop]
        stop = min(stop, shape[0])
        row = math.prod(shape[1:]) * self.dtype.numpy().itemsize
        return self._part((stop - start, *shape[1:]), start * row)

    def tobytes(self) -> bytes:
        """Read the tensor's bytes, little-endian."""
        buffer = bytearray(self.nbytes)
        self._read_into(memoryview(buffer), 0)
        return bytes(buffer)

    def __array__(self, dtype: Any = None) -> np.ndarray:
        return self.numpy().__array__(dtype)

    def _part(self, shape: tuple[int, ...], skipped: int) -> np.ndarray:
        array = np.empty(shape, dtype=np.dtype(self.dtype.numpy()).newbyteorder("<"))
        self._read_into(array.reshape(-1).view(np.uint8).data, skipped)
        array.flags.writeable = False
        return array

    def _read_into(self, buffer: memoryview, skipped: int) -> None:
        """Fill ``buffer`` from behind the first ``skipped`` bytes of the tensor.

        Raises:
            EnvironmentFailure: The file ends before the tensor does.
            OSError: It cannot be read any more.
        """
        done = 0
        with Path(self.path).open("rb", buffering=0) as file:
            file.seek((self.offset or 0) + skipped)
            while done < len(buffer):
                count = file.readinto(buffer[done:])
                if not count:
                    raise EnvironmentFailure(
                        f"{self.path}: weight {self.name!r} cannot be read: the "
                        "file has become shorter since it was loaded: copy it again, and leave it "
                        "alone while graphopt runs"
                    )
                done += count
