"""The environments of the clients, each with pins of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.versions.environments import python_with
from tests.versions.node_environments import node_with

__all__ = ["SCRIPTS", "client_python", "made", "optimized", "said"]

SCRIPTS = Path(__file__).parent
_PINS = {
    # optimum-onnx needs a transformers before 5, which onnxruntime-genai's builder does not take.
    "clients": (
        "torch==2.13.0",
        "transformers==4.57.6",
        "optimum-onnx==0.1.0",
        "sentence-transformers==5.1.2",
        "onnxruntime-genai==0.18.0",
        "onnxruntime==1.32.0",
        "onnx==1.23.2",
        "onnx-ir==1.1.0",
        "pillow==12.0.0",
    ),
    "genai": (
        "torch==2.13.0",
        "transformers==5.24.0",
        "onnxruntime-genai==0.18.0",
        "onnxruntime==1.32.0",
        "onnx==1.23.2",
        "onnx-ir==1.1.0",
    ),
}


def client_python(kind: str) -> Path:
    """Python with the client that makes and reads directories of this kind."""
    name = "genai" if kind == "genai" else "clients"
    return python_with(name, *_PINS[name])


def made(kind: str, directory: Path) -> Path:
    """A directory of this kind, made by the client's own exporter."""
    script = SCRIPTS / "make_directories.py"
    _run(client_python(kind), script, kind, directory)
    return directory


def optimized(directory: Path, output: Path, *options: str) -> Path:
    """What ``graphopt optimize`` makes of a directory."""
    command = (Path(sys.executable), "-m", "graphopt", "optimize", directory, "-o", output)
    _run(*command, *options, "--quiet", graphopt=True)
    return output


def said(kind: str, script: str, *arguments: str | Path) -> Any:
    """What a script of a client prints: JSON in its last line."""
    if script.endswith(".mjs"):
        folder = node_with("transformers", "@huggingface/transformers@4.3.2")
        printed = _run("node", SCRIPTS / script, *arguments, folder=folder)
    else:
        printed = _run(client_python(kind), SCRIPTS / script, *arguments)
    return json.loads(printed.splitlines()[-1])


def _run(*command: str | Path, folder: Path | None = None, graphopt: bool = False) -> str:
    """Run a command without a model hub, and a client without graphopt, as its users do."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    if not graphopt:
        environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
