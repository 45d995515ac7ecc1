"""The HTML report of a benchmark."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from graphopt.bench_report import render_html, write_html
from graphopt.bench_report.sentences import outcomes, warning
from graphopt.benchmarking.figures import milliseconds, number
from graphopt.benchmarking.result import Benchmark
from graphopt.errors import EnvironmentFailure
from tests.graphopt.benchmarking.benchmark_values import (
    MODELS,
    QUANTIZED_MODELS,
    benchmark,
    point,
    quantized_point,
)
from tests.graphopt.html_pages.strict_page import Page

HEADINGS = [
    "What it gains",
    "Latency",
    "Time by operator",
    "All figures",
    "Not timed",
    "Models",
    "Environment",
    "Method",
]


@pytest.fixture(scope="module")
def text() -> str:
    return render_html(benchmark())


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_the_page_stands_alone(page: Page) -> None:
    page.stands_alone()


def test_ids_are_unique_and_references_resolve(page: Page) -> None:
    page.references_resolve()


def test_all_sections_are_there(page: Page) -> None:
    assert page.texts["h2"] == HEADINGS
    assert page.texts["h1"] == ["vit <&> model.onnx: latency"]
    text = " ".join(page.texts["main"])
    for said in (
        "CPU, 1 thread, float32",
        "Example CPU (2 cores), ONNX Runtime 1.31.1",
        "onnxslim (batch 8): wrote a graph that <ONNX Runtime> refuses",
        "batch was bound to the values of --batch.",
        "Seed 7.",
    ):
        assert said in text


def test_the_drawings_have_names_and_numbers_in_words(page: Page) -> None:
    drawings = page.all("svg")
    assert (
        len(drawings) == 1 + 1 + 2 + 2
    )  # ratio, captured, latency of two points, operators of one
    assert all(drawing["role"] == "img" for drawing in drawings)
    descriptions = page.texts["desc"]
    assert "rms at batch 1: 0.953 [0.948, 0.957]" in descriptions[0]
    assert "crms at batch 8: 0.998 [0.991, 1.004]" in descriptions[0]
    assert "rms at batch 1: 59% [51%, 66%]" in descriptions[1]
    assert "normalization 4.000 ms" in descriptions[-1]


def test_the_figures_are_those_of_the_benchmark(page: Page) -> None:
    cells = page.texts["td"]
    for row in benchmark().points[0].rows:
        for seconds in (row.p50, row.p90, row.p99):
            assert milliseconds(seconds) in cells
        assert number(row.throughput) in cells
    assert "0.953 [0.948, 0.957] faster" in cells
    assert "0.998 [0.991, 1.004] no difference" in cells
    assert "3% [-4%, 12%]" in cells
    assert "61 MB" in cells
    assert "CPU 240" in cells
    assert "30.00 (72)" in cells


def test_the_same_benchmark_gives_the_same_bytes(tmp_path: Path) -> None:
    write_html(benchmark(), tmp_path / "one.html")
    code = (
        "import sys; from graphopt.benchmarking.result import Benchmark; "
        "from graphopt.bench_report import write_html; "
        "write_html(Benchmark.from_json(sys.stdin.read()), sys.argv[1])"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "two.html")],
        input=benchmark().to_json(),
        text=True,
        check=True,
    )
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
    assert (tmp_path / "one.html").stat().st_size < 120_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.html", "two.html"]


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    empty = benchmark(point(rows=()))
    with pytest.raises(EnvironmentFailure, match="taken: cannot be written"):
        write_html(empty, tmp_path / "taken")
    with pytest.raises(EnvironmentFailure, match="cannot be written: No such file"):
        write_html(empty, tmp_path / "absent" / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_without_the_plotting_library_the_import_says_how_to_get_it() -> None:
    code = "import sys; sys.modules['matplotlib'] = None; import graphopt.bench_report"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("graphopt.errors.EnvironmentFailure: matplotlib, which draws")
    assert last.endswith('pip install "graphopt[bench]"')


@pytest.mark.parametrize(
    "result",
    [
        benchmark(point(profiled=False, rows=())),
        benchmark(dataclasses.replace(point(), rows=point().rows[:1]), models=MODELS[:1]),
        benchmark(dataclasses.replace(point(), rows=point().rows[:2]), models=MODELS[:2]),
        benchmark(*(point(batch, threads=threads) for batch in (1, 8, 32) for threads in (1, 2))),
    ],
    ids=["nothing was timed", "one model", "no floor", "a grid"],
)
def test_pages_of_other_shapes(result: Benchmark) -> None:
    assert Page(render_html(result)).texts["h1"]


def test_quantized_models_have_columns_of_their_own() -> None:
    made = benchmark(quantized_point(), models=QUANTIZED_MODELS)
    text = render_html(made)
    for heading, cell in {
        "file": "6 MB",
        "to original int8": "0.833 [0.820, 0.850]",
        "error": "0.04",
    }.items():
        assert f'<td data-label="{heading}"><span>{cell}</span></td>' in text
    (said,) = (each.sentence for each in outcomes(made) if each.model == "rms int8")
    assert said.endswith("; 0.833 [0.820, 0.850] of that of original int8")
    assert 'data-label="error"' not in render_html(benchmark())


def test_an_unstable_warm_up_is_said_first(page: Page) -> None:
    result = benchmark(point(), point(8, stable=False))
    assert warning(result).startswith("At 1 of 2 points a model was still becoming faster")
    assert warning(result) in Page(render_html(result)).texts["p"]
    assert not [text for text in page.texts["p"] if "warm-up ended" in text]


def test_no_stand_in_for_a_colour_is_left(page: Page) -> None:
    page.has_no_stand_in()
