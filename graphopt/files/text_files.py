"""Text files that a command writes: checked before the work, and written whole or not at all."""

from __future__ import annotations

__all__ = ["check_targets", "write_text"]

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from graphopt.errors import EnvironmentFailure, UsageError
from graphopt.files.regular_files import is_other_than_file, is_same_file
from graphopt.files.scratch import scratch_directory


def check_targets(
    targets: Mapping[str, Path | None], models: Collection[Path], force: bool
) -> None:
    """Raise where a file could not be written, or would take the place of another one.

    Args:
        targets: The file of each option, None where the option was not given.
        models: Files of the run's models, which are never replaced, under whatever name.
        force: Other files may be.

    Raises:
        UsageError: A file is one of the models', that of another option, no regular file (a folder,
            a device), or exists.
        EnvironmentFailure: Its folder cannot be written to.
    """
    taken: dict[str, Path] = {}
    for option, path in targets.items():
        if path is None:
            continue
        if any(is_same_file(path, model) for model in models):
            raise UsageError(f"{option} {path}: is a model of this run: choose another file")
        for other, place in taken.items():
            if is_same_file(path, place):
                raise UsageError(f"{option} {path}: {other} names it, too: choose another file")
        if not path.parent.is_dir():
            raise UsageError(f"{option} {path}: there is no folder {path.parent}: make it first")
        if is_other_than_file(path):
            raise UsageError(
                f"{option} {path}: is a folder or a device, and no file: choose another"
            )
        if os.path.lexists(path) and not force:
            raise UsageError(
                f"{option} {path}: exists: choose another file, or replace it (--force)"
            )
        if not os.access(path.parent, os.W_OK):
            raise EnvironmentFailure(
                f"{option} {path}: its folder cannot be written to: choose another"
            )
        taken[option] = path


def write_text(path: Path, text: str) -> None:
    """Write ``text`` beside ``path`` under a temporary name, then give it its name.

    Raises:
        EnvironmentFailure: The file cannot be written; nothing is left of it.
    """
    try:
        if is_other_than_file(path):
            raise EnvironmentFailure(
                f"{path}: cannot be written, because it is no regular file: choose another"
            )
        with scratch_directory(path) as directory:
            draft = directory / path.name
            draft.write_text(text, encoding="utf-8", newline="\n")
            draft.replace(path)
    except OSError as error:
        raise EnvironmentFailure(
            f"{path}: cannot be written: {error.strerror or error}: check the disk and its "
            "permissions"
        ) from error
