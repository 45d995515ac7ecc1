"""Virtual environments with releases of ONNX Runtime other than the installed one."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

__all__ = ["needs_python_of", "run_models"]

ROOT = Path(__file__).parents[2]
# The last minor version of Python 3 that each release was built for.
LAST_PYTHON = {"1.16.3": 11, "1.17.3": 12, "1.18.1": 12, "1.20.1": 13, "1.25.1": 14}


def needs_python_of(release: str) -> pytest.MarkDecorator:
    """Skip where the release was not built for the running Python."""
    return pytest.mark.skipif(
        sys.version_info.minor > LAST_PYTHON[release],
        reason=f"onnxruntime {release} was not built for Python 3.{sys.version_info.minor}",
    )


def _interpreter(release: str) -> Path:
    """Python of an environment that has the release, kept for later runs; this one if it has it.

    Skips the test where no package index can be reached.
    """
    if release == onnxruntime.__version__:
        return Path(sys.executable)
    home = ROOT / ".model-cache" / f"onnxruntime-{release}-py{sys.version_info.minor}"
    home.parent.mkdir(exist_ok=True)
    # One worker installs, the others wait for it.
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            _install(home, release)
            (home / "complete").touch()
    return home / "bin" / "python"


def _install(home: Path, release: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
    # numpy 2 came after the first of these releases, which were built for numpy 1.
    wanted = [f"onnxruntime=={release}", "numpy<2"]
    pip = [home / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    done = subprocess.run([*pip, *wanted], capture_output=True, text=True, check=False)
    if "connection broken" in done.stderr:
        pytest.skip(f"onnxruntime {release} cannot be installed: no package index is reachable")
    assert done.returncode == 0, done.stderr


def run_models(release: str, directory: Path, library: Path | None = None) -> None:
    """Run the models of a directory in a release, as run_models.py says."""
    script = Path(__file__).with_name("run_models.py")
    command = [_interpreter(release), script, directory, *([library] if library else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, release), done.stderr
