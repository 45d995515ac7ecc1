"""Virtual environments with other packages than the installed ones, kept for later runs."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

__all__ = ["needs_python_of", "python_with", "run_models"]

ROOT = Path(__file__).parents[2]
# The last minor version of Python 3 that each release was built for.
LAST_PYTHON = {"1.16.3": 11, "1.17.3": 12, "1.18.1": 12, "1.20.1": 13, "1.25.1": 14}


def needs_python_of(release: str) -> pytest.MarkDecorator:
    """Skip where the release was not built for the running Python."""
    return pytest.mark.skipif(
        sys.version_info.minor > LAST_PYTHON[release],
        reason=f"onnxruntime {release} was not built for Python 3.{sys.version_info.minor}",
    )


def python_with(name: str, *requirements: str, graphopt: bool = False) -> Path:
    """Python of an environment of its own, made once and again where the requirements change.

    Skips the test where no package index can be reached.

    Args:
        name: What it is for, in a word; part of the name of its folder.
        requirements: What pip is given, each with an exact version.
        graphopt: It imports graphopt from this folder. What graphopt requires is to be named too.
    """
    key = hashlib.sha256("\n".join((*requirements, str(graphopt))).encode()).hexdigest()[:8]
    home = ROOT / ".model-cache" / f"{name}-py{sys.version_info.minor}-{key}"
    home.parent.mkdir(exist_ok=True)
    # One worker installs, the others wait for it.
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
            _install(home, *requirements)
            if graphopt:
                _link(next(home.glob("lib/python3*/site-packages")))
            (home / "complete").touch()
    return home / "bin" / "python"


def _link(packages: Path) -> None:
    """Make graphopt of this folder look installed: what it imports as, and its version."""
    (packages / "graphopt.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    version = importlib.metadata.version("graphopt")
    metadata = packages / f"graphopt-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir(exist_ok=True)
    metadata.write_text(
        f"Metadata-Version: 2.1\nName: graphopt\nVersion: {version}\n", encoding="utf-8"
    )


def _install(home: Path, *requirements: str) -> None:
    pip = [home / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    done = subprocess.run([*pip, *requirements], capture_output=True, text=True, check=False)
    if "connection broken" in done.stderr:
        pytest.skip(f"{requirements[0]} cannot be installed: no package index is reachable")
    assert done.returncode == 0, done.stderr


def _interpreter(release: str) -> Path:
    """Python with a release of ONNX Runtime; this one if it has it."""
    if release == onnxruntime.__version__:
        return Path(sys.executable)
    # numpy 2 came after the first of these releases, which were built for numpy 1.
    return python_with(f"onnxruntime-{release}", f"onnxruntime=={release}", "numpy<2")


def run_models(release: str, directory: Path, library: Path | None = None) -> None:
    """Run the models of a directory in a release, as run_models.py says."""
    script = Path(__file__).with_name("run_models.py")
    command = [_interpreter(release), script, directory, *([library] if library else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, release), done.stderr
