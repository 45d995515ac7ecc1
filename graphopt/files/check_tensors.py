"""Checks that each tensor has the data that its shape and type need, before anything reads it."""

from __future__ import annotations

__all__ = ["check_tensors"]

import math

import onnx
import onnx_ir as ir
from onnx import TensorProto

from graphopt.errors import ModelError
from graphopt.files.external_data import is_external
from graphopt.files.tensor_messages import all_tensors, byte_count

# The field that holds a type's entries where raw_data does not, and how many one entry takes.
_FIELDS: dict[int, tuple[str, int]] = {
    TensorProto.FLOAT: ("float_data", 1),
    TensorProto.COMPLEX64: ("float_data", 2),
    TensorProto.DOUBLE: ("double_data", 1),
    TensorProto.COMPLEX128: ("double_data", 2),
    TensorProto.INT64: ("int64_data", 1),
    TensorProto.UINT32: ("uint64_data", 1),
    TensorProto.UINT64: ("uint64_data", 1),
    TensorProto.STRING: ("string_data", 1),
}
_OTHERS = "int32_data"
_BITS_OF_A_BYTE = 8


def check_tensors(model: onnx.ModelProto) -> None:
    """Check every tensor but for the bytes outside the message, which are found later.

    Raises:
        ModelError: A type that does not exist, a negative size, or more or less data than needed.
    """
    for where, tensor in all_tensors(model):
        _check(where, tensor)


def _check(where: str, tensor: TensorProto) -> None:
    try:
        kind = ir.DataType(tensor.data_type)
    except ValueError:
        kind = ir.DataType.UNDEFINED
    if kind == ir.DataType.UNDEFINED:
        raise ModelError(
            f"{where} has data type {tensor.data_type}, which ONNX has not: export the model again"
        )
    if any(size < 0 for size in tensor.dims):
        raise ModelError(
            f"{where} has a negative size, {list(tensor.dims)}: export the model again"
        )
    if tensor.HasField("segment"):
        raise ModelError(f"{where} is a segment of a tensor, which is not supported: save it whole")
    if is_external(tensor):
        if kind == ir.DataType.STRING:
            raise ModelError(
                f"{where} has external strings, which ONNX does not allow: export the model again"
            )
        return
    if tensor.HasField("raw_data") and kind != ir.DataType.STRING:
        found, needed, unit = len(tensor.raw_data), byte_count(tensor), "bytes of data"
    else:
        field, parts = _FIELDS.get(tensor.data_type, (_OTHERS, 1))
        found, unit = len(getattr(tensor, field)), f"entries of {field}"
        needed = math.prod(tensor.dims) * parts
        if kind != ir.DataType.STRING and kind.bitwidth < _BITS_OF_A_BYTE:
            needed = byte_count(tensor)
    if found != needed:
        raise ModelError(
            f"{where} has {found} {unit} where its shape and type need {needed}: export it again"
        )
