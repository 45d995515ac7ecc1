"""The errors that graphopt raises, each with the exit code that the command line gives it."""

from __future__ import annotations

__all__ = [
    "EnvironmentFailure",
    "GraphoptError",
    "ModelError",
    "QuantizedModel",
    "UsageError",
    "VerificationFailed",
    "shortened",
]

_LONGEST = 480
"""Characters of a message on the screen; with its heading it stays below 500."""


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
    """A message as the screen has it: what is too long loses its middle, and says so."""
    if len(message) <= _LONGEST:
        return message
    mark = f" ... ({len(message)} characters) ... "
    head = (_LONGEST - len(mark)) * 2 // 3
    return message[:head] + mark + message[len(mark) + head - _LONGEST :]
