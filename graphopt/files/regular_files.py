"""Which paths may be written to: two names of one file, and what is no file at all."""

from __future__ import annotations

__all__ = ["is_other_than_file", "is_same_file", "refuse_other_than_files"]

from pathlib import Path

from graphopt.errors import UsageError

_DEVICES, _PROCESSES = Path("/dev"), Path("/proc")


def is_same_file(one: Path, other: Path) -> bool:
    """Whether both are one file, through symbolic and hard links, or would be if they existed."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


def is_other_than_file(path: Path) -> bool:
    """Whether there is something that is no regular file: a folder, a device, a pipe, a socket.

    Nor is what the system keeps: /dev/stdout is a link to a file where a shell redirects it, and
    who may write to /dev would put a file in the place of that link.
    """
    if not path.exists():
        return False
    folder = path.parent.resolve()
    return not path.is_file() or folder == _DEVICES or _PROCESSES in folder.parents


def refuse_other_than_files(path: Path) -> None:
    """Raise where a file of this name would take the place of something that is none.

    Raises:
        UsageError: Says what it is.
    """
    if path.is_dir():
        raise UsageError(f"{path}: is a directory: name the file to write")
    if is_other_than_file(path):
        raise UsageError(
            f"{path}: is no regular file (a device, a pipe or a socket): name the file to write"
        )
