"""Requests that run at once get the answers that each would get alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from graphopt.errors import UsageError, VerificationFailed
from graphopt.golden import Golden, Request
from graphopt.serving.batches import infer_together
from graphopt.serving.golden_answers import check_answers, check_batches
from graphopt.serving.served_model import BadRequest, ServedModel
from graphopt.serving.settings import ServingSettings

ROWS_APART = "y = Add (x, x)"
ROWS_MIXED = "m = ReduceMean <axes = [0]> (x) y = Add (x, m)"


class CountingModel(ServedModel):
    """Counts its runs."""

    runs = 0

    def infer(self, *arguments, **options):
        self.runs += 1
        return super().infer(*arguments, **options)


def model(folder: Path, body: str = ROWS_APART, rows: str = "rows") -> CountingModel:
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[{rows}, n] x) => (float[{rows}, n] y) {{ {body} }}"""
    onnx.save(onnx.parser.parse_model(text), folder / "model.onnx")
    return CountingModel(ServingSettings().within(folder))


def x(*shape: int, dtype: str = "f4") -> dict[str, np.ndarray]:
    return {"x": (1.5 + np.arange(np.prod(shape)).reshape(shape)).astype(dtype)}


def golden(*requests: dict[str, np.ndarray], factor: float = 2) -> Golden:
    pairs = tuple(Request(each, {"y": np.float32(factor) * each["x"]}) for each in requests)
    return Golden(pairs, {"y": 1e-3})


def test_requests_that_agree_run_at_once_and_each_gets_its_own_rows(tmp_path: Path) -> None:
    served = model(tmp_path)
    requests = [x(1, 2), x(2, 3), x(3, 2), x(1, 3)]
    answers = infer_together(served, requests)
    assert served.runs == 2
    for request, answer in zip(requests, answers, strict=True):
        np.testing.assert_array_equal(answer["y"], 2 * request["x"])


def test_a_model_of_a_fixed_batch_runs_each_alone(tmp_path: Path) -> None:
    served = model(tmp_path, rows="1")
    answers = infer_together(served, [x(1, 2), x(1, 2)])
    assert (served.runs, [answer["y"].shape for answer in answers]) == (2, [(1, 2)] * 2)


def test_a_model_that_gives_other_rows_than_it_takes_runs_each_alone(tmp_path: Path) -> None:
    served = model(tmp_path, "y = Concat <axis = 0> (x, x)", rows="rows")
    answers = infer_together(served, [x(1, 2), x(1, 2)])
    assert [answer["y"].shape for answer in answers] == [(2, 2), (2, 2)]


def test_a_bad_request_is_refused_and_its_neighbours_are_answered(tmp_path: Path) -> None:
    bad = [x(2, 2, dtype="f8"), {"z": x(1, 2)["x"]}, {}, {"x": np.float32(1)}, x(2, 2, 2)]
    answers = infer_together(model(tmp_path), [x(1, 2), *bad, x(2, 2)])
    assert [isinstance(answer, BadRequest) for answer in answers] == [False, *[True] * 5, False]
    assert answers[-1]["y"].shape == (2, 2)


def test_a_value_that_does_not_fit_spoils_its_own_request_alone(tmp_path: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (int64[rows] x) => (float[rows] y) <float[2] table = {3, 5}> { y = Gather (table, x) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "model.onnx")
    served = ServedModel(ServingSettings().within(tmp_path))
    answers = infer_together(served, [{"x": np.array([place])} for place in (0, 7, 1)])
    assert isinstance(answers[1], BadRequest)
    assert (answers[0]["y"], answers[2]["y"]) == (3, 5)


def test_batches_are_tried_on_the_golden_requests(tmp_path: Path) -> None:
    check_batches(model(tmp_path), golden(x(1, 2), x(1, 2)))


@pytest.mark.parametrize(
    ("body", "rows", "pair", "error", "said"),
    [
        (ROWS_APART, "1", golden(x(1, 2), x(1, 2)), UsageError, "fixed size"),
        (ROWS_APART, "rows", golden(x(1, 2), x(1, 3)), UsageError, "no two golden requests"),
        (ROWS_APART, "rows", golden(x(1, 2)), UsageError, "no two golden requests"),
        (
            ROWS_MIXED,
            "rows",
            golden({"x": x(1, 2)["x"]}, {"x": 5 * x(1, 2)["x"]}),
            VerificationFailed,
            "in a batch, output 'y' is not the golden one",
        ),
    ],
    ids=["fixed rows", "other sizes", "one request", "rows that are mixed"],
)
def test_batches_that_cannot_be_or_answer_otherwise_are_refused(
    body: str, rows: str, pair: Golden, error: type[Exception], said: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=said) as caught:
        check_batches(model(tmp_path, body, rows), pair)
    assert "serve it with batches of 1" in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        {"y": np.array([[3, 5.1]], "f4")},
        {"y": np.array([[3, np.nan]], "f4")},
        {"y": np.array([[3, 5]], "f8")},
        {"y": np.array([3, 5], "f4")},
        {},
    ],
    ids=["other value", "NaN", "other type", "other shape", "missing"],
)
def test_an_answer_that_is_not_golden_is_found(answer: dict[str, np.ndarray]) -> None:
    pair = golden(x(1, 2))
    check_answers(pair, pair.requests, [{"y": np.array([[3, 5.001]], "f4")}])
    with pytest.raises(VerificationFailed, match="output 'y'"):
        check_answers(pair, pair.requests, [answer])


def test_a_refusal_is_no_golden_answer() -> None:
    pair = golden(x(1, 2))
    with pytest.raises(BadRequest, match="no"):
        check_answers(pair, pair.requests, [BadRequest("no")])
