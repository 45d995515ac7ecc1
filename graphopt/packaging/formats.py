"""What a package can be for: a name, and a file of this room that writes it."""

from __future__ import annotations

__all__ = ["FORMATS", "Package", "needs", "write_format"]

import dataclasses
import importlib
from pathlib import Path

import onnx_ir as ir

from graphopt.packaging.triton_options import TritonOptions
from graphopt.serving.settings import ServingSettings

FORMATS = {
    "kserve": "a custom runtime of KServe's Python SDK",
    "mlserver": "MLServer",
    "triton": "Triton's model repository",
}
"""Each format and the server that takes it; ``graphopt/packaging/NAME.py`` has its ``write``."""


@dataclasses.dataclass(frozen=True)
class Package:
    """What goes into a package, whatever its format.

    Attributes:
        name: What the server calls the model.
        path: The model's file.
        model: The same, loaded.
        settings: How the server opens it; its files are named as they lie in the package.
        libraries: Where the library of kernels and the user's own are now, in the order of the
            settings.
        golden: The golden pair, written.
        triton: How Triton runs it; other formats have no use for that.
    """

    name: str
    path: Path
    model: ir.Model
    settings: ServingSettings
    libraries: tuple[Path, ...]
    golden: Path
    triton: TritonOptions


def write_format(kind: str, package: Package, folder: Path) -> None:
    """Fill an empty folder.

    Raises:
        GraphoptError: The format cannot hold this model.
        OSError: The disk is full, or writing is not permitted.
    """
    importlib.import_module(f"graphopt.packaging.{kind}").write(package, folder)


def needs(kind: str, package: Package) -> tuple[str, ...]:
    """What a package needs of its server, a line each."""
    module = importlib.import_module(f"graphopt.packaging.{kind}")
    return (module.needs(package),) if hasattr(module, "needs") else ()
