"""What `graphopt bench` prints: tables, the lines below them, and saved benchmarks compared."""

from __future__ import annotations

import dataclasses
import io
import re
from typing import Any

import pytest
from rich.console import Console

from graphopt.benchmarking.comparable import refusal
from graphopt.benchmarking.figures import number
from graphopt.benchmarking.result import Benchmark, Failure
from graphopt.errors import UsageError
from graphopt.measuring.intervals import Estimate
from graphopt.printing.benchmarks import print_benchmark
from graphopt.printing.comparisons import print_comparison
from graphopt.profiling.result import OperatorTime
from tests.graphopt.benchmarking.benchmark_values import benchmark, point, quantized_point


def printed(result: Benchmark, width: int = 100) -> list[str]:
    out = Console(file=io.StringIO(), width=width, highlight=False, emoji=False, markup=False)
    print_benchmark(out, result)
    assert isinstance(out.file, io.StringIO)
    return [line.rstrip() for line in out.file.getvalue().splitlines()]


def squeeze(line: str) -> str:
    """Columns with two spaces between them, whatever their alignment."""
    return re.sub(" {2,}", "  ", line)


def test_the_table_of_a_point_fits_a_hundred_columns() -> None:
    exact = []
    for row in point(8, profiled=False).rows:
        seconds = 0.1 * row.ratio.value
        times = {"p50": seconds, "p90": seconds, "p99": 2 * seconds, "throughput": 8 / seconds}
        exact.append(dataclasses.replace(row, **times))
    lines = printed(benchmark(point(8, rows=tuple(exact))))
    assert lines[0] == "batch 8, float32, CPUExecutionProvider, 1 thread (batch=8)"
    assert max(map(len, lines[:7])) <= 100
    assert [line.split("  ") for line in map(squeeze, lines[1:7]) if "─" not in line] == [
        ["model", "p50 ms", "p90 ms", "p99 ms", "per s", "MB", "ratio to original", "captured"],
        ["original", "100.0", "100.0", "200.0", "80.00", "61", "1"],
        [
            *("rms", "95.30", "95.30", "190.6", "83.95", "61"),
            *("0.953 [0.948, 0.957]", "faster", "59% [51%, 66%]"),
        ],
        [
            *("crms", "99.80", "99.80", "199.6", "80.16", "61"),
            *("0.998 [0.991, 1.004]", "no difference", "3% [-4%, 12%]"),
        ],
        [
            *("floor", "92.10", "92.10", "184.2", "86.86", "61"),
            *("0.921 [0.915, 0.928]", "faster"),
        ],
    ]
    assert lines[8:] == [
        "captured: the share of the norms' time that was saved (floor: the model without norms)",
        "original: vit <&> model.onnx",
        "rms: graphopt optimize",
        "crms: graphopt optimize",
        "floor: the original without norms",
        "batch was bound to the values of --batch.",
        "wall time; 8 sessions of each model x 5 rounds, interleaved in random order; ratios with "
        "95%",
        "  bootstrap intervals",
        "Example CPU (2 cores), ONNX Runtime 1.31.1, graphopt 0.1.0, libgraphopt_cpu.so (avx512); "
        "1 thread",
    ]


def test_the_table_of_a_point_fits_eighty_columns_on_two_lines_a_row() -> None:
    renamed = [
        dataclasses.replace(row, model="optimize_for_ort") if row.model == "rms" else row
        for row in point(8, profiled=False).rows
    ]
    lines = printed(benchmark(point(8, rows=tuple(renamed))), width=80)
    assert max(map(len, lines[:11])) <= 80
    assert not any("…" in line for line in lines)
    rms = next(i for i, line in enumerate(lines) if "0.953 [0.948, 0.957]" in line)
    assert lines[rms].endswith("59%")
    assert lines[rms + 1].split()[-3:] == ["faster", "[51%,", "66%]"]
    names = "".join(line.split("  ")[0].strip() for line in lines[3 : rms + 2])
    assert names.replace(" ", "") == "originaloptimize_for_ort"


