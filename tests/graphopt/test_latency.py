"""The table of a latency comparison."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from rich.console import Console
from rich.table import Table

from graphopt.errors import UsageError
from graphopt.latency import latency_table, measure_models, method_text
from graphopt.measurement import Clock, Samples


def samples(**milliseconds: float) -> Samples:
    arrays = {name: np.full((20, 7), value / 1e3) for name, value in milliseconds.items()}
    return Samples(arrays, "thread_cpu")


def lines(table: Table, width: int = 80) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_table_with_a_floor_fits_a_terminal() -> None:
    table = latency_table(
        samples(original=10, rms=8.5, floor=8), baseline="original", floor="floor", items=2
    )
    assert lines(table) == [
        "model     p50 ms  p90 ms  p99 ms  per s     ratio to original        captured",
        "─" * 77,
        "original   10.00   10.00   10.00  200.0                     1",
        "rms        8.500   8.500   8.500  235.3  0.850 [0.850, 0.850]  75% [75%, 75%]",
        "                                                       faster",
        "floor      8.000   8.000   8.000  250.0  0.800 [0.800, 0.800]",
        "                                                       faster",
    ]


@pytest.mark.parametrize(
    ("clock", "stable", "text"),
    [
        ("wall", True, "wall time, 20 sessions x 7 interleaved rounds, 95% bootstrap intervals"),
        (
            "thread_cpu",
            False,
            "thread CPU time, 20 sessions x 7 interleaved rounds, 95% bootstrap intervals, "
            "warm-up not stable",
        ),
    ],
)
def test_the_method_in_a_line(clock: Clock, stable: bool, text: str) -> None:
    assert method_text(Samples({"one": np.ones((20, 7))}, clock, stable)) == text


def test_no_difference_is_said_and_has_no_share() -> None:
    table = latency_table(samples(old=10, new=10, floor=10), baseline="old", floor="floor")
    rows = [line.split() for line in lines(table)]
    assert rows[3] == ["new", *["10.00"] * 3, "100.0", "1.000", "[1.000,", "1.000]", "-"]
    assert rows[4] == ["no", "difference"]


def test_four_digits_of_any_size() -> None:
    row = lines(latency_table(samples(old=12345, new=0.012345), baseline="old"))[3].split()
    assert row[:5] == ["new", *["0.01235"] * 3, "81004"]


def test_without_a_floor_there_is_no_share() -> None:
    assert "captured" not in lines(latency_table(samples(old=10, new=9), baseline="old"))[0]


def test_the_clock_of_one_thread_is_refused_where_it_sees_half() -> None:
    with pytest.raises(UsageError, match="measure wall time"):
        measure_models({}, {}, threads=2, clock="thread_cpu")


def test_models_are_timed_on_the_same_inputs(tmp_path: Path) -> None:
    models = {}
    for name, op in {"one": "Neg", "two": "Exp"}.items():
        text = f"g (float[N, 4] x) => (float[N, 4] y) {{ y = {op} (x) }}"
        models[name] = tmp_path / f"{name}.onnx"
        ir.save(ir.from_onnx_text(f'<ir_version: 8, opset_import: ["" : 17]> {text}'), models[name])
    inputs = {"x": np.ones((3, 4), np.float32)}
    result, environment = measure_models(
        models, inputs, openings=3, duration=0.01, clock="thread_cpu"
    )
    assert list(result.seconds) == ["one", "two"]
    assert result.seconds["one"].shape[0] == 3
    assert environment.provider == "CPUExecutionProvider"


def test_inputs_of_zeros_are_refused() -> None:
    inputs = {"ids": np.zeros((2, 3), np.int64), "x": np.zeros((2, 3), np.float32)}
    with pytest.raises(UsageError, match="input 'x' is all zeros"):
        measure_models({}, inputs)
