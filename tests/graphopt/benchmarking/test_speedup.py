"""A result is timed beside its input, and crms beside rms."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphopt
from graphopt.benchmarking.speedup import measure_speedup
from graphopt.options import Sample
from graphopt.passes.pipeline import Options
from graphopt.runtime.library import find_library
from tests.graphopt.model_files import block, save_inline


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"variant": "rms"}, ["input", "rms"]),
        ({"variant": "crms", "basis": "drop"}, ["input", "rms", "crms"]),
        ({"variant": "rms", "ops": "standard"}, ["input", "rms"]),
    ],
)
def test_the_models_that_are_timed(
    tmp_path: Path, options: dict[str, str], names: list[str]
) -> None:
    model, output = save_inline(block(), tmp_path / "model.onnx"), tmp_path / "out.onnx"
    report = graphopt.optimize(model, output=output, **options).report
    shares: list[float] = []
    found = measure_speedup(
        model,
        output,
        report,
        Options(**options),
        sample=Sample(dims={"batch": 3}),
        seconds=0.1,
        progress=shares.append,
    )
    assert [row.name for row in found.rows] == names
    assert found.rows[0].ratio.value == 1
    assert all(row.median > 0 for row in found.rows)
    assert (found.crms_to_rms is not None) == ("crms" in names)
    assert found.kernels == (find_library("cpu") is not None and "ops" not in options)
    assert (found.environment.provider, found.environment.threads) == ("CPUExecutionProvider", 1)
    assert shares[-1] == 1
