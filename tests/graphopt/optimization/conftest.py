"""What is optimized."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.graphopt.model_files import block, save_external


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_external(block(), tmp_path / "model.onnx")
