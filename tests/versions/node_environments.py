"""Folders with packages of Node, kept for later runs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.versions.environments import ROOT

__all__ = ["node_with"]

_SECONDS = 300


def node_with(name: str, *packages: str) -> Path:
    """A folder whose ``node_modules`` has packages of the npm registry, made once.

    Skips the test where there is no Node, no npm, or no registry that can be reached.

    Args:
        name: What it is for, in a word; part of the name of the folder.
        packages: What npm is given, each with an exact version.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: {name} runs in Node")
    key = hashlib.sha256("\n".join(packages).encode()).hexdigest()[:8]
    home = ROOT / ".model-cache" / f"{name}-node-{key}"
    home.parent.mkdir(exist_ok=True)
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir()
            (home / "package.json").write_text('{"private": true}', encoding="utf-8")
            command = ["npm", "install", "--no-audit", "--no-fund", *packages]
            environment = {**os.environ, "ONNXRUNTIME_NODE_INSTALL_CUDA": "skip"}
            try:
                done = subprocess.run(
                    command,
                    cwd=home,
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=_SECONDS,
                )
            except subprocess.TimeoutExpired:
                pytest.skip(f"{packages[0]} cannot be installed: npm took over {_SECONDS} seconds")
            if any(code in done.stderr for code in ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT")):
                pytest.skip(f"{packages[0]} cannot be installed: no npm registry is reachable")
            assert done.returncode == 0, done.stderr
            (home / "complete").touch()
    return home
