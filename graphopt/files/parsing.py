"""Reads an ONNX file into a ModelProto that leaves large weights in the file."""

from __future__ import annotations

__all__ = ["MAPPED_FROM_BYTES", "SELF", "read"]

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no stubs

from graphopt.errors import ModelError
from graphopt.files import file_kinds, wire_format
from graphopt.files.check_messages import check_messages
from graphopt.files.file_bytes import FileBytes

MAPPED_FROM_BYTES = 4096
"""Inline weights from this size on are left in the file."""

SELF = "\0self"
"""External location of a weight that lies in the model file itself (no file can have this name)."""

# Field numbers of onnx.proto.
_MODEL_WIRE_TYPES = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
_MODEL_GRAPH = 7
_GRAPH_INITIALIZER = 5
_TENSOR_RAW_DATA = 9


def read(path: Path) -> onnx.ModelProto:
    """Parse ``path``, with each large inline weight replaced by a reference into the file.

    Such a weight has the external location :data:`SELF`, an offset and a length. Weights that are
    external already are untouched.

    Raises:
        ModelError: The file is not a whole ONNX file, or its text is no text.
        OSError: It cannot be read.
    """
    file_kinds.refuse_other_kinds(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            model = _read_model(FileBytes(file.fileno(), path), size)
        except wire_format.TruncatedError as error:
            raise ModelError(f"{path}: truncated ({size} bytes; {error}): copy it again") from error
        except (wire_format.MalformedError, DecodeError) as error:
            raise ModelError(f"{path}: not an ONNX file: give an exported .onnx model") from error
    if not model.HasField("graph"):
        raise ModelError(
            f"{path}: holds no graph, so it is not an ONNX model, or is truncated: copy or export "
            "it again"
        )
    try:
        check_messages(model)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    return model


def _read_model(buffer: FileBytes, size: int) -> onnx.ModelProto:
    rest = bytearray()
    graphs: list[tuple[int, int]] = []
    known = 0
    try:
        for field in wire_format.fields(buffer, 0, size):
            if _MODEL_WIRE_TYPES.get(field.number) != field.wire_type:
                raise wire_format.MalformedError(f"field {field.number} is none of a ModelProto")
            known += 1
            if field.number == _MODEL_GRAPH:
                graphs.append((field.value, field.end))
            else:
                rest += buffer[field.start : field.end]
    except wire_format.TruncatedError as error:
        # Bytes that never looked like a model are another kind of file, not a piece of one.
        if known == 0:
            raise wire_format.MalformedError(str(error)) from error
        raise
    model = onnx.ModelProto()
    model.ParseFromString(bytes(rest))
    for start, end in graphs:
        _read_graph(buffer, start, end, model.graph)
    return model


def _read_graph(buffer: FileBytes, start: int, end: int, graph: onnx.GraphProto) -> None:
    rest = bytearray()
    for field in wire_format.fields(buffer, start, end):
        if field.number == _GRAPH_INITIALIZER:
            _read_tensor(buffer, field.value, field.end, graph.initializer.add())
        else:
            rest += buffer[field.start : field.end]
    graph.MergeFromString(bytes(rest))


def _read_tensor(buffer: FileBytes, start: int, end: int, tensor: onnx.TensorProto) -> None:
    rest = bytearray()
    raw: wire_format.Field | None = None
    for field in wire_format.fields(buffer, start, end):
        large = field.end - field.value >= MAPPED_FROM_BYTES
        if field.number == _TENSOR_RAW_DATA and large:
            raw = field
        else:
            rest += buffer[field.start : field.end]
    tensor.ParseFromString(bytes(rest))
    if raw is None:
        return
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", SELF), ("offset", raw.value), ("length", raw.end - raw.value)):
        tensor.external_data.add(key=key, value=str(value))
