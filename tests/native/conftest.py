"""The library under test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from graphopt.native import build


@pytest.fixture(scope="session")
def library() -> Path:
    """The kernels for the CPU as the sources have them, or a build that another test names."""
    if named := os.environ.get("GRAPHOPT_TEST_LIBRARY"):
        return Path(named)
    return build.build("cpu", only_if_changed=True)
