"""A benchmark survives its file, and what is no benchmark is refused."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from typing import Any

import pytest

from graphopt.benchmarking.result import SCHEMA, Benchmark, Failure
from graphopt.benchmarking.sheet import to_csv
from graphopt.errors import UsageError
from tests.graphopt.benchmarking.benchmark_values import (
    QUANTIZED_MODELS,
    benchmark,
    point,
    quantized_point,
)


def test_json_gives_the_same_value_back() -> None:
    saved = benchmark(point(1), point(8, profiled=False))
    text = saved.to_json()
    assert json.loads(text)["schema"] == SCHEMA
    assert Benchmark.from_json(text) == saved


def test_quantized_models_survive_and_older_files_are_read() -> None:
    saved = benchmark(quantized_point(), models=QUANTIZED_MODELS)
    assert Benchmark.from_json(saved.to_json()) == saved
    data = json.loads(saved.to_json())
    for row in data["points"][0]["rows"]:
        for field in ("quantized_ratio", "quantized_baseline", "file_bytes", "error"):
            del row[field]
    for model in data["models"]:
        del model["quantizer"], model["quantized_from"]
    older = Benchmark.from_json(json.dumps(data))
    assert [row.quantized_ratio for row in older.points[0].rows] == [None] * 4
    assert [model.quantizer for model in older.models] == [""] * 4


def test_fields_of_a_later_version_are_ignored_and_those_with_defaults_may_lack() -> None:
    saved = benchmark(point(1))
    data = json.loads(saved.to_json())
    data["mood"] = "good"
    del data["notes"]
    assert Benchmark.from_json(json.dumps(data)) == dataclasses.replace(saved, notes=())


def _without(path: str) -> Any:
    def change(data: dict[str, Any]) -> None:
        del data["points"][0][path]

    return change


def _with(path: str, value: object) -> Any:
    def change(data: dict[str, Any]) -> None:
        data["points"][0][path] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without("batch"), r"benchmark\.points\[0\] has no 'batch'"),
        (_with("batch", "eight"), r"benchmark\.points\[0\]\.batch is 'eight'"),
        (_with("batch", True), r"points\[0\]\.batch is True"),
        (_with("dims", {"n": 1.5}), r"points\[0\]\.dims\.n is 1\.5"),
        (_with("rows", {}), r"points\[0\]\.rows is \{\}"),
        (lambda data: data["models"][0].update(kind="best"), r"models\[0\]\.kind is 'best'"),
        (lambda data: data.update(schema="graphopt.report/1"), "schema is 'graphopt.report/1'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(change: Any, message: str) -> None:
    data = json.loads(benchmark(point(1)).to_json())
    change(data)
    with pytest.raises(UsageError, match=message):
        Benchmark.from_json(json.dumps(data))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "because no JSON"),
        (5000 * "9", "because no JSON"),
        (99_999 * "[", "because no JSON"),
        ("[]", "schema is None"),
    ],
)
def test_other_texts_are_no_benchmark(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Benchmark.from_json(text)


def test_the_sheet_has_a_line_for_each_row_and_failure() -> None:
    failed = dataclasses.replace(point(8), failures=(Failure("onnxslim", "it raised, twice"),))
    lines = list(csv.DictReader(io.StringIO(to_csv(benchmark(point(1), failed)))))
    assert [line["model"] for line in lines] == [
        *("original", "rms", "crms", "floor"),
        *("original", "rms", "crms", "floor", "onnxslim"),
    ]
    rms = lines[5]
    assert (rms["kind"], rms["provider"], rms["batch"], rms["verdict"]) == (
        *("optimized", "cpu", "8", "faster"),
    )
    assert (float(rms["ratio_low"]), float(rms["captured"])) == (0.948, 0.59)
    assert float(rms["p50_seconds"]) == failed.rows[1].p50
    assert lines[0]["captured"] == ""
    assert lines[-1]["failure"] == "it raised, twice"
    assert lines[-1]["p50_seconds"] == lines[-1]["verdict"] == ""
    assert lines[-1]["processor"] == lines[0]["processor"] != ""


def test_the_sheet_says_how_quantized_models_compare() -> None:
    text = to_csv(benchmark(quantized_point(), models=QUANTIZED_MODELS))
    rows = {line["model"]: line for line in csv.DictReader(io.StringIO(text))}
    names = ["file_bytes", "error", "quantized_baseline", "quantized_ratio"]
    names += ["quantized_ratio_low", "quantized_ratio_high"]
    assert [rows["original"][name] for name in names] == ["22500000", "", "", "", "", ""]
    assert [rows["rms int8"][name] for name in names] == [
        *("6200000", "0.0402", "original int8", "0.833", "0.82", "0.85"),
    ]
    assert rows["rms int8"]["kind"] == "optimized"
