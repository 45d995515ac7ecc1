"""Values that are written as text, such as NAME:1,128."""

from __future__ import annotations

__all__ = [
    "existing_files",
    "read_arrays",
    "to_dim_lists",
    "to_dims",
    "to_entries",
    "to_integers",
    "to_shape_lists",
    "to_shapes",
]

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graphopt.errors import EnvironmentFailure, UsageError

if TYPE_CHECKING:
    import numpy as np

_MOST_DIGITS = 18
"""A longer number is no size: it does not fit into 64 bits."""


def existing_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The paths.

    Raises:
        UsageError: One is no file.
    """
    for path in paths:
        if not path.is_file():
            raise UsageError(f"{path}: there is no such file: check the path")
    return tuple(paths)


def to_shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Parse ``NAME:1,128`` (``NAME:`` is a scalar's).

    Raises:
        UsageError: A text of another form, a negative size, or a name given twice.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for text in texts:
        # The last colon: names such as "input:0" have their own.
        name, separator, sizes = text.rpartition(":")
        try:
            shape = tuple(int(size) for size in sizes.split(",") if size.strip())
        except ValueError:
            shape = (-1,)
        if max(map(abs, shape), default=0) >= 10**_MOST_DIGITS:
            shape = (-1,)
        if not separator or not name or min(shape, default=0) < 0:
            raise UsageError(f"--input-shape {text!r}: write it as NAME:1,128")
        if name in shapes:
            raise UsageError(f"--input-shape {text!r}: {name!r} has a shape already: give one")
        shapes[name] = shape
    return shapes


def to_dims(texts: Sequence[str]) -> dict[str, int]:
    """Parse ``NAME=N``.

    Raises:
        UsageError: A text of another form, a size below 1, or a name given twice.
    """
    dims = {}
    for text in texts:
        name, _, size = text.rpartition("=")
        if not name or not _is_number(size) or int(size) < 1:
            raise UsageError(f"--dim {text!r}: write it as NAME=N with N at least 1")
        if name in dims:
            raise UsageError(f"--dim {text!r}: {name!r} has a size already: give one")
        dims[name] = int(size)
    return dims


def to_entries(texts: Sequence[str]) -> dict[str, str]:
    """Parse ``KEY=VALUE``.

    Raises:
        UsageError: A text of another form, or a key given twice.
    """
    entries: dict[str, str] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not key or not separator:
            raise UsageError(f"--session-option {text!r}: write it as KEY=VALUE")
        if key in entries:
            raise UsageError(f"--session-option {text!r}: {key!r} has a value already: give one")
        entries[key] = value
    return entries


def read_arrays(texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Read the files of ``NAME:FILE.npy``.

    Raises:
        UsageError: A text of another form, a name given twice, or a file that is missing or holds
            no array.
        EnvironmentFailure: The file cannot be read.
    """
    if not texts:
        return {}
    import numpy as np

    arrays: dict[str, np.ndarray] = {}
    for text in texts:
        name, _, file = text.rpartition(":")
        if not name or not file:
            raise UsageError(f"--input {text!r}: write it as NAME:FILE.npy")
        if name in arrays:
            raise UsageError(f"--input {text!r}: {name!r} has a file already: give one")
        path = Path(file)
        if not path.is_file():
            raise UsageError(f"--input {name}: no such file, {path}: check the path")
        try:
            array = np.load(path, allow_pickle=False)
        except OSError as error:
            raise EnvironmentFailure(
                f"{path}: cannot be read ({error.strerror}): check its permissions"
            ) from error
        except Exception as error:  # of a damaged header NumPy raises whatever its parts do
            raise UsageError(
                f"--input {name}: {path} holds no plain NumPy array: write one with numpy.save"
            ) from error
        if not isinstance(array, np.ndarray):
            raise UsageError(f"--input {name}: {path} holds several arrays: give one .npy file")
        arrays[name] = array
    return arrays


def to_integers(text: str) -> tuple[int, ...]:
    """Parse ``1,8,32``; nothing is no integer.

    Raises:
        UsageError: A text of another form.
    """
    parts = [part.strip() for part in text.split(",")] if text else []
    if not all(map(_is_number, parts)):
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
        if not name or not all(_is_number(part) and int(part) for part in parts):
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


def _is_number(text: str) -> bool:
    """Whether it is a size in digits, of whatever script."""
    return text.strip().isdecimal() and len(text.strip()) <= _MOST_DIGITS
