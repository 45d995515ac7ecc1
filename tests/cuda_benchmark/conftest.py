"""The scripts of the benchmark on CUDA, and where their record goes."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.cuda_benchmark.machine import ROOT


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[str, ModuleType]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        names = ("cuda_record", "cuda_running", "cuda_steps", "cuda_page", "cuda", "subjects")
        yield {name: importlib.import_module(name) for name in names}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "docs" / "results-cuda.json"
