"""What `import graphopt` offers, and what it imports."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import graphopt


def test_importing_graphopt_imports_nothing_heavy() -> None:
    code = "import graphopt, sys; print([m for m in ('onnx', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_exist() -> None:
    for name in graphopt.__all__:
        assert getattr(graphopt, name).__name__ == name
    assert set(graphopt.__all__) <= set(dir(graphopt))
    with pytest.raises(AttributeError, match="nothing"):
        _ = graphopt.nothing


def test_no_module_hides_a_public_name() -> None:
    modules = {module.name for module in pkgutil.iter_modules(graphopt.__path__)}
    assert "evaluation" in modules
    assert not modules & set(graphopt.__all__)
