"""Tensors that stay in their file and are mapped only while somebody reads them."""

from __future__ import annotations

__all__ = ["MappedTensor"]

from typing import Any

import numpy as np
import onnx_ir as ir


class MappedTensor(ir.ExternalTensor):
    """Bytes ``offset`` to ``offset + length`` of a file, read-only.

    A plain ``ir.ExternalTensor`` keeps its mapping, and every page that was read, until
    ``release()``, which raises while an array still refers to it. Here each :meth:`numpy` call
    makes its own mapping, which goes with the last array that refers to it: a model of any size can
    be walked tensor by tensor in the memory of one.

    The location is the real path of the file, absolute, so that a link in a download cache reads as
    the file behind it. Where the file may lie is decided by :mod:`graphopt.files.external_data`.
    """

    __slots__ = ()

    def numpy(self) -> np.ndarray:
        """Map the tensor and return it as a read-only array."""
        return self._mapping().numpy()

    def tobytes(self) -> bytes:
        """Read the tensor's bytes, little-endian."""
        return self._mapping().tobytes() if self.nbytes else b""

    def __array__(self, dtype: Any = None) -> np.ndarray:
        return self._mapping().__array__(dtype)

    def _mapping(self) -> ir.ExternalTensor:
        return ir.ExternalTensor(
            self.location, self.offset, self.length, self.dtype, shape=self.shape, name=self.name
        )
