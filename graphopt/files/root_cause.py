"""What a library was unhappy with, beneath the layers that passed it on."""

from __future__ import annotations

__all__ = ["root_cause"]


def root_cause(error: BaseException) -> str:
    """The message of the first error of a chain, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__
