"""A variance in one pass cancels on a stream with a large mean; the RMSNorm it becomes does not."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes import pipeline
from tests.onnx_runtime import OptimizedSession
from tests.passes.norms.norm_spellings import SPELLINGS

_SPELLINGS = [
    "one pass",
    "one pass, Pow and a swapped product",
    "one pass, Max",
    "one pass, Clip",
    "one pass of ReduceSum",
    "ReduceSum times 1 / d",
    "Abs before the square",
    "ReduceSumSquare",
]


def _model(name: str, mean: float) -> tuple[ir.Model, dict[str, np.ndarray]]:
    """x = given w + b, of a mean that the bias gives it, and the norm ``name`` of x."""
    draw = np.random.default_rng(3)
    weight, bias = draw.normal(0, 0.5, (4, 8)), draw.normal(0, 0.1, 8) + mean
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17]> g (float[B, 4] given) => (float[B, 8] y)
        <float[4, 8] w = {{{_listed(weight)}}}, float[8] b = {{{_listed(bias)}}},
         float[8] gamma = {{0.5, -1.25, 2, 0.75, 1.5, -0.25, 1, 3}},
         float[8] beta = {{1, 2, 0, 1, 0, 1, 3, 1}},
         float eps = {{0.00001}}, float[1] two = {{2.0}}, float nought = {{0.0}},
         float eight = {{8.0}}, float eighth = {{0.125}}, int64[1] last = {{-1}}> {{
            p = MatMul(given, w) x = Add(p, b) {SPELLINGS[name][0]} }}"""
    )
    return model, {"given": draw.normal(0, 1, (64, 4)).astype(np.float32)}


def _listed(array: np.ndarray) -> str:
    return ", ".join(f"{entry:.6f}" for entry in array.reshape(-1))


def _errors(name: str, mean: float, **options: str) -> tuple[float, float]:
    """Of the original and of the result in ONNX Runtime, against float64, relative."""
    model, feeds = _model(name, mean)
    truth = evaluate(cast_to_float64(model), feeds)["y"]
    before = OptimizedSession(model).run(feeds)["y"]
    summary, _ = pipeline.run(model, pipeline.Options(**options))
    assert [norm.converted for norm in summary.norms] == [True]
    after = OptimizedSession(model).run(feeds)["y"]
    scale = np.abs(truth).max()
    assert np.isfinite(after).all()
    return float(np.abs(before - truth).max() / scale), float(np.abs(after - truth).max() / scale)


@pytest.mark.parametrize("name", _SPELLINGS)
@pytest.mark.parametrize("ops", ["standard", "ort", "custom"])
def test_the_converted_form_is_at_least_as_exact(name: str, ops: str) -> None:
    for mean in (0.0, 30.0, 1000.0):
        before, after = _errors(name, mean, ops=ops)
        assert not after > 2 * before  # where the original is not a number, after is one
        assert after < 1e-5


def test_where_the_mean_is_large_the_original_is_wrong() -> None:
    before, after = _errors("one pass, Max", 1000.0)
    assert before > 1e-2
    assert after < 1e-5
