"""Benchmarks of a small model in ONNX Runtime. No test depends on a time that was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import graphopt
from graphopt.benchmarking import execution
from graphopt.benchmarking.making import Workshop, make_candidates
from graphopt.benchmarking.result import Failure
from graphopt.errors import EnvironmentFailure
from graphopt.files.loading import load
from graphopt.verification import Original
from tests.graphopt.benchmarking.benchmark_runs import QUICK, measured
from tests.graphopt.model_files import WIDTH, block, save_external, save_inline

pytestmark = pytest.mark.usefixtures("trials_here")


def test_of_one_model_the_candidates_are_made(model: Path) -> None:
    before = sorted(model.parent.iterdir())
    result = graphopt.benchmark(model, **QUICK)
    assert sorted(model.parent.iterdir()) == before
    assert measured(result) == [["original", "rms", "crms", "floor"]]
    assert [info.kind for info in result.models] == [
        *("original", "optimized", "optimized", "floor")
    ]
    assert "2 of 2 LayerNorms converted" in result.models[1].source
    assert result.title == "model"
    (point,) = result.points
    assert (point.provider, point.threads, point.dtype, point.batch) == ("cpu", 1, "float32", 1)
    assert point.dims == {"batch": 1, "rows": 4}
    assert point.shapes == {"x": (1, 4, WIDTH)}
    assert not point.failures
    assert result.environment.onnxruntime == __import__("onnxruntime").__version__
    for row in point.rows:
        assert np.shape(row.samples) == (6, 1)
        assert 0 < row.p50 <= row.p90 <= row.p99
        assert row.throughput == pytest.approx(1 / row.p50)
        assert row.memory == 1000
    assert point.rows[0].ratio.value == point.rows[0].ratio.low == point.rows[0].ratio.high == 1
    assert "batch 1 (batch) by default: --batch gives others" in result.notes


@pytest.mark.parametrize("alone", [True, False])
def test_where_attention_is_cleaned_up_the_norms_are_measured_alone_too(
    alone: bool, zoo_model: Callable[[str], Path]
) -> None:
    settings = {"iterations": 6, "openings": 6, "warmup": 1, "no_fuse": alone}
    result = graphopt.benchmark(zoo_model("vit-ti-16-tiny"), **settings)
    names = ["original", "rms", "rms no-fuse", "crms", "floor", "floor no-fuse"]
    chosen = [name for name in names if alone or "no-fuse" not in name]
    assert measured(result) == [chosen]
    rows = {row.model: row for row in result.points[0].rows}
    assert rows["rms"].captured is None
    assert rows["rms"].captured_reason.startswith("more than the norms was changed")
    if not alone:
        return
    from_floor = ("", "floor no-fuse is not significantly faster than original")
    assert rows["rms no-fuse"].captured_reason in from_floor
    sources = {info.name: info.source for info in result.models}
    assert "--no-fuse, 5 of 5 LayerNorms converted" in sources["rms no-fuse"]
    assert "--no-fuse, 5 LayerNorms removed" in sources["floor no-fuse"]


def test_the_norms_alone_are_what_optimize_writes_without_fusing(
    zoo_model: Callable[[str], Path], tmp_path: Path
) -> None:
    model = zoo_model("vit-ti-16-tiny")
    with Original(model) as original:
        workshop = Workshop(model, original, tmp_path / "made")
        made, failures = make_candidates(
            workshop,
            [],
            optimized=True,
            no_fuse=True,
            floor=True,
            peers=False,
            quantizers=(),
            announce=lambda name: None,
        )
    assert not failures
    assert {each.info.name: each.fused for each in made} == {
        "rms": True,
        "rms no-fuse": False,
        "crms": True,
        "floor": True,
        "floor no-fuse": False,
    }
    files = {each.info.name: each.path for each in made}
    graphopt.optimize(model, fuse=False, output=tmp_path / "alone.onnx")
    graphopt.optimize(model, output=tmp_path / "rms.onnx")
    assert files["rms no-fuse"].read_bytes() == (tmp_path / "alone.onnx").read_bytes()
    assert files["rms"].read_bytes() == (tmp_path / "rms.onnx").read_bytes()
    # Of a floor nothing but the norms is missing, beside what was cleaned up.
    kinds = {name: Counter(n.op_type for n in load(path).graph) for name, path in files.items()}
    assert kinds["floor no-fuse"]["Mul"] == kinds["rms no-fuse"]["Mul"]
    assert kinds["floor"]["Mul"] == kinds["rms"]["Mul"] < kinds["rms no-fuse"]["Mul"]


def test_what_is_done_can_be_kept_before_the_end(model: Path) -> None:
    kept: list[list[int]] = []
    result = graphopt.benchmark(
        model,
        batches=(2, 1),
        threads=(1, 2),
        floor=False,
        keep=lambda so_far: kept.append([point.batch for point in so_far.points]),
        **QUICK,
    )
    assert kept == [[2, 2], [2, 2, 1, 1]]
    assert [point.batch for point in result.points] == kept[-1]


def test_the_grid_has_every_combination(model: Path) -> None:
    shares: list[float] = []
    result = graphopt.benchmark(
        model,
        batches=(1, 2),
        lengths=(),
        dtypes=("float32", "float16"),
        threads=(1, 2),
        floor=False,
        progress=lambda what, share: shares.append(share),
        **QUICK,
    )
    places = [(point.dtype, point.batch, point.threads) for point in result.points]
    assert places == [
        (dtype, batch, threads)
        for dtype in ("float32", "float16")
        for batch in (1, 2)
        for threads in (1, 2)
    ]
    assert any(note.startswith("float16 by onnxruntime.transformers") for note in result.notes)
    assert result.points[0].rows[0].captured_reason == "it is one end of the scale"
    assert result.points[0].rows[1].captured_reason == "there is no floor"
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_given_inputs_fit_the_float16_form_too(model: Path) -> None:
    inputs = {"x": np.ones((2, 3, WIDTH), np.float32)}
    settings = QUICK | {"dims": {}, "inputs": inputs, "dtypes": ("float16",), "floor": False}
    (point,) = graphopt.benchmark(model, **settings).points
    assert point.shapes == {"x": (2, 3, WIDTH)}
    assert (point.batch, point.dims) == (2, {"batch": 2, "rows": 3})


def test_a_profile_is_taken_where_it_is_asked_for(model: Path) -> None:
    result = graphopt.benchmark(model, profile=True, floor=False, **QUICK)
    for row in result.points[0].rows:
        assert row.profile is not None
        assert row.profile.normalization > 0


def test_of_several_models_the_first_is_the_original(model: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    same_stem = save_external(block(), tmp_path / "other" / "model.onnx")
    third = save_external(block(), tmp_path / "third.onnx")
    result = graphopt.benchmark([model, same_stem, third], baseline="third", **QUICK)
    assert measured(result) == [[str(model), str(same_stem), "third", "floor"]]
    assert [info.kind for info in result.models] == ["original", "given", "given", "floor"]
    assert result.points[0].baseline == "third"


def test_a_model_without_norms_has_no_floor(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (float[batch, 4] x) => (float[batch, 4] y) { y = Exp (x) }"""
    path = save_inline(onnx.parser.parse_model(text), tmp_path / "exp.onnx")
    result = graphopt.benchmark(path, iterations=6, openings=6, warmup=1)
    assert measured(result) == [["original"]]
    assert result.points[0].failures == (
        Failure("rms", "no LayerNorm was converted: ask graphopt inspect why"),
        Failure("crms", "no LayerNorm was converted: ask graphopt inspect why"),
        Failure("floor", "there is no LayerNorm to remove: leave it out (--no-floor)"),
    )


