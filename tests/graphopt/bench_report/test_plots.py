"""What the plots of a report show."""

from __future__ import annotations

import dataclasses

import pytest

from graphopt.bench_report import render_html
from graphopt.bench_report.interval_groups import share_limits
from graphopt.bench_report.operator_plot import slices
from graphopt.benchmarking.result import ModelInfo, Point
from graphopt.measuring.intervals import Estimate
from tests.graphopt.benchmarking.benchmark_values import MODELS, benchmark, point, profile
from tests.graphopt.html_pages.strict_page import Page


def test_the_plots_of_ratios_stand_beside_others_or_are_two() -> None:
    def headings(*points: Point) -> list[str]:
        page = Page(render_html(benchmark(*points)))
        return [text for text in page.texts["h3"] if "baseline" in text or "share" in text]

    both = ["Time relative to the baseline", "Captured share"]
    assert headings(point(1), point(8)) == both
    bare = [
        point(batch, rows=tuple(dataclasses.replace(r, captured=None) for r in point(batch).rows))
        for batch in (1, 8, 32)
    ]
    assert headings(*bare) == both[:1] * 2
    assert headings(bare[0]) == both[:1]


def test_the_parts_of_a_call_add_up() -> None:
    models = slices({name: profile(name) for name in ("original", "rms", "floor")})
    labels = [piece.part.label for piece in models["original"]]
    assert labels == [
        "normalization",
        "residual adds",
        "bias adds",
        "MatMul",
        "Gelu",
        "Identity",
        "all else",
    ]
    for name, pieces in models.items():
        assert sum(piece.seconds for piece in pieces) == pytest.approx(profile(name).seconds)
        assert pieces[-1].seconds == pytest.approx(1.5e-3)  # an Add of another kind


@pytest.mark.parametrize(
    ("shares", "limits"),
    [
        ([Estimate(0.5, 0.4, 0.6)], (-0.05, 1.05)),
        ([Estimate(0.5, -0.2, 0.6), Estimate(0.9, 0.8, 1.3)], (-0.275, 1.375)),
        ([Estimate(0.5, -9.0, 40.0)], (-1.15, 2.15)),
    ],
)
def test_the_axis_of_shares_is_no_longer_than_makes_sense(
    shares: list[Estimate], limits: tuple[float, float]
) -> None:
    assert share_limits(shares) == pytest.approx(limits)
    row = dataclasses.replace(point().rows[1], captured=shares[0])
    assert "rms, batch 1" in render_html(benchmark(point(rows=(point().rows[0], row))))


def test_more_models_than_colours_can_be_drawn() -> None:
    row = point().rows[1]
    rows = (point().rows[0], *(dataclasses.replace(row, model=f"m{i}") for i in range(9)))
    models = (MODELS[0], *(ModelInfo(f"m{i}", "given", "file") for i in range(9)))
    text = render_html(benchmark(point(rows=rows), models=models))
    for index in range(9):
        assert f"m{index} at batch 1" in text
