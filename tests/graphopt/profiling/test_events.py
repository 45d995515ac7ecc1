"""The reader of ONNX Runtime's profile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graphopt.profiling.events import read_runs


def node(name: str, ts: int, dur: int, op_type: str = "Add") -> dict[str, Any]:
    arguments = {
        "op_name": op_type,
        "provider": "CPUExecutionProvider",
        "input_type_shape": [{"float": [2, 3]}, {"int64": []}],
    }
    return {
        "cat": "Node",
        "name": f"{name}_kernel_time",
        "ts": ts,
        "dur": dur,
        "args": arguments,
    }


def session(name: str, ts: int, dur: int) -> dict[str, Any]:
    return {"cat": "Session", "name": name, "ts": ts, "dur": dur, "args": {}}


def profile(path: Path, *events: dict[str, Any]) -> Path:
    path.write_text(json.dumps(events))
    return path


def test_events_belong_to_the_run_that_ends_after_them(tmp_path: Path) -> None:
    path = profile(
        tmp_path / "profile.json",
        session("model_loading_uri", 0, 9),
        node("a", 10, 5),
        node("b", 15, 2, "MatMul"),
        session("SequentialExecutor::Execute", 9, 9),
        session("model_run", 9, 10),
        node("a", 20, 7),
        session("model_run", 20, 8),
        node("a", 30, 1),  # the run was not recorded to its end
    )
    first, second = read_runs(path)
    assert [(kernel.node, kernel.op_type) for kernel in first.kernels] == [
        ("a", "Add"),
        ("b", "MatMul"),
    ]
    assert first.kernels[0].shapes == ((2, 3), ())
    assert first.kernels[0].provider == "CPUExecutionProvider"
    assert first.seconds == pytest.approx(10e-6)
    assert [kernel.seconds for kernel in second.kernels] == pytest.approx([7e-6])


@pytest.mark.parametrize(
    ("events", "own"),
    [
        # neighbours that touch, and one of no duration
        ([("a", 0, 5), ("b", 5, 3), ("c", 8, 0), ("d", 8, 2)], [5, 3, 0, 2]),
        # what a subgraph runs ends, and is written, before what encloses it
        (
            [("a", 0, 5), ("inner", 7, 4), ("inner", 11, 6), ("If", 6, 12), ("b", 18, 1)],
            [5, 4, 6, 2, 1],
        ),
        # two levels
        ([("inmost", 3, 2), ("inner", 2, 4), ("outer", 0, 10)], [2, 2, 6]),
        # begins as its subgraph does
        ([("inner", 0, 4), ("outer", 0, 6)], [4, 2]),
    ],
)
def test_a_node_does_not_count_its_subgraphs(
    tmp_path: Path, events: list[tuple[str, int, int]], own: list[int]
) -> None:
    written = [node(*event) for event in events]
    path = profile(tmp_path / "profile.json", *written, session("model_run", 0, 20))
    (run,) = read_runs(path)
    assert [kernel.seconds * 1e6 for kernel in run.kernels] == pytest.approx(own)
