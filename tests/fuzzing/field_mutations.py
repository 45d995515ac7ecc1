"""Changes of one field of a ModelProto, found by reflection: any field, any message."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

__all__ = ["mutate_fields"]

_INTEGERS = (-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 16, 99, 1000, 2**31 - 1, 2**40, 2**63 - 1)
_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e30, -3e38, float("inf"), float("-inf"), float("nan"))
_TEXTS = (
    *("", " ", "0", "-1", "x", "N", "ai.onnx", "com.microsoft", "graphopt", "a b", "../../etc/x"),
    *("2**10**9", "N/0", "N - N", "sqrt(N)", "\x00", "\x1b[31m", "é" * 300, "z" * 5000),
    " + ".join(f"n{i}" for i in range(2000)),
    "(" * 500 + "N" + ")" * 500,
)
_WHOLE = {
    FieldDescriptor.CPPTYPE_INT32: 31,
    FieldDescriptor.CPPTYPE_UINT32: 31,
    FieldDescriptor.CPPTYPE_INT64: 63,
    FieldDescriptor.CPPTYPE_UINT64: 63,
}
_REAL = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)


def mutate_fields(content: bytes, draw: random.Random) -> tuple[str, bytes]:
    """What was done, in words, and the changed file."""
    model = onnx.ModelProto.FromString(content)
    said = []
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        by_kind: dict[str, list[Message]] = {}
        for message in _messages(model):
            by_kind.setdefault(message.DESCRIPTOR.name, []).append(message)
        # Kinds first: a graph has some hundred nodes and one set of imports.
        message = draw.choice(by_kind[draw.choice(sorted(by_kind))])
        names = _texts(model)
        said.append(_change(message, draw, names))
    return ", ".join(said), model.SerializeToString()


def _messages(message: Message) -> Iterator[Message]:
    yield message
    for field, value in message.ListFields():
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            for inner in value if field.is_repeated else (value,):
                yield from _messages(inner)


def _texts(model: onnx.ModelProto) -> list[str]:
    """Names that occur in the model."""
    nodes = model.graph.node
    return [name for node in nodes[:200] for name in (*node.input, *node.output, node.op_type)]


def _change(message: Message, draw: random.Random, names: list[str]) -> str:
    # Any field of its type, so that what is absent appears, but mostly one that it has.
    present = [field for field, _ in message.ListFields()]
    field = draw.choice(
        present if present and draw.random() < 0.8 else list(message.DESCRIPTOR.fields)
    )
    where = f"{message.DESCRIPTOR.name}.{field.name}"
    if field.is_repeated:
        return f"{where} {_change_list(getattr(message, field.name), field, draw, names)}"
    if draw.random() < 0.3 or field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        if message.HasField(field.name) or field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE:
            message.ClearField(field.name)
            return f"{where} cleared"
        getattr(message, field.name).SetInParent()
        return f"{where} set to an empty message"
    value = _value(field, draw, names)
    setattr(message, field.name, value)
    return f"{where} set to {_short(value)}"


def _change_list(items: Any, field: FieldDescriptor, draw: random.Random, names: list[str]) -> str:
    kind = draw.choice(("remove", "repeat", "swap", "value", "value", "empty"))
    if kind == "empty" or not len(items):
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            items.add()
            return "has one empty message more"
        items.append(_value(field, draw, names))
        return f"has {_short(items[-1])} more"
    index = draw.randrange(len(items))
    other = draw.randrange(len(items))
    if kind == "remove":
        del items[index]
        return f"lost entry {index}"
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        items.add().CopyFrom(items[index])
        if kind != "repeat":
            items[index].CopyFrom(items[other])
        return f"has entry {index} again"
    if kind == "repeat":
        items.append(items[index])
        return f"has entry {index} again"
    if kind == "swap":
        items[index], items[other] = items[other], items[index]
        return f"has entries {index} and {other} swapped"
    items[index] = _value(field, draw, names)
    return f"entry {index} set to {_short(items[index])}"


def _value(field: FieldDescriptor, draw: random.Random, names: list[str]) -> Any:
    if field.cpp_type in _WHOLE:
        bits = _WHOLE[field.cpp_type]
        value = draw.choice(_INTEGERS)
        unsigned = (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64)
        low = 0 if field.cpp_type in unsigned else -(1 << bits)
        return max(low, min(value, (1 << bits) - 1))
    if field.cpp_type in _REAL:
        return draw.choice(_FLOATS)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return draw.random() < 0.5
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return draw.choice([entry.number for entry in field.enum_type.values])
    text = draw.choice(names) if names and draw.random() < 0.5 else draw.choice(_TEXTS)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return draw.choice((text.encode(), draw.randbytes(draw.choice((0, 1, 3, 64, 5000)))))
    return text


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:30]}... ({len(text)} characters)"