def test_a_batch_that_the_exporter_froze_is_measured_all_the_same(tmp_path: Path) -> None:
    frozen = block()
    frozen.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 4, WIDTH]), "shape"))
    frozen.graph.node[-1].output[0] = "before"
    frozen.graph.node.append(helper.make_node("Reshape", ["before", "shape"], ["y"]))
    path = save_external(frozen, tmp_path / "frozen.onnx")
    assert measured(graphopt.benchmark(path, **QUICK)) == [["original", "rms", "crms", "floor"]]


def test_a_provider_that_does_not_start_ends_the_benchmark(model: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="CUDAExecutionProvider does not start"):
        graphopt.benchmark(model, providers=("cpu", "cuda"), **QUICK)


def test_the_library_is_optional_unless_it_is_asked_for(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(provider: str) -> Path:
        raise EnvironmentFailure(f"the kernels for {provider} were not built")

    monkeypatch.setattr(execution, "library_path", missing)
    result = graphopt.benchmark(model, floor=False, **QUICK)
    assert result.environment.library == ""
    assert any(note.startswith("the kernels for cpu were not built;") for note in result.notes)
    with pytest.raises(EnvironmentFailure, match="not built"):
        graphopt.benchmark(model, library=True, **QUICK)
    quiet = graphopt.benchmark(model, library=False, floor=False, **QUICK)
    assert not any("kernels" in note for note in quiet.notes)
