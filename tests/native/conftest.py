"""The library under test."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphopt.library import library_path
from graphopt.native import build


@pytest.fixture(scope="session")
def library() -> Path:
    """The kernels for the CPU, as the sources have them."""
    build.build("cpu", only_if_changed=True)
    return library_path("cpu")
