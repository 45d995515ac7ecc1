"""What a directory holds: who reads it, which of its files are models, and which are not."""

from __future__ import annotations

__all__ = ["Layout", "files_of_layout", "read_layout"]

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from graphopt.errors import EnvironmentFailure, ModelError
from graphopt.files import external_data

_FOLDERS = (Path(), Path("onnx"))
"""Where the libraries look for models."""
_LEFT_OUT = frozenset({".git"})
"""The history of a directory is not part of what is deployed, and may be larger than it."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """The files of a directory, by their paths within it.

    Attributes:
        directory: The directory.
        client: The library that it is for: ``onnxruntime-genai``, ``sentence-transformers``,
            ``transformers.js``, ``optimum``, or ``plain``.
        models: The .onnx files of the directory and of its folder ``onnx``.
        others: All other files.
    """

    directory: Path
    client: str
    models: tuple[Path, ...]
    others: tuple[Path, ...]


def read_layout(directory: Path) -> Layout:
    """List the files of a directory, through symbolic links.

    Raises:
        ModelError: It is no directory, has no model, or holds a link to nothing, a link to a folder
            that it lies in, or something that is neither file nor folder.
        EnvironmentFailure: Some of it cannot be read.
    """
    if not directory.is_dir():
        raise ModelError(f"{directory}: no such directory: check the path")
    _check_readable(directory)
    files = sorted(_files(directory, Path(), (directory.resolve(),)))
    models = [path for path in files if path.suffix == ".onnx" and path.parent in _FOLDERS]
    if not models:
        deeper = [str(path) for path in files if path.suffix == ".onnx"]
        advice = (
            f"give the folder of {deeper[0]}"
            if deeper
            else "export one into it, or give another directory"
        )
        raise ModelError(f"{directory}: has no .onnx file, nor has its folder onnx: {advice}")
    others = [path for path in files if path not in models]
    return Layout(directory, _client(models, others), tuple(models), tuple(others))


def files_of_layout(layout: Layout) -> tuple[Path, ...]:
    """All files of a directory, with weights that lie beside the file that a model is a link to.

    It tells what must not be written to: those of download caches are links to a folder elsewhere.
    """
    models = [layout.directory / path for path in layout.models]
    beside = [file for model in models for file in external_data.files_of(model)]
    return (*beside, *(layout.directory / path for path in layout.others))


def _files(root: Path, folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """The files of a folder within ``root``; ``above`` are the real paths of those it lies in."""
    for entry in sorted((root / folder).iterdir()):
        path = folder / entry.name
        if entry.is_dir():
            if entry.name in _LEFT_OUT:
                continue
            _check_readable(entry)
            real = entry.resolve()
            if real in above:
                raise ModelError(f"{entry}: is a link to a folder that it lies in: remove it")
            yield from _files(root, path, (*above, real))
        elif entry.is_file():
            _check_readable(entry)
            yield path
        elif entry.is_symlink() and not entry.exists():
            raise ModelError(f"{entry}: is a link to nothing: fetch the file, or remove the link")
        else:
            raise ModelError(f"{entry}: is neither a file nor a folder: remove it")


def _check_readable(path: Path) -> None:
    if not os.access(path, os.R_OK):
        raise EnvironmentFailure(f"{path}: cannot be read: check its permissions")


def _client(models: list[Path], others: list[Path]) -> str:
    names = {str(path) for path in others}
    if "genai_config.json" in names:
        return "onnxruntime-genai"
    if "modules.json" in names:
        return "sentence-transformers"
    if "config.json" not in names:
        return "plain"
    return "optimum" if any(path.parent == Path() for path in models) else "transformers.js"
