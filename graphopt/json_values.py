"""Dataclasses as JSON text, and back."""

from __future__ import annotations

__all__ = ["fields_of", "from_plain", "parse_json", "read_value", "to_json"]

import dataclasses
import json
import math
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints


def to_json(value: object) -> str:
    """Write ``value``, made of dataclasses, mappings, sequences and scalars, as JSON text.

    Numbers that JSON has not (NaN, infinity) become strings.
    """
    text = json.dumps(_plain(value), indent=2, ensure_ascii=False) + "\n"
    # The name of a file need not be text; JSON writes its bytes as escapes.
    return text.encode(errors="backslashreplace").decode()


def fields_of(value: Any) -> dict[str, object]:
    """The fields of a dataclass, by name."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _plain(value: Any) -> object:
    if dataclasses.is_dataclass(value):
        return _plain(fields_of(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Path):
        return str(value)
    return value


def parse_json(text: str | bytes) -> Any:
    """What JSON text says; of any text that is none, or too much, the error is of one kind.

    Raises:
        ValueError: It is no JSON (``json.JSONDecodeError`` then), or nested too deeply, or has a
            number with more digits than Python reads.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_value(kind: Any, text: str) -> Any:
    """Read the JSON text of a value that is annotated as ``kind``.

    Raises:
        ValueError: The text is no JSON, or not of this kind; the message names the place.
    """
    return from_plain(kind, parse_json(text), getattr(kind, "__name__", "value").lower())


def from_plain(kind: Any, data: Any, where: str) -> Any:
    """``data``, as JSON holds it, as the annotation ``kind`` says.

    Fields that a dataclass does not have are ignored: a schema allows additions.

    Args:
        kind: A dataclass, or an annotation of one of its fields.
        data: What :func:`parse_json` returned.
        where: Its place, for messages.

    Raises:
        ValueError: The data is not of this kind; the message names the place.
    """
    if dataclasses.is_dataclass(kind):
        return _read_fields(kind, _checked(dict, data, where), where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        items = _checked(list, data, where)
        return tuple(
            from_plain(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(items)
        )
    if origin is Mapping:
        items = _checked(dict, data, where)
        return {
            key: from_plain(arguments[1], item, f"{where}.{key}") for key, item in items.items()
        }
    if origin is types.UnionType:  # X | None
        return None if data is None else from_plain(arguments[0], data, where)
    if origin is Literal:
        if data not in arguments:
            raise ValueError(f"{where} is {data!r}")
        return data
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        try:
            return float(data)
        except OverflowError as error:
            raise ValueError(f"{where} is beyond what a float takes") from error
    return _checked(kind, data, where)


def _read_fields(kind: Any, data: Mapping[str, Any], where: str) -> Any:
    hints = get_type_hints(kind)
    values = {}
    for field in dataclasses.fields(kind):
        if field.name in data:
            place = f"{where}.{field.name}"
            values[field.name] = from_plain(hints[field.name], data[field.name], place)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{where} has no {field.name!r}")
    return kind(**values)


def _checked(kind: type, data: Any, where: str) -> Any:
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        raise ValueError(f"{where} is {data!r}")
    return data
