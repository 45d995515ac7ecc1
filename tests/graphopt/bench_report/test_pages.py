"""The HTML report of a benchmark."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from graphopt.bench_report import render_html, write_html
from graphopt.bench_report.interval_groups import share_limits
from graphopt.bench_report.operator_plot import slices
from graphopt.bench_report.sentences import (
    method_sentences,
    outcomes,
    point_labels,
    warning,
)
from graphopt.benchmarking.figures import milliseconds, number
from graphopt.benchmarking.result import Benchmark, ModelInfo, Point
from graphopt.errors import EnvironmentFailure
from graphopt.measuring.intervals import Estimate
from tests.graphopt.benchmarking.benchmark_values import (
    MODELS,
    QUANTIZED_MODELS,
    benchmark,
    point,
    profile,
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


def test_a_point_without_a_captured_share_says_why() -> None:
    rows = tuple(
        dataclasses.replace(row, captured=None, captured_reason="floor is not faster")
        for row in point().rows
    )
    text = " ".join(Page(render_html(benchmark(point(rows=rows)))).texts["main"])
    assert "No captured share at batch 1: floor is not faster." in text


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


def test_no_stand_in_for_a_colour_is_left(page: Page) -> None:
    page.has_no_stand_in()


def test_more_models_than_colours_can_be_drawn() -> None:
    row = point().rows[1]
    rows = (point().rows[0], *(dataclasses.replace(row, model=f"m{i}") for i in range(9)))
    models = (MODELS[0], *(ModelInfo(f"m{i}", "given", "file") for i in range(9)))
    text = render_html(benchmark(point(rows=rows), models=models))
    for index in range(9):
        assert f"m{index} at batch 1" in text
