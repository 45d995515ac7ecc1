"""Runs a workflow of Olive whose passes are given, and prints the path of the model that it makes.

Arguments: model, output folder, list of passes as JSON, each a dictionary with "type".
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ["OLIVE_DISABLE_TELEMETRY"] = os.environ["CI"] = "1"  # before Olive sends its first event

from olive.workflows import run

from graphopt.olive_pass import package_config

model, folder, passes = sys.argv[1:]
workflow = {
    "input_model": {"type": "ONNXModel", "model_path": model},
    "passes": {f"pass_{number}": each for number, each in enumerate(json.loads(passes))},
    "cache_dir": str(Path(folder) / "cache"),
    "output_dir": str(Path(folder) / "output"),
    "log_severity_level": 3,
}
made = run(workflow, package_config=package_config())
if made.get_best_candidate() is None:
    sys.exit("no model was made")
(result,) = Path(folder, "output").glob("*.onnx")
print(result)
