"""What is measured, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphopt.benchmarking import timing
from tests.graphopt.benchmarking.benchmark_runs import try_here
from tests.graphopt.model_files import block, save_external


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_external(block(), tmp_path / "model.onnx")


@pytest.fixture
def trials_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials run in the process of the tests."""
    monkeypatch.setattr(timing, "try_model", try_here)
