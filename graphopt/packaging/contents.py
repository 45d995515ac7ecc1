"""The files that packages of every format have."""

from __future__ import annotations

__all__ = ["copy_golden", "copy_libraries", "copy_model", "library_names", "write_file"]

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from graphopt.errors import UsageError
from graphopt.files.external_data import named_files
from graphopt.golden import GOLDEN_FILE
from graphopt.packaging.formats import Package


def copy_model(package: Package, target: Path) -> None:
    """Copy the model's file to ``target``, and its weights beside it under their own names.

    Raises:
        ModelError: Weights are missing, or lie outside the model's folder.
        UsageError: Weights have the name that the model gets.
        OSError: The disk is full, or writing is not permitted.
    """
    shutil.copyfile(package.path, target)
    weights = {target.parent / name: file for name, file in named_files(package.path).items()}
    for copy, file in weights.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        _copy(package, file, copy)


def copy_libraries(package: Package, folder: Path) -> None:
    """Copy the libraries into ``folder``.

    Raises:
        OSError: The disk is full, or writing is not permitted.
    """
    for library in package.libraries:
        _copy(package, library, folder / library.name)


def copy_golden(package: Package, folder: Path) -> None:
    """Copy the golden pair into ``folder``.

    Raises:
        OSError: The disk is full, or writing is not permitted.
    """
    _copy(package, package.golden, folder / GOLDEN_FILE)


def write_file(package: Package, path: Path, text: str) -> None:
    """Write a file of settings.

    Raises:
        UsageError: Weights of the model have its name.
        OSError: The disk is full, or writing is not permitted.
    """
    _refuse_taken(package, path)
    path.write_text(text, encoding="utf-8")


def _copy(package: Package, file: Path, path: Path) -> None:
    _refuse_taken(package, path)
    shutil.copyfile(file, path)


def _refuse_taken(package: Package, path: Path) -> None:
    """Raise where a package has a file of this name: weights keep theirs, whatever they are."""
    if os.path.lexists(path):
        raise UsageError(
            f"{package.path}: its weights are in {path.name!r}, the name of another file in a "
            "package: save the model with another name for them"
        )


def library_names(libraries: Sequence[Path]) -> tuple[str, ...]:
    """Their names in a package.

    Raises:
        UsageError: Two have one name.
    """
    names = tuple(library.name for library in libraries)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            f"two libraries are called {twice!r}: a package has one folder for them, rename one"
        )
    return names
