"""What the tests of the operators share."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphopt import library_path
from graphopt.errors import EnvironmentFailure


@pytest.fixture(scope="session")
def library() -> Path:
    """The native kernels; where nothing built them, say so."""
    try:
        return library_path()
    except EnvironmentFailure as error:
        pytest.skip(str(error))
