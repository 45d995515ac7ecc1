"""The protobuf wire format, as far as an ONNX file needs it: find the weights without reading them.

A ModelProto of some gigabytes is parsed by the protobuf runtime into several copies of itself. Its
weights are one field (``raw_data``) of one field (``initializer``) of one field (``graph``), so
their places in the file follow from a walk over three levels of tags and lengths.

Source of the encoding: the "Encoding" page of the Protocol Buffers documentation.
"""

from __future__ import annotations

__all__ = ["Field", "MalformedError", "TruncatedError", "encode_varint", "fields", "length_tag"]

from collections.abc import Iterator
from typing import NamedTuple

from graphopt.files.file_bytes import FileBytes

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_WIDTH = {FIXED64: 8, FIXED32: 4}
_MAX_VARINT_BYTES = 10


class MalformedError(ValueError):
    """The bytes are not protobuf fields."""


class TruncatedError(ValueError):
    """A field ends beyond the end of what holds it."""


class Field(NamedTuple):
    """One field: its number and wire type, and where its tag, its value and its end are."""

    number: int
    wire_type: int
    start: int
    value: int
    end: int


def fields(buffer: bytes | FileBytes, start: int, end: int) -> Iterator[Field]:
    """Iterate over the fields that ``buffer[start:end]`` holds, without reading their values.

    Raises:
        MalformedError: A tag is none of protobuf's.
        TruncatedError: A field reaches beyond ``end``.
    """
    position = start
    while position < end:
        tag, value = _varint(buffer, position, end)
        number, wire_type = tag >> 3, tag & 7
        if number == 0 or wire_type not in (VARINT, FIXED64, LENGTH, FIXED32):
            raise MalformedError(f"no protobuf field begins at byte {position}")
        if wire_type == VARINT:
            _, stop = _varint(buffer, value, end)
        elif wire_type == LENGTH:
            length, value = _varint(buffer, value, end)
            stop = value + length
        else:
            stop = value + _WIDTH[wire_type]
        if stop > end:
            raise TruncatedError(f"a field at byte {position} ends at byte {stop}, beyond {end}")
        yield Field(number, wire_type, position, value, stop)
        position = stop


def _varint(buffer: bytes | FileBytes, position: int, end: int) -> tuple[int, int]:
    result = 0
    for index in range(_MAX_VARINT_BYTES):
        if position + index >= end:
            raise TruncatedError(f"a number at byte {position} is cut off")
        byte = buffer[position + index]
        result |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return result, position + index + 1
    raise MalformedError(f"no protobuf number at byte {position}")


def encode_varint(value: int) -> bytes:
    """Encode a non-negative number in seven-bit groups, the lowest first."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def length_tag(number: int, length: int) -> bytes:
    """Encode the head of a length-delimited field whose value has ``length`` bytes."""
    return encode_varint(number << 3 | LENGTH) + encode_varint(length)
