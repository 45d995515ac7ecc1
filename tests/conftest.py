"""Fixtures that every test may use."""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import pytest

from graphopt.models import export

ROOT = Path(__file__).parent.parent
# Tests share tables by `from tests.NAME import ...`, however pytest was started.
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
# Test processes side by side are told a width; what a command prints without a terminal has none.
os.environ.pop("COLUMNS", None)


class ZooModel(Protocol):
    """Returns the exported file of a zoo model; it must not be written to."""

    def __call__(
        self,
        name: str,
        exporter: str | None = None,
        dtype: str = "float32",
        opset: int | None = None,
    ) -> Path: ...


@pytest.fixture(scope="session")
def zoo_model() -> ZooModel:
    """Exports on demand into `.model-cache`, where later runs and other workers find it."""
    cache = ROOT / ".model-cache" / _cache_key()
    cache.mkdir(parents=True, exist_ok=True)

    def model(
        name: str,
        exporter: str | None = None,
        dtype: str = "float32",
        opset: int | None = None,
    ) -> Path:
        path = cache / f"{name}.{exporter or 'preferred'}.{dtype}.opset-{opset or 'default'}.onnx"
        # One worker exports, the others wait for it: an export takes seconds.
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                export(name, path, exporter=exporter, dtype=dtype, opset=opset)
        return path

    return model


def _cache_key() -> str:
    digest = hashlib.sha256()
    for source in sorted((ROOT / "models").glob("*.py")):
        digest.update(source.read_bytes())
    for package in ("torch", "transformers", "onnx", "onnxscript"):
        digest.update(version(package).encode())
    return digest.hexdigest()[:16]
