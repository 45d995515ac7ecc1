"""SHA-256 of files, taken while something else is done: half a second for half a GB."""

from __future__ import annotations

__all__ = ["Digests"]

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path


class Digests:
    """Begins to read files in a thread, which leaves Python's lock to others.

    The thread does not keep a program that ends.

    Args:
        files: They must stay as they are until :meth:`wait` returns.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        self._found: list[str] = []
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait(self) -> tuple[str, ...]:
        """The digest of each file, as hexadecimal digits.

        Raises:
            OSError: A file cannot be read.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error
        return tuple(self._found)

    def _read(self) -> None:
        try:
            for file in self._files:
                with file.open("rb") as content:
                    self._found.append(hashlib.file_digest(content, "sha256").hexdigest())
        except OSError as error:
            self._error = error
