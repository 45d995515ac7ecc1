"""Fixtures that every test may use."""

from __future__ import annotations

import dataclasses
import fcntl
import gc
import hashlib
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, cast

import pytest

from graphopt.models import export
from graphopt.models.registry import find
from graphopt.passes import targets

ROOT = Path(__file__).parent.parent
# Tests share tables by `from tests.NAME import ...`, however pytest was started.
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
# Test processes side by side are told a width; what a command prints without a terminal has none.
os.environ.pop("COLUMNS", None)


@pytest.fixture(autouse=True)
def no_launches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No node costs its launch on the CPU, except in tests that are marked ``launches``.

    The graphs here are far smaller than those that they stand for: a node on a few dozen numbers
    costs nothing but its launch, and no norm would pay for one more.
    """
    if request.node.get_closest_marker("launches") is None:
        row = targets.PROVIDERS["cpu"]
        costs = dataclasses.replace(row.costs, launch=0.0)
        rows = cast(dict[str, targets.Provider], targets.PROVIDERS)
        monkeypatch.setitem(rows, "cpu", dataclasses.replace(row, costs=costs))


# One model of each kind of stream: what runs over the whole zoo waits for test-all with the others,
# since an export takes seconds.
QUICK = frozenset(
    {
        "bert-base-tiny",
        "clip-vit-b-32-vision-tiny",
        "dinov2-small-tiny",
        "gpt2-hidden-tiny",
        "gpt2-tiny",
        "gpt2-with-past-tiny",
        "opt-125m-tiny",
        "pythia-160m-tiny",
        "swin-t-tiny",
        "vit-ti-16-tiny",
        "wav2vec2-large-tiny",
        "whisper-tiny-encoder-tiny",
    }
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what runs over the whole zoo, beyond a few of its models."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        name = parameters.get("name")
        if item.path.name.startswith("test_zoo_") and name and name not in QUICK:
            item.add_marker(pytest.mark.slow)


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
        # What is preferred and what is asked for by name are one file.
        exporter = exporter or find(name).exporters(dtype)[0]
        path = cache / f"{name}.{exporter}.{dtype}.opset-{opset or 'default'}.onnx"
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


def pytest_collection_finish() -> None:
    """Spare the garbage collector what was imported: it stays, and a walk through it takes 0.4 s.

    What is measured collects garbage each time, so that nothing collects any while it is timed.
    """
    gc.collect()
    gc.freeze()
