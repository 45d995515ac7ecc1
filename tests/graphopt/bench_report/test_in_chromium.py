"""The HTML report in a browser: layout, colours and silence, on a phone and on a wide screen."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from graphopt.bench_report import write_html
from graphopt.benchmarking.result import ModelInfo
from tests.graphopt.benchmarking.benchmark_values import MODELS, benchmark, point
from tests.graphopt.html_pages.browser import NEEDS_CHROMIUM, measured, photographed

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of long names and of a grid."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    long = "onnxscript optimize_for_ort with options"
    rows = (*point().rows, dataclasses.replace(point().rows[1], model=long))
    models = (*MODELS, ModelInfo(long, "peer", "/a/long/path/" * 10))
    points = [point(batch, rows=rows, threads=threads) for batch in (1, 32) for threads in (1, 16)]
    write_html(benchmark(*points, models=models), path)
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_report_in_a_browser(report: Path, width: int, dark: bool) -> None:
    found = measured(report, width, dark=dark)
    assert found["drawings"] == 15  # 3 of intervals, and 3 of each point
    photographed(report, width, dark=dark)
