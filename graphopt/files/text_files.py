"""Text files that a command writes: checked before the work, and written whole or not at all."""

from __future__ import annotations

__all__ = ["check_targets", "write_text"]

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from graphopt.errors import EnvironmentFailure, UsageError


def check_targets(
    targets: Mapping[str, Path | None], models: Collection[Path], force: bool
) -> None:
    """Raise where a file could not be written, or would take the place of another one.

    Args:
        targets: The file of each option, None where the option was not given.
        models: Files that must not be replaced.
        force: Other files may be.

    Raises:
        UsageError: A file is one of the models, that of another option, a folder, or exists.
        EnvironmentFailure: Its folder cannot be written to.
    """
    kept = {model.resolve() for model in models}
    taken: dict[Path, str] = {}
    for option, path in targets.items():
        if path is None:
            continue
        place = path.resolve()
        if place in kept:
            raise UsageError(f"{option} {path}: is a model of this run: choose another file")
        if place in taken:
            raise UsageError(f"{option} {path}: {taken[place]} names it, too: choose another file")
        if path.is_dir() or not path.parent.is_dir():
            raise UsageError(f"{option} {path}: cannot be a file: choose another")
        if os.path.lexists(path) and not force:
            raise UsageError(
                f"{option} {path}: exists: choose another file, or replace it (--force)"
            )
        if not os.access(path.parent, os.W_OK):
            raise EnvironmentFailure(f"{option} {path}: its folder cannot be written to")
        taken[place] = option


def write_text(path: Path, text: str) -> None:
    """Write ``text`` beside ``path`` under a temporary name, then give it its name.

    Raises:
        EnvironmentFailure: The file cannot be written; nothing is left of it.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8", newline="\n")
        draft.replace(path)
    except OSError as error:
        raise EnvironmentFailure(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)
