"""The errors that graphopt raises, each with the exit code that the command line gives it."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = [
    "EnvironmentFailure",
    "GraphoptError",
    "ModelError",
    "QuantizedModel",
    "UsageError",
    "VerificationFailed",
    "listed",
    "printable",
    "shortened",
    "shortened_name",
]

_LONGEST = 300
"""Characters of a message on the screen."""
_LONGEST_NAME = 60
"""Characters of a name or path in a message that would be longer than that."""
_LISTED = 4
_CUT = "..."
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What moves the cursor, colours or erases the screen, or turns the direction of writing."""


class GraphoptError(Exception):
    """Base of every error that graphopt raises on purpose.

    The message is one line: what was found, where (file, node and value names), what to do.
    """

    exit_code = 2


class UsageError(GraphoptError, ValueError):
    """An option or argument that cannot be used as given."""


class ModelError(GraphoptError):
    """The model cannot be read, is invalid, or is of a kind that graphopt does not take."""


class QuantizedModel(ModelError):
    """The model is quantized: its weights can no longer be recentred."""


class VerificationFailed(GraphoptError):
    """The candidate is not the same function as the original within the tolerance."""

    exit_code = 1


class EnvironmentFailure(GraphoptError):
    """Something outside the model failed: no ONNX Runtime, a full disk, a missing permission."""

    exit_code = 3


def shortened(message: str) -> str:
    """A message as the screen has it: one too long loses the middles of its names, then its own."""
    if len(message) <= _LONGEST:
        return message
    names_cut = " ".join(shortened_name(word, _LONGEST_NAME) for word in message.split(" "))
    if len(names_cut) <= _LONGEST:
        return names_cut
    mark = f" ... ({len(message)} characters) ... "
    head = (_LONGEST - len(mark)) * 2 // 3
    return names_cut[:head] + mark + names_cut[len(mark) + head - _LONGEST :]


def printable(text: str, keep: str = "") -> str:
    """Text for the screen: what would command a terminal is written as Python would escape it.

    Args:
        text: Such as a line with names out of a file, which may hold any character.
        keep: Characters that stay as they are.
    """

    def escaped(found: re.Match[str]) -> str:
        letter = found[0]
        return letter if letter in keep else letter.encode("unicode_escape").decode("ascii")

    return _UNPRINTABLE.sub(escaped, text)


def shortened_name(name: str, width: int) -> str:
    """A name of at most ``width`` characters: a longer one loses its middle."""
    width = max(width, len(_CUT) + 2)
    if len(name) <= width:
        return name
    tail = (width - len(_CUT)) * 2 // 3  # names differ at their ends
    return name[: width - len(_CUT) - tail] + _CUT + name[-tail:]


def listed(names: Iterable[str]) -> str:
    """Names in a message: all where they are few, else the first and how many more there are."""
    first, rest = (known := list(names))[:_LISTED], len(known) - _LISTED
    return (", ".join(first) or "none") + (f" and {rest} more" if rest > 0 else "")
