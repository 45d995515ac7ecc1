"""The errors that graphopt raises, each with the exit code that the command line gives it."""

from __future__ import annotations

__all__ = [
    "EnvironmentFailure",
    "GraphoptError",
    "ModelError",
    "UsageError",
    "VerificationFailed",
]


class GraphoptError(Exception):
    """Base of every error that graphopt raises on purpose.

    The message is one line: what was found, where (file, node and value names), what to do.
    """

    exit_code = 2


class UsageError(GraphoptError, ValueError):
    """An option or argument that cannot be used as given."""


class ModelError(GraphoptError):
    """The model cannot be read, is invalid, or is of a kind that graphopt does not take."""


class VerificationFailed(GraphoptError):
    """The candidate is not the same function as the original within the tolerance."""

    exit_code = 1


class EnvironmentFailure(GraphoptError):
    """Something outside the model failed: no ONNX Runtime, a full disk, a missing permission."""

    exit_code = 3
