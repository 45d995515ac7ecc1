"""What goes wrong in a benchmark is said, and costs no more than it must."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import graphopt
from graphopt.benchmarking import timing
from graphopt.benchmarking.execution import Execution, open_model
from graphopt.benchmarking.peers import PEERS, run_peer
from graphopt.benchmarking.result import Benchmark
from graphopt.benchmarking.trial import Trial
from graphopt.errors import ModelError, UsageError
from graphopt.runtime.own_process import ProcessFailed
from tests.graphopt.benchmarking.benchmark_runs import QUICK, measured, try_here
from tests.graphopt.model_files import WIDTH, block, save_external, save_inline


@pytest.fixture(autouse=True)
def _trials_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch above 100 is too much, as where memory runs out."""

    def run_out(path: Path, inputs: Mapping[str, np.ndarray], execution: Execution) -> Trial:
        if next(iter(inputs.values())).shape[0] > 100:
            raise ProcessFailed("the process was killed by signal 9")
        return try_here(path, inputs, execution)

    monkeypatch.setattr(timing, "try_model", run_out)


@pytest.mark.parametrize(
    "settings",
    [
        {
            "dims": {"rows": (4,), "batch": (1,)},
            "inputs": {"x": np.ones((1, 4, WIDTH), np.float32)},
        },
        {"dims": {}, "batches": (1,), "input_shapes": {"x": [(1, 4, WIDTH)]}},
        {"dims": {}, "batches": (1,), "shapes": {"x": [(1, 4, WIDTH)]}},
    ],
    ids=["array", "shape", "shape by its older name"],
)
def test_a_batch_of_one_may_be_given_twice(model: Path, settings: dict[str, Any]) -> None:
    """What is made is verified on two samples where it can be, and on one where it cannot."""
    result = graphopt.benchmark(model, **QUICK | settings)
    assert measured(result) == [["original", "rms", "crms", "floor"]]


def test_a_file_that_is_given_again_is_another_model(model: Path) -> None:
    result = graphopt.benchmark([model, model], floor=False, **QUICK)
    assert measured(result) == [[str(model), f"{model} (2)"]]


def test_a_model_that_is_called_like_another_optimizer_is_called_by_its_path(
    model: Path, tmp_path: Path
) -> None:
    other = save_external(block(), tmp_path / "onnxslim.onnx")
    result = graphopt.benchmark([model, other], floor=False, **QUICK)
    assert measured(result) == [["model", str(other)]]


def test_a_candidate_that_is_not_there_is_an_error(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent\.onnx: there is no such file"):
        graphopt.benchmark([model, tmp_path / "absent.onnx"], **QUICK)


def test_a_candidate_that_computes_something_else_is_timed_and_named(
    model: Path, tmp_path: Path
) -> None:
    wrong = block()
    wrong.graph.node[-1].output[0] = "before"
    wrong.graph.node.append(helper.make_node("Neg", ["before"], ["y"]))
    other = save_external(wrong, tmp_path / "wrong.onnx")
    result = graphopt.benchmark([model, other], floor=False, **QUICK)
    assert measured(result) == [["model", "wrong"]]
    (note,) = [note for note in result.notes if note.startswith("wrong ")]
    assert note.startswith("wrong was not found to compute what model does: it differs in y by ")


def test_a_candidate_with_other_inputs_is_not_timed(model: Path, tmp_path: Path) -> None:
    renamed = block()
    renamed.graph.input[0].name = "z"
    for node in renamed.graph.node:
        node.input[:] = ["z" if name == "x" else name for name in node.input]
    other = save_external(renamed, tmp_path / "renamed.onnx")
    problem = "the candidate lacks the inputs x and has the inputs z, which the original has not"
    with pytest.raises(ModelError, match=rf"renamed\.onnx: {problem}: give a model with the same"):
        graphopt.benchmark([model, other], **QUICK)
    same = save_external(block(), tmp_path / "same.onnx")
    result = graphopt.benchmark([model, other, same], floor=False, **QUICK)
    assert measured(result) == [["model", "same"]]
    assert [(each.model, each.reason) for each in result.points[0].failures] == [
        ("renamed", problem)
    ]
    assert not [note for note in result.notes if note.startswith("renamed")]


def test_weights_that_are_listed_as_inputs_are_no_other_inputs(model: Path, tmp_path: Path) -> None:
    """Below IR version 4 each is."""
    listed = block()
    listed.ir_version = 3
    listed.graph.input.extend(
        helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims)
        for weight in listed.graph.initializer
    )
    older = save_inline(listed, tmp_path / "older.onnx")
    for paths in ([model, older], [older, model]):
        result = graphopt.benchmark(paths, floor=False, **QUICK)
        assert measured(result) == [[path.stem for path in paths]]