@pytest.mark.parametrize("width", [80, 100])
def test_quantized_models_stand_in_the_same_table(width: int) -> None:
    lines = printed(benchmark(quantized_point()), width)
    table = lines[1 : next(i for i, line in enumerate(lines) if not line)]
    assert max(map(len, table)) <= width
    assert not any("…" in line for line in table)
    assert "rms: captured 59% [51%, 66%] of the norms' cost" in lines
    if width < 100:
        return
    rows = [squeeze(line).split("  ") for line in table]
    assert ["to"] in [row[-1:] for row in rows[:1]]
    assert rows[1] == ["model", "p50 ms", "file MB", "ratio to original", "original int8", "error"]
    found = {row[0]: row[1:] for row in rows[3:] if len(row) > 4 or row[0] == "original"}
    assert found["original"][1:] == ["22.5", "1"]
    assert found["rms"][1:] == ["22.5", "0.953 [0.948, 0.957]", "faster", "3.1e-07"]
    assert found["original int8"][1:] == ["6.2", "0.600 [0.590, 0.610]", "faster", "1", "0.041"]
    assert found["rms int8"][1:] == [
        *("6.2", "0.500 [0.490, 0.510]", "faster", "0.833 [0.820, 0.850]", "0.04"),
    ]


@pytest.mark.parametrize(
    ("rms", "said"),
    [
        (
            Estimate(0.99, 0.98, 1.01),
            "nothing to capture: floor is not significantly faster than the baseline",
        ),
        (
            Estimate(0.95, 0.94, 0.96),
            "captured share unknown: floor is not significantly faster than the baseline, though "
            "rms is: measure longer",
        ),
    ],
)
def test_nothing_to_capture_is_not_said_of_what_is_faster(rms: Estimate, said: str) -> None:
    reason = "floor is not significantly faster than original"
    rows = tuple(
        dataclasses.replace(row, captured=None, captured_reason=reason) for row in point(1).rows
    )
    rows = tuple(dataclasses.replace(row, ratio=rms) if row.model == "rms" else row for row in rows)
    lines = printed(benchmark(point(1, rows=rows, profiled=False)))
    assert "captured" not in lines[1]
    assert said in " ".join(lines[7:])
    assert sum("to capture" in line or "share unknown" in line for line in lines) == 1


def test_mixed_providers_failures_and_cuda_are_said() -> None:
    nodes = {"CUDAExecutionProvider": 230, "CPUExecutionProvider": 10}
    first, *others = point(1, profiled=False).rows
    all_there, fallen, *others = others
    rows = (
        dataclasses.replace(first, nodes=nodes, memory=None),
        dataclasses.replace(all_there, nodes={"CUDAExecutionProvider": 240}),
        dataclasses.replace(fallen, nodes={"CPUExecutionProvider": 240}, profile_reason="no [b]"),
        *others,
    )
    failures = (Failure("onnxslim", "it is [red]wrong[/red]"),)
    made = benchmark(
        point(1, profiled=False, provider="cuda", rows=rows, failures=failures, stable=False)
    )
    method = dataclasses.replace(made.method, clock="wall", tf32=True, cuda_graph=True)
    lines = printed(dataclasses.replace(made, method=method))
    assert lines[0].startswith("batch 1, float32, CUDAExecutionProvider, 1 thread")
    assert lines[3].split()[5] == "-"
    assert "original: 230 nodes on CUDA, 10 nodes on CPU" in lines
    assert not any(line.startswith(f"{all_there.model}: 240 nodes") for line in lines)
    assert f"{fallen.model}: 240 nodes on CPU" in lines
    assert f"{fallen.model}: not profiled: no [b]" in lines
    assert "onnxslim: not timed: it is [red]wrong[/red]" in lines
    assert (
        "CUDA: inputs and outputs on the device, synchronized, TF32 allowed, CUDA graphs; "
        "warm-up not stable"
    ) in " ".join(" ".join(lines).split())


def test_a_point_at_which_nothing_was_timed_has_no_table() -> None:
    failures = (Failure("original", "killed"),)
    lines = printed(benchmark(point(1), point(8, rows=(), failures=failures)))
    place = lines.index("batch 8, float32, CPUExecutionProvider, 1 thread (batch=8)")
    assert lines[place + 1] == "original: not timed: killed"


def test_profiles_stand_side_by_side() -> None:
    lines = printed(benchmark(point(1)))
    start = next(i for i, line in enumerate(lines) if line.startswith("ms by operator"))
    rows = {line.split("  ")[0]: line.split()[-4:] for line in lines[start:] if line}
    assert rows["ms by operator"] == ["original", "rms", "crms", "floor"]
    assert rows["MatMul"] == ["30.00"] * 4
    assert rows["Gelu"] == ["5.000"] * 4
    assert rows["LayerNormalization"] == ["4.000", "-", "-", "-"]
    assert rows["graphopt.SkipRMSNorm"] == ["-", "1.000", "-", "-"]
    assert rows["normalization"] == ["9.1%", "2.4%", "2.4%", "0.0%"]


