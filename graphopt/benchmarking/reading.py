"""Reads a saved benchmark back into its dataclasses."""

from __future__ import annotations

__all__ = ["read_json", "read_value"]

import dataclasses
import json
import types
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from graphopt.benchmark_result import SCHEMA, Benchmark
from graphopt.errors import UsageError


def read_json(text: str) -> Benchmark:
    """Reads what :meth:`graphopt.benchmark_result.Benchmark.to_json` wrote.

    Fields that this version does not know are ignored, as the schema allows additions.

    Raises:
        UsageError: The text is no benchmark, or one of another schema.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"no benchmark: it is no JSON ({error})") from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        raise UsageError(f"no benchmark of this version: its schema is {schema!r}, not {SCHEMA!r}")
    result: Benchmark = _read(Benchmark, data, "benchmark")
    return result


def read_value(kind: Any, text: str) -> Any:
    """Reads the JSON text of a value that is annotated as ``kind``."""
    return _read(kind, json.loads(text), getattr(kind, "__name__", "value").lower())


def _read(kind: Any, data: Any, where: str) -> Any:
    """``data`` as the annotation ``kind`` says; ``where`` is its place, for messages."""
    if dataclasses.is_dataclass(kind):
        return _read_fields(kind, _checked(dict, data, where), where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        items = _checked(list, data, where)
        return tuple(_read(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(items))
    if origin is Mapping:
        items = _checked(dict, data, where)
        return {key: _read(arguments[1], item, f"{where}.{key}") for key, item in items.items()}
    if origin is types.UnionType:  # X | None
        return None if data is None else _read(arguments[0], data, where)
    if origin is Literal:
        if data not in arguments:
            raise UsageError(f"no benchmark: {where} is {data!r}")
        return data
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    return _checked(kind, data, where)


def _read_fields(kind: Any, data: Mapping[str, Any], where: str) -> Any:
    hints = get_type_hints(kind)
    values = {}
    for field in dataclasses.fields(kind):
        if field.name in data:
            place = f"{where}.{field.name}"
            values[field.name] = _read(hints[field.name], data[field.name], place)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UsageError(f"no benchmark: {where} has no {field.name!r}")
    return kind(**values)


def _checked(kind: type, data: Any, where: str) -> Any:
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        raise UsageError(f"no benchmark: {where} is {data!r}")
    return data
