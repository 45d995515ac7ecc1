"""A folder for ``mlserver start FOLDER``."""

from __future__ import annotations

__all__ = ["write"]

from pathlib import Path

from graphopt.json_values import fields_of, to_json
from graphopt.packaging.contents import copy_golden, copy_libraries, copy_model, write_file
from graphopt.packaging.formats import Package

_IMPLEMENTATION = "graphopt.serving.mlserver_model.OnnxModel"


def write(package: Package, folder: Path) -> None:
    """Fill an empty folder: the model, MLServer's two settings files, libraries, the golden pair.

    ``settings.json`` has the model in the server's own process: ONNX Runtime leaves Python's lock
    while it runs, and arrays that are sent to another process are copied.

    Raises:
        GraphoptError: The files of the model cannot lie in one folder.
        OSError: The disk is full, or writing is not permitted.
    """
    copy_model(package, folder / package.settings.model)
    copy_libraries(package, folder)
    copy_golden(package, folder)
    settings = fields_of(package.settings)
    uri = settings.pop("model")
    model = {
        "name": package.name,
        "implementation": _IMPLEMENTATION,
        "parameters": {"uri": f"./{uri}", "extra": settings},
    }
    write_file(package, folder / "model-settings.json", to_json(model))
    write_file(package, folder / "settings.json", to_json({"parallel_workers": 0}))
