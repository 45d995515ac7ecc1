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
# Of the hundreds of processes that tests start, the first one keeps what it compiles: packages too,
# which `make` installs as they are, and which take seconds each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


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


# One model of each kind of stream, and what exports it in the quick suite: what runs over the whole
# zoo waits for test-all with the others, since an export takes seconds. That of wav2vec 2.0 by
# dynamo takes the most, 15 s; its norms between Transposes are in that of TorchScript, too.
_BOTH = ("dynamo", "torchscript")
QUICK = {
    "bert-base-tiny": _BOTH,
    "clip-vit-b-32-vision-tiny": _BOTH,
    "dinov2-small-tiny": _BOTH,
    "gpt2-hidden-tiny": _BOTH,
    "gpt2-tiny": _BOTH,
    "gpt2-with-past-tiny": _BOTH,
    "opt-125m-tiny": _BOTH,
    "pythia-160m-tiny": _BOTH,
    "swin-t-tiny": _BOTH,
    "vit-ti-16-tiny": _BOTH,
    "wav2vec2-large-tiny": ("torchscript",),
    "whisper-tiny-encoder-tiny": _BOTH,
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what runs over the whole zoo, beyond a few of its models."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        name, exporter = parameters.get("name"), parameters.get("exporter")
        if item.path.name.startswith("test_zoo_") and name:
            exporters = QUICK.get(name, ())
            if exporter not in exporters and (exporter or not exporters):
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
                _set_aside()
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
    """Sets aside what the modules of the tests have imported."""
    _set_aside()


def _set_aside() -> None:
    """Spare the garbage collector what was imported: it stays, and a walk through it takes 0.4 s.

    What is measured collects garbage each time, so that nothing collects any while it is timed.
    """
    gc.collect()
    gc.freeze()
