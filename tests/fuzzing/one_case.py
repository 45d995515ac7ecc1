"""Optimizes one damaged file, in a process that nobody misses, and says how that ended."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import resource
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from graphopt import verification
from graphopt.cli import cli, exit_codes
from graphopt.errors import GraphoptError
from graphopt.evaluation import EvaluationFailed
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.files import loading
from graphopt.inputs import generate_inputs
from graphopt.passes import pipeline
from tests.fuzzing.cases import Case, draw_case

__all__ = ["BYTES", "END_FILE", "SECONDS", "run_case"]

for _slow in (
    "graphopt.cli.commands",
    "graphopt.cli.directory_command",
    "graphopt.optimization",
    "graphopt.passes.operators.custom_op_bodies",
    "graphopt.printing.reports",
):
    importlib.import_module(_slow)  # before the process splits, once for all cases

SECONDS = 30
BYTES = 2 << 30
END_FILE = "end.json"


def run_case(seed: int, number: int, models: Sequence[Path], folder: Path, *, verify: bool) -> None:
    """Run a case in ``folder`` and write ``end.json`` there: the case, and how it ended.

    A process that dies on the way leaves the case alone in it.
    """
    with (folder / "said").open("w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    case, path = draw_case(seed, number, models, folder)
    write_end(folder, case, "")
    _limit()
    arguments = ["optimize", str(path), "-o", str(folder / "out.onnx"), *case.options]
    arguments += ["--report", str(folder / "report.json"), "--verbose"]
    code = exit_codes.run(cli, arguments if verify else [*arguments, "--no-verify"])
    said_text = (folder / "said").read_text(errors="replace")
    write_end(folder, case, _ended(code, said_text, case, path, folder, verify))


def write_end(folder: Path, case: Case, end: str) -> None:
    """Say, so far, how it ended."""
    (folder / END_FILE).write_text(json.dumps({**dataclasses.asdict(case), "end": end}))


def _limit() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, used + BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Time of the processor: other work on the machine is no hang of this one.
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))


def _ended(code: int, said: str, case: Case, path: Path, folder: Path, verify: bool) -> str:
    lines = [line for line in said.splitlines() if line.startswith("graphopt: error: ")]
    if code == 0:
        return _done(case, path, folder, verify)
    if code == 1:
        return "rejected" if _is_same_function(path, case) else "wrong result"
    if code == 3 and "out of memory" in said:
        return "out of memory"
    if code in (2, 3) and len(lines) == 1:
        return f"exit {code}"
    return f"exit {code}" if code == 70 else f"exit {code} without a message"


def _done(case: Case, path: Path, folder: Path, verify: bool) -> str:
    report = json.loads((folder / "report.json").read_text())
    if not any(norm["converted"] for norm in report["plan"]["norms"]):
        return "nothing to convert"
    if not verify:
        return "converted"
    if report["verification"]["status"] == "unverified":
        return "converted, could not be verified"
    with contextlib.suppress(GraphoptError):
        again = verification.verify(path, folder / "out.onnx", seed=case.seed + 1)
        if again.status == "failed" and not _is_same_function(path, case):
            return "wrong result"
    return "converted and verified"


def _is_same_function(path: Path, case: Case) -> bool:
    """False where a proof in float64 refutes the conversion; rounding is no wrong result."""
    words = dict(zip(case.options[::2], case.options[1::2], strict=True))
    options = pipeline.Options(**{name.removeprefix("--"): word for name, word in words.items()})
    model = loading.load(path)
    drawn = generate_inputs(model, seed=case.seed)
    wide = {name: _wide(array) for name, array in drawn.arrays.items()}
    base, candidate = cast_to_float64(model), cast_to_float64(model)
    pipeline.run(candidate, options)
    try:
        return verification.prove(base, candidate, wide).status != "failed"
    except (EvaluationFailed, MemoryError):
        return True


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype.kind == "f" else array
