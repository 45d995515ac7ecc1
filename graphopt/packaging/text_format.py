"""Writes messages in the text format of Protocol Buffers.

The classes of Triton's messages come with tritonclient alone, which wants an older protobuf than
other packages of a deployment may: the text needs their names and no more.
"""

from __future__ import annotations

__all__ = ["Message", "Word", "write_text"]

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from google.protobuf.text_encoding import CEscape  # type: ignore[import-untyped]  # no stubs


class Word(str):
    """A value that stands without quotes: the name of one of an enum's values."""


Scalar: TypeAlias = str | int | bool
Message: TypeAlias = Mapping[str, Any]
"""Fields by name: scalars and messages, and a list of them where a field is repeated. A map is a
list of messages with ``key`` and ``value``."""


def write_text(message: Message) -> str:
    """The text of a message, a field on each line."""
    return "".join(f"{line}\n" for line in _lines(message))


def _lines(message: Message) -> Iterator[str]:
    for name, value in message.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, Mapping):
                yield f"{name} {{"
                yield from (f"  {line}" for line in _lines(each))
                yield "}"
            else:
                yield f"{name}: {_scalar(each)}"


def _scalar(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and not isinstance(value, Word):
        return f'"{CEscape(value, as_utf8=False)}"'
    return str(value)
