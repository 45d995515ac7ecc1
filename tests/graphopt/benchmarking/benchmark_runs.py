"""Short benchmarks of a small model, whose trials run in the process of the tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphopt.benchmarking.execution import Execution, open_model
from graphopt.benchmarking.result import Benchmark
from graphopt.benchmarking.trial import Trial
from graphopt.runtime.own_process import ProcessFailed

QUICK: dict[str, Any] = {
    "iterations": 6,
    "openings": 6,
    "warmup": 1,
    "dims": {"rows": (4,)},
    "no_fuse": False,  # which passes act beside the norms is nothing that these tests are about
}


def try_here(path: Path, inputs: Mapping[str, np.ndarray], execution: Execution) -> Trial:
    """A process of its own takes a second, which most tests need not spend."""
    try:
        open_model(path, inputs, execution)()
    except Exception as error:
        raise ProcessFailed(str(error)) from error
    return Trial(memory=1000, nodes={})


def measured(result: Benchmark) -> list[list[str]]:
    """The names of the models that were timed, for each point."""
    return [[row.model for row in point.rows] for point in result.points]
