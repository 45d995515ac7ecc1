"""Checks what protobuf itself lets pass: text that is none, and messages within messages."""

from __future__ import annotations

__all__ = ["check_messages"]

from collections.abc import Iterable

import onnx
from google.protobuf.descriptor import FieldDescriptor  # type: ignore[import-untyped]  # no stubs
from google.protobuf.message import Message  # type: ignore[import-untyped]

from graphopt.errors import ModelError

_DEEPEST = 96
"""The protobuf runtime reads 100 levels; a graph within a graph takes three."""


def check_messages(model: onnx.ModelProto) -> None:
    """Check a whole message before anything relies on its text.

    Raises:
        ModelError: Text that is no UTF-8, or graphs that are nested deeper than a file can hold.
    """
    _check(model, 0)


def _check(message: Message, depth: int) -> None:
    if depth > _DEEPEST:
        raise ModelError("its graphs are nested too deeply: export the model with fewer levels")
    for field, content in message.ListFields():
        items: Iterable[object] = content if field.is_repeated else (content,)
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            for item in items:
                _check(item, depth + 1)
        elif field.type == FieldDescriptor.TYPE_STRING:
            for item in items:
                # Old fields of ONNX are not checked as they are read; such a text comes as bytes.
                if isinstance(item, bytes):
                    raise ModelError(
                        f"{field.containing_type.name}.{field.name} {item[:40]!r} is no UTF-8: "
                        "the file is damaged, copy or export it again"
                    )