def test_an_operator_on_two_providers_counts_with_both() -> None:
    first, *others = point(1).rows
    assert first.profile is not None
    fallen = OperatorTime("MatMul", "CPUExecutionProvider", 1, 2e-3)
    operators = (*first.profile.operators, fallen)
    profile = dataclasses.replace(first.profile, operators=operators)
    rows = (dataclasses.replace(first, profile=profile), *others)
    lines = printed(benchmark(point(1, rows=rows)))
    matmul = next(line for line in lines if line.startswith("MatMul"))
    assert matmul.split() == ["MatMul", "32.00", "30.00", "30.00", "30.00"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.0, "12345"), (100.0, "100.0"), (0.0123456, "0.01235"), (9.87654, "9.877"), (0.0, "0")],
)
def test_four_digits_of_any_size(value: float, text: str) -> None:
    assert number(value) == text


def compared(one: Benchmark, other: Benchmark) -> str:
    out = Console(file=io.StringIO(), width=120, highlight=False, emoji=False, markup=False)
    print_comparison(out, one, other, ("a.json", "b.json"))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


@pytest.mark.parametrize("slower", [False, True])
def test_saved_ratios_stand_side_by_side(slower: bool) -> None:
    one = benchmark(point(1), point(8))
    changed = Estimate(0.99, 0.98, 1.0) if slower else Estimate(0.9, 0.89, 0.91)
    rows = tuple(
        dataclasses.replace(row, ratio=changed) if row.model == "rms" else row
        for row in point(8).rows
    )
    text = compared(one, benchmark(point(8, rows=rows), point(32)))
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines[0] == "batch 8, float32, CPUExecutionProvider, 1 thread (batch=8)"
    assert [line.split()[0] for line in lines[3:6]] == ["rms", "crms", "floor"]
    assert "0.953 [0.948, 0.957]" in lines[3]
    text = "0.990 [0.980, 1.000]" if slower else "0.900 [0.890, 0.910]"
    assert lines[3].endswith(f"{text}  ratios differ")
    assert lines[4].endswith("intervals overlap")
    assert not any(line.startswith("batch 1,") or line.startswith("batch 32") for line in lines)


@pytest.mark.parametrize(
    ("where", "change", "reason"),
    [
        ("environment", {"onnxruntime": "1.20.1"}, "the ONNX Runtime differs: 1.31.1 and 1.20.1"),
        ("environment", {"processor": "Other"}, "the processor differs: Example CPU and Other"),
        ("environment", {"cores": 4}, "the number of cores differs: 2 and 4"),
        ("environment", {"gpu": "A GPU"}, "the GPU differs: none and A GPU"),
        ("environment", {"system": "Darwin arm64"}, "the operating system differs"),
        ("method", {"clock": "thread_cpu"}, "the clock differs: wall and thread_cpu"),
    ],
)
def test_benchmarks_of_different_machines_are_not_compared(
    where: str, change: dict[str, Any], reason: str
) -> None:
    one = benchmark(point(1))
    changes: dict[str, Any] = {where: dataclasses.replace(getattr(one, where), **change)}
    with pytest.raises(UsageError, match=rf"a\.json and b\.json cannot be compared: {reason}"):
        compared(one, dataclasses.replace(one, **changes))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tf32": True}, "one was measured with TF32, the other without"),
        ({"cuda_graph": True}, "one was measured with CUDA graphs, the other without"),
    ],
)
def test_options_of_cuda_differ_where_cuda_was_measured(
    change: dict[str, bool], reason: str
) -> None:
    for provider in ("cpu", "cuda"):
        one = benchmark(point(1, provider=provider))
        one = dataclasses.replace(
            one, method=dataclasses.replace(one.method, tf32=False, cuda_graph=False)
        )
        other = dataclasses.replace(one, method=dataclasses.replace(one.method, **change))
        assert refusal(one, other) == (reason if provider == "cuda" else "")


def test_benchmarks_that_share_nothing_are_not_compared() -> None:
    with pytest.raises(UsageError, match="no model was measured in both"):
        compared(benchmark(point(1)), benchmark(point(1, threads=2)))
