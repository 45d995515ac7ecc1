"""Makes a directory beside its final place, and gives it its name when it is whole."""

from __future__ import annotations

__all__ = ["check_output", "staged_directory"]

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from graphopt.directories.layout import Layout, files_of_layout
from graphopt.errors import UsageError
from graphopt.files.saving import disk_errors, publish
from graphopt.files.scratch import remove_leftovers, scratch_directory


def check_output(layout: Layout, output: Path, *, force: bool) -> None:
    """Raise where ``output`` cannot be written from a directory, before any work is done.

    Raises:
        UsageError: The output is the input, lies in it or around it, holds a file that it links to,
            exists, or is not one that may be replaced: a folder without a model is somebody else's.
    """
    directory = layout.directory
    source, target = directory.resolve(), output.resolve()
    if source == target:
        raise UsageError(
            f"{output}: is the input, which is never written to: choose another output"
        )
    if source in target.parents:
        raise UsageError(f"{output}: lies in the input {directory}: choose another output")
    if target in source.parents:
        raise UsageError(f"{output}: holds the input {directory}: choose another output")
    for file in files_of_layout(layout):
        if target in file.resolve().parents:
            raise UsageError(
                f"{output}: holds the file that {file} is a link to: choose another output"
            )
    if not _final(output).parent.is_dir():
        raise UsageError(f"{output.parent}: is not a directory: create it first")
    remove_leftovers(_final(output))
    if not os.path.lexists(output):
        return
    if not force:
        raise UsageError(f"{output}: exists: choose another output, or replace it (--force)")
    if not output.is_dir():
        raise UsageError(f"{output}: is no directory: choose another output")
    if any(output.iterdir()) and not _holds_models(output):
        raise UsageError(f"{output}: holds no model, so it is not replaced: choose another output")


@contextlib.contextmanager
def staged_directory(output: Path, *, force: bool = False) -> Iterator[tuple[Path, Path]]:
    """A new directory that takes the place of ``output`` at the end, and a folder for scratch.

    If the body raises, or is interrupted, nothing is left of either, and what was there stays.

    Args:
        output: The directory.
        force: Replace one that is there.

    Raises:
        UsageError: It is there.
        EnvironmentFailure: The disk is full, or writing is not permitted.
    """
    target = _final(output)
    with disk_errors(output), scratch_directory(target) as scratch:
        draft, work = scratch / target.name, scratch / ".work"
        draft.mkdir()
        work.mkdir()
        yield draft, work
        publish([(draft, target)], scratch, force=force)


def _final(output: Path) -> Path:
    """The path of the output, a link as itself, whose last part is a name."""
    if output.name in ("", ".."):
        return output.resolve()
    return output.parent.resolve() / output.name


def _holds_models(directory: Path) -> bool:
    return any(any(folder.glob("*.onnx")) for folder in (directory, directory / "onnx"))
