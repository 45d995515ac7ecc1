"""How a model is opened in a server: what its settings file says."""

from __future__ import annotations

__all__ = ["SETTINGS_FILE", "ServingSettings", "read_settings", "settings_from"]

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphopt.errors import UsageError
from graphopt.json_values import from_plain, read_value

SETTINGS_FILE = "serving.json"
"""Name of the settings file in a folder that is served."""


@dataclasses.dataclass(frozen=True)
class ServingSettings:
    """Settings of one session. Files are named relative to the folder of the settings.

    Attributes:
        model: The model's file.
        library: Library of kernels to register; "" registers none.
        custom_op_libraries: Libraries of the user's own operators.
        provider: ``cpu`` or ``cuda``.
        threads: Threads inside an operator; 0 is one for each core.
        provider_options: Options of the execution provider, by ONNX Runtime's names.
        session_options: Configuration entries of the session, by ONNX Runtime's names.
    """

    model: str = "model.onnx"
    library: str = ""
    custom_op_libraries: tuple[str, ...] = ()
    provider: str = "cpu"
    threads: int = 1
    provider_options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    session_options: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def within(self, folder: Path) -> ServingSettings:
        """The same with the paths of its files, which ``folder`` holds."""
        return dataclasses.replace(
            self,
            model=str(folder / self.model),
            library=str(folder / self.library) if self.library else "",
            custom_op_libraries=tuple(str(folder / each) for each in self.custom_op_libraries),
        )


def read_settings(folder: Path) -> ServingSettings:
    """The settings of a folder, with the paths of its files.

    Raises:
        UsageError: The folder has none, or one that cannot be used.
    """
    path = folder / SETTINGS_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f'{path}: cannot be read: give a folder that "graphopt package" wrote'
        ) from error
    try:
        values = read_value(dict, text)
    except ValueError as error:
        raise UsageError(f"{path}: is no JSON ({error}): write it again") from error
    return settings_from(values, folder, str(path))


def settings_from(values: Mapping[str, Any], folder: Path, where: str) -> ServingSettings:
    """Settings out of JSON values, with the paths of their files.

    Args:
        values: By the names of the attributes; what is left out has its default.
        folder: What the names of the files are relative to.
        where: Where the values are from, for messages.

    Raises:
        UsageError: A name is unknown, or a value of another kind.
    """
    known = [field.name for field in dataclasses.fields(ServingSettings)]
    unknown = [name for name in values if name not in known]
    if unknown:
        raise UsageError(
            f"{where}: unknown setting {unknown[0]!r}: choose one of {', '.join(known)}"
        )
    try:
        settings: ServingSettings = from_plain(ServingSettings, dict(values), "settings")
    except ValueError as error:
        raise UsageError(f"{where}: {error}: give a value of the kind that it has") from error
    return settings.within(folder)