def test_points_before_one_that_fails_are_kept(model: Path) -> None:
    result = graphopt.benchmark(model, batches=(1, 200), **QUICK)
    assert measured(result) == [["original", "rms", "crms", "floor"], []]
    (failure,) = result.points[1].failures
    assert (failure.model, failure.reason) == (
        "original",
        "model.onnx: it does not run (the process was killed by signal 9): give smaller sizes, or "
        "another baseline",
    )
    assert result.points[1].threads == 1
    assert Benchmark.from_json(result.to_json()) == result


def test_a_first_point_that_fails_is_an_error(model: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.onnx: .*\(the process was killed by signal 9\)"):
        graphopt.benchmark(model, batches=(200, 1), **QUICK)


@pytest.mark.parametrize(("threads", "kept"), [((1, 2), 1), ((2, 1), 0)])
def test_models_that_run_alone_but_not_side_by_side(
    model: Path, monkeypatch: pytest.MonkeyPatch, threads: tuple[int, ...], kept: int
) -> None:
    def refuse(path: Path, inputs: Mapping[str, np.ndarray], execution: Execution) -> Any:
        if execution.threads == 2:
            raise MemoryError("Failed to allocate memory")
        return open_model(path, inputs, execution)

    monkeypatch.setattr(timing, "open_model", refuse)
    settings = QUICK | {"threads": threads, "floor": False}
    if not kept:
        with pytest.raises(ModelError, match="cannot run the models side by side, though each"):
            graphopt.benchmark(model, **settings)
        return
    result = graphopt.benchmark(model, **settings)
    assert measured(result) == [["original", "rms", "crms"], []]
    (failure,) = result.points[1].failures
    assert failure.reason.endswith("though each alone: Failed to allocate memory")


def test_a_model_that_cannot_be_profiled_is_timed(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> Any:
        raise ProcessFailed("RuntimeError: no profile")

    monkeypatch.setattr(timing, "profile_apart", fail)
    (point,) = graphopt.benchmark(model, profile=True, floor=False, **QUICK).points
    assert [(row.profile, row.profile_reason) for row in point.rows] == [
        (None, "RuntimeError: no profile")
    ] * 3


def test_what_is_asked_for_twice_is_measured_once(model: Path) -> None:
    result = graphopt.benchmark(model, dtypes=("float16", "float16"), floor=False, **QUICK)
    assert [point.dtype for point in result.points] == ["float16"]


def test_a_type_that_cannot_be_made_is_said_before_anything_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[str] = []
    monkeypatch.setattr(timing, "measure", lambda *_, **__: timed.append("once"))
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (float16[batch, 4] x) => (float16[batch, 4] y) <float16[4] w = {1, 2, 3, 4}> {
            y = Mul (x, w) }"""
    path = save_inline(onnx.parser.parse_model(text), tmp_path / "half.onnx")
    with pytest.raises(UsageError, match="its weights are float16: leave --dtype out"):
        graphopt.benchmark(path, dtypes=("float16", "float32"), **QUICK)
    assert timed == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"duration": float("inf")}, "duration, iterations or warmup is not positive"),
        ({"duration": float("nan")}, "duration, iterations or warmup is not positive"),
        ({"seed": -1}, "seed -1: give 0 or more"),
    ],
)
def test_numbers_that_cannot_be_used_are_refused(
    model: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        graphopt.benchmark(model, **QUICK | settings)


def test_a_model_type_that_the_optimizer_does_not_know_is_refused(
    model: Path, tmp_path: Path
) -> None:
    """It would give the model back as it is."""
    with pytest.raises(ProcessFailed, match=r"no model type 'gtp2': there are .*bert, .*gpt2"):
        run_peer(PEERS[0], model, tmp_path / "made.onnx", provider="cpu", model_type="gtp2")


def test_the_version_of_onnx_runtime_is_that_of_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its distribution may be called onnxruntime-gpu."""
    monkeypatch.setattr("importlib.metadata.version", lambda name: pytest.fail(name))
    assert PEERS[0].source == f"onnxruntime {__import__('onnxruntime').__version__}"
