"""The files that packages of every format have."""

from __future__ import annotations

__all__ = ["copy_golden", "copy_libraries", "copy_model", "library_names"]

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
        UsageError: Weights have the name that the model would get.
        OSError: The disk is full, or writing is not permitted.
    """
    weights = named_files(package.path)
    if target.name in weights:
        raise UsageError(
            f"{package.path}: its weights are in {target.name!r}, the name of the model in a "
            "package: save the model with another name for them"
        )
    shutil.copyfile(package.path, target)
    for name, file in weights.items():
        copy = target.parent / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def copy_libraries(package: Package, folder: Path) -> None:
    """Copy the libraries into ``folder``.

    Raises:
        OSError: The disk is full, or writing is not permitted.
    """
    for library in package.libraries:
        shutil.copyfile(library, folder / library.name)


def copy_golden(package: Package, folder: Path) -> None:
    """Copy the golden pair into ``folder``.

    Raises:
        OSError: The disk is full, or writing is not permitted.
    """
    shutil.copyfile(package.golden, folder / GOLDEN_FILE)


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
