"""The arguments of ``graphopt bench`` that are lists."""

from __future__ import annotations

__all__ = ["to_dim_lists", "to_integers", "to_shape_lists"]

from collections.abc import Sequence

from graphopt.errors import UsageError
from graphopt.parameters import to_shapes


def to_integers(text: str) -> tuple[int, ...]:
    """Parse ``1,8,32``; nothing is no integer.

    Raises:
        UsageError: A text of another form.
    """
    parts = [part.strip() for part in text.split(",")] if text else []
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f"{text!r} is no list of numbers: write it as 1,8,32")
    return tuple(int(part) for part in parts)


def to_dim_lists(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Parse ``NAME=N[,N...]``.

    Raises:
        UsageError: A text of another form, a size below 1, or a name given twice.
    """
    lists: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, _, sizes = text.rpartition("=")
        if name in lists:
            raise UsageError(f"--dim {text!r}: give all sizes of {name!r} at once: NAME=1,8,32")
        parts = [part.strip() for part in sizes.split(",")]
        if not name or not all(part.isdecimal() and int(part) for part in parts):
            raise UsageError(f"--dim {text!r}: write it as NAME=N or NAME=N,N with N at least 1")
        lists[name] = tuple(int(part) for part in parts)
    return lists


def to_shape_lists(texts: Sequence[str]) -> dict[str, list[tuple[int, ...]]]:
    """Parse ``NAME:1,128``; a name that comes again has several shapes.

    Raises:
        UsageError: A text of another form, or a negative size.
    """
    lists: dict[str, list[tuple[int, ...]]] = {}
    for text in texts:
        for name, shape in to_shapes([text]).items():
            lists.setdefault(name, []).append(shape)
    return lists
