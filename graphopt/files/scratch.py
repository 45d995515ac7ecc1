"""Directories beside an output, where it is made before it gets its name.

A process that is killed leaves its directory behind. Each holds a file that its process keeps
locked, so the next run for the same output can tell what nobody works in any more, and removes it.
The lock goes with the process, however it ends.
"""

from __future__ import annotations

__all__ = ["BACKUP_PREFIX", "remove_leftovers", "scratch_directory"]

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no such locks: what is left there stays
    fcntl = None  # type: ignore[assignment]

BACKUP_PREFIX = "replaced."
"""What was under an output's name lies under this and its name until the new one is in place."""

_LOCK = ".graphopt.lock"
_RANDOM = 8 * "[a-z0-9_]"
"""What ``tempfile`` puts into a name; another output's name may begin as this one's does."""


@contextlib.contextmanager
def scratch_directory(target: Path) -> Iterator[Path]:
    """A directory of this process alone beside ``target``, so that one rename moves a file there.

    It is removed at the end, and what killed runs left beside ``target`` at the beginning.

    Raises:
        OSError: The directory cannot be made.
    """
    remove_leftovers(target)
    directory, lock = _make(target)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


def remove_leftovers(target: Path) -> None:
    """Remove the directories that killed runs left beside ``target``; those in use stay.

    A run that was killed while it moved its files into place has moved away what was there before:
    that is put back.
    """
    if fcntl is None:
        return
    for lock in target.parent.glob(f"{_escaped(f'.{target.name}.')}{_RANDOM}.tmp/{_LOCK}"):
        # Whatever cannot be opened, locked or removed is left alone: it may be another user's.
        with contextlib.suppress(OSError), lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _put_back(target, lock.parent)
            shutil.rmtree(lock.parent)


def _make(target: Path) -> tuple[Path, int]:
    while True:
        directory = Path(
            tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        )
        try:
            lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        if fcntl is not None:
            # A file system without locks takes nothing for a leftover.
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX)
        if (directory / _LOCK).exists():
            return directory, lock
        os.close(lock)  # another run removed it before it was locked


def _put_back(target: Path, directory: Path) -> None:
    """Undo a publication that was broken off; the file of the output's own name moves last."""
    if not (directory / target.name).exists():
        return
    for backup in directory.glob(f"{BACKUP_PREFIX}*"):
        backup.replace(target.parent / backup.name.removeprefix(BACKUP_PREFIX))


def _escaped(name: str) -> str:
    """``name`` as a pattern that matches nothing else."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
