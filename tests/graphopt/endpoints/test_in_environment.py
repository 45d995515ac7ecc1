"""The tests of endpoints over HTTP, where tritonclient is not in the environment of development."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pytest

from tests.graphopt.serving import environments


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("tritonclient") is not None, reason="test_over_http.py runs here"
)
def test_endpoints_over_http_in_an_environment_with_tritonclient() -> None:
    tests = Path(__file__).with_name("test_over_http.py")
    command = [environments.client(), "-m", "pytest", "-q", "-p", "no:cacheprovider", tests]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout
