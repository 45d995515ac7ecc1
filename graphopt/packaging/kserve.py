"""A folder for ``python -m graphopt.serving.kserve_model --model_dir FOLDER``."""

from __future__ import annotations

__all__ = ["write"]

from pathlib import Path

from graphopt.json_values import to_json
from graphopt.packaging.contents import copy_golden, copy_libraries, copy_model, write_file
from graphopt.packaging.formats import Package
from graphopt.serving.settings import SETTINGS_FILE


def write(package: Package, folder: Path) -> None:
    """Fill an empty folder: the model, ``serving.json``, the libraries, the golden pair.

    Raises:
        GraphoptError: The files of the model cannot lie in one folder.
        OSError: The disk is full, or writing is not permitted.
    """
    copy_model(package, folder / package.settings.model)
    copy_libraries(package, folder)
    copy_golden(package, folder)
    write_file(package, folder / SETTINGS_FILE, to_json(package.settings))
