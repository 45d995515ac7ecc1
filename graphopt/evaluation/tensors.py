"""Reads tensors into memory, leaving no file mapped that was not mapped before."""

from __future__ import annotations

__all__ = ["read_tensor"]

import numpy as np
import onnx_ir as ir

from graphopt.evaluation.calls import Array


def read_tensor(tensor: ir.TensorProtocol) -> Array:
    """The tensor's values in native byte order.

    An external tensor that is not mapped yet is copied, then unmapped: the pages of a mapped file
    count as memory for as long as the map lives.
    """
    if not isinstance(tensor, ir.ExternalTensor) or tensor.raw is not None:
        return tensor.numpy()
    array = np.array(tensor.numpy(), dtype=tensor.dtype.numpy())
    tensor.release()
    return array
