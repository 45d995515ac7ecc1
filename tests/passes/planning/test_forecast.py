"""What a plan is said to be worth: by hand, on models of one product and one norm."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from graphopt.passes.infer_shapes import InferShapes
from graphopt.passes.make_plan import MakePlan
from graphopt.passes.report import Forecast
from tests.passes.graphs import graph


def forecast(rows: str = "", provider: str = "cpu") -> Forecast | None:
    """That of x W, normalized and read by another product, of 64 features."""
    entries = ", ".join(["0.5"] * 64)
    weights = ", ".join(["0.25"] * 64 * 64)
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[batch, {rows}64] x) => (float[batch, {rows}64] y)
        <float[64, 64] w = {{{weights}}}, float[64, 64] v = {{{weights}}},
         float[64] g = {{{entries}}}> {{
            h = MatMul (x, w)
            n = LayerNormalization <axis = -1> (h, g)
            y = MatMul (n, v)
        }}"""
    )
    InferShapes()(model)
    plan = MakePlan(provider=provider)
    plan(model)
    return plan.summary.forecast


@pytest.mark.launches
def test_the_saving_is_a_share_of_products_and_norms() -> None:
    found = forecast("10, ")
    assert found is not None
    saved = 640 * (0.486 - 0.245)
    total = 2 * (100 + 640 * 64 * 0.02) + 100 + 640 * 0.486
    assert found.rows == (10, 10)
    assert found.saved_us == pytest.approx(saved / 1000)
    assert found.share == pytest.approx(saved / total)


def test_a_batch_is_one_row_and_other_symbols_are_128() -> None:
    one, many = forecast(), forecast("tokens, ")
    assert one is not None
    assert many is not None
    assert (one.rows, many.rows) == ((1, 1), (128, 128))


def test_where_products_were_not_timed_no_share_is_known() -> None:
    found = forecast("10, ", provider="cuda")
    assert found is not None
    assert found.share is None


def test_nothing_is_forecast_where_no_norm_converts() -> None:
    model = ir.from_onnx_text(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[N, 4] x) => (float[N, 4] y) { y = Neg (x) }"""
    )
    InferShapes()(model)
    plan = MakePlan()
    plan(model)
    assert plan.summary.forecast is None


def test_a_node_of_another_domain_is_no_product_whatever_its_name() -> None:
    model = ir.from_onnx_text(
        """<ir_version: 8, opset_import: ["" : 17, "own": 1]>
        g (float[N, 1] a) => (float[N, 4] z)
        <float[1, 4] w = {1, 2, 3, 5}, float[4] g = {1, 2, 3, 4}>
        {
            x = MatMul (a, w)
            y = LayerNormalization (x, g)
            z = own.Conv (y)
        }"""
    )
    InferShapes()(model)
    plan = MakePlan()
    plan(model)
    assert plan.summary.converted == 1
    assert plan.summary.forecast is not None


def test_a_change_of_basis_is_a_cost() -> None:
    model = graph(
        """x = MatMul(a, w) n = LayerNormalization(x, g) p = MatMul(n, v)
        x2 = Add(x, p) m = LayerNormalization(x2, g) q = MatMul(m, v)
        x3 = Add(x2, q) y = LayerNormalization(x3, g)""",
        "w[4,8] v[8,8] g[8]",
    )
    InferShapes()(model)
    rms, crms = MakePlan(), MakePlan("crms", "orthonormal")
    rms(model)
    crms(model)
    assert rms.summary.converted == crms.summary.converted == 3
    (decoder,) = crms.summary.basis_changes
    before, after = rms.summary.forecast, crms.summary.forecast
    assert before is not None
    assert after is not None
    assert after.saved_us == pytest.approx(before.saved_us - decoder.cost_us)


@pytest.mark.launches
def test_what_does_not_pay_is_no_saving() -> None:
    model = graph(
        "x = MatMul(a, w) n = LayerNormalization(x, g) y = MatMul(n, v)",
        "w[4,8] v[8,8] g[8]",
        inputs="float[B,S,4] a, float[4,8] w",
    )
    InferShapes()(model)
    plan = MakePlan("crms", "orthonormal")
    plan(model)
    found = plan.summary.forecast
    assert found is not None
    assert found.saved_us < 0
    assert found.share is not None
    assert found.share < 0
