"""The bytes of a file of any size, read a page at a time."""

from __future__ import annotations

__all__ = ["FileBytes"]

import os
from typing import overload

_PAGE = 1 << 16


class FileBytes:
    """What ``bytes`` and ``mmap`` have in common, over a file that may be cut while it is read.

    A mapping of such a file ends the process with SIGBUS; here it is an ``OSError``.

    Args:
        descriptor: An open file, which the caller closes.
        path: Its name, for the error.
    """

    def __init__(self, descriptor: int, path: str | os.PathLike[str]) -> None:
        self._descriptor, self._path = descriptor, path
        self._start, self._page = 0, b""

    @overload
    def __getitem__(self, index: int) -> int: ...

    @overload
    def __getitem__(self, index: slice) -> bytes: ...

    def __getitem__(self, index: int | slice) -> int | bytes:
        if isinstance(index, slice):
            return self._read(index.start, index.stop - index.start)
        if not self._start <= index < self._start + len(self._page):
            self._start, self._page = index, os.pread(self._descriptor, _PAGE, index)
        if not self._page:
            raise self._cut()
        return self._page[index - self._start]

    def _read(self, start: int, length: int) -> bytes:
        pieces = []
        while length > 0:
            piece = os.pread(self._descriptor, length, start)
            if not piece:
                raise self._cut()
            pieces.append(piece)
            start, length = start + len(piece), length - len(piece)
        return b"".join(pieces)

    def _cut(self) -> OSError:
        return OSError(0, "it has become shorter while it was read", os.fspath(self._path))
