"""Puts the kernel library into a directory of onnxruntime-genai, and names it there."""

from __future__ import annotations

__all__ = ["add_kernels"]

import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from graphopt.directories.configurations import read_json
from graphopt.errors import ModelError

_CONFIGURATION = "genai_config.json"
_OPTION = "custom_ops_library"


def add_kernels(directory: Path, library: Path, models: Collection[str]) -> str:
    """Copy the library beside the models, and name it in the options of the sessions that need it.

    onnxruntime-genai loads libraries from the folder of the model, by a name within it, and from
    few places else. Nothing else of the configuration changes. A session has one library: where
    the configuration names another, it stays, and the models run without the kernels.

    Args:
        directory: The output that is being made.
        library: The library for the provider.
        models: Names of the files that have operators of graphopt.

    Returns:
        A sentence on why nothing was done, or "".

    Raises:
        ModelError: There is another file of the library's name.
        OSError: A file cannot be read or written.
    """
    path = directory / _CONFIGURATION
    configuration = read_json(path)
    sections = [
        part
        for part in configuration.get("model", {}).values()
        if isinstance(part, dict) and part.get("filename") in list(models)  # it may be no text
    ]
    if not sections:
        return f"{_CONFIGURATION} names none of the optimized files: the kernels were not added"
    others = [
        name
        for part in sections
        if (name := part.get("session_options", {}).get(_OPTION)) not in (None, library.name)
    ]
    if others:
        return (
            f"{_CONFIGURATION} names the library {others[0]}, and a session has one: the models "
            "run without graphopt's kernels"
        )
    if (directory / library.name).exists() and not _is_same(directory / library.name, library):
        raise ModelError(
            f"{library.name}: the kernel library would take the place of another file of the "
            "directory: rename or remove that one"
        )
    for part in sections:
        part.setdefault("session_options", {})[_OPTION] = library.name
    shutil.copyfile(library, directory / library.name)
    path.write_text(_text(configuration), encoding="utf-8")
    return ""


def _is_same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def _text(configuration: Any) -> str:
    return json.dumps(configuration, indent=4, ensure_ascii=False) + "\n"
