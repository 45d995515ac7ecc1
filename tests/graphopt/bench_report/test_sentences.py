"""What a report says in words: labels, outcomes, the method, why there is no share."""

from __future__ import annotations

import dataclasses

import pytest

from graphopt.bench_report import render_html
from graphopt.bench_report.sentences import method_sentences, outcomes, point_labels
from graphopt.measuring.intervals import Estimate
from tests.graphopt.benchmarking.benchmark_values import benchmark, point
from tests.graphopt.html_pages.strict_page import Page


def test_a_point_without_a_captured_share_says_why() -> None:
    rows = tuple(
        dataclasses.replace(row, captured=None, captured_reason="floor is not faster")
        for row in point().rows
    )
    text = " ".join(Page(render_html(benchmark(point(rows=rows)))).texts["main"])
    assert "No captured share at batch 1: floor is not faster." in text


def test_a_reason_for_no_captured_share_stands_once() -> None:
    reason = "floor is not significantly faster than original"
    changes = {"captured": None, "captured_reason": reason}
    slow = {"rms": Estimate(1.0, 0.99, 1.01), "crms": Estimate(1.0, 0.99, 1.01)}
    points = [
        point(
            batch,
            rows=tuple(
                dataclasses.replace(row, **changes, ratio=slow.get(row.model, row.ratio))
                for row in point(batch).rows
            ),
        )
        for batch in (1, 8, 32)
    ]
    fast = dataclasses.replace(points[0].rows[1], ratio=Estimate(0.9, 0.89, 0.91))
    points[2] = dataclasses.replace(points[2], rows=(points[2].rows[0], fast))
    notes = [text for text in Page(render_html(benchmark(*points))).texts["p"] if "share" in text]
    assert [note for note in notes if note.startswith("No captured")] == [
        f"No captured share at batch 1, batch 8: {reason}.",
        f"No captured share at batch 32: {reason}, though rms is: measure longer.",
    ]


@pytest.mark.parametrize(
    ("points", "labels"),
    [
        ([point(4)], ("batch 4",)),
        ([point(1), point(8)], ("batch 1", "batch 8")),
        (
            [point(1, dims={"batch": 1, "seq": 16}), point(1, dims={"batch": 1, "seq": 128})],
            ("seq 16", "seq 128"),
        ),
        (
            [point(1), point(1, threads=0, provider="cuda", dtype="float16")],
            ("CPU, 1 thread, float32", "CUDA, all cores, float16"),
        ),
    ],
)
def test_a_label_says_what_tells_points_apart(points: list, labels: tuple[str, ...]) -> None:
    assert point_labels(benchmark(*points)) == labels


def test_outcomes_of_one_point_and_of_several() -> None:
    single = {outcome.model: outcome for outcome in outcomes(benchmark(point()))}
    assert list(single) == ["rms", "crms"]
    assert single["rms"].figure == "0.953"
    assert single["rms"].sentence == (
        "of the time of original [0.948, 0.957]: faster; "
        "captured 59% [51%, 66%] of the cost of normalization"
    )
    slower = tuple(
        dataclasses.replace(row, ratio=Estimate(1.1, 1.05, 1.2)) if row.model == "rms" else row
        for row in point(8).rows
    )
    several = {o.model: o for o in outcomes(benchmark(point(), point(8, rows=slower)))}
    assert several["rms"].figure == "0.953 to 1.100"
    assert (
        several["rms"].sentence == "of the time of original: faster at 1, slower at 1 of 2 points"
    )
    assert several["crms"].figure == "0.998"


def test_the_method_is_told_as_it_was() -> None:
    few = dataclasses.replace(
        point(), rows=tuple(dataclasses.replace(r, samples=r.samples[:6]) for r in point().rows)
    )
    text = " ".join(method_sentences(benchmark(few, point(8))))
    assert "Openings of all models at a point: 6 to 8." in text
    assert "rounds in an opening: 5." in text
    assert "Once before each timed call" in text
    assert "CUDA" not in text
    assert "TF32 was not allowed" in " ".join(method_sentences(benchmark(point(provider="cuda"))))
