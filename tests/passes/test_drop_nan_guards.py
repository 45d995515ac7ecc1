from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.passes.drop_nan_guards import DropNanGuards
from graphopt.passes.infer_shapes import InferShapes
from tests.passes.graphs import graph

_GUARD = "p = Softmax(s) n = IsNaN(p) y0 = Where(n, zero, p) y = Neg(y0)"

# The scores s of a product t and the guard, and whether it goes.
CASES: dict[str, tuple[str, bool]] = {
    "a product": (f"s = Identity(t) {_GUARD}", True),
    "a product with a mask of -Inf": (
        f"m = Where(c, zero, infinite) s = MatMul(t, m) {_GUARD}",
        False,
    ),
    "a product with a finite mask": (f"m = Where(c, zero, low) s = MatMul(t, m) {_GUARD}", True),
    "a product times a number": (f"s = Mul(t, half) {_GUARD}", True),
    "a softcap": (f"u = Tanh(t) s = Mul(u, half) {_GUARD}", False),
    "a finite mask": (f"m = Where(c, zero, lowest) s = Add(t, m) {_GUARD}", True),
    "a mask of -Inf": (f"m = Where(c, zero, infinite) s = Add(t, m) {_GUARD}", False),
    "a product times Inf": (f"s = Mul(t, infinite) {_GUARD}", False),
    "two finite masks": (
        f"m = Where(c, zero, lowest) u = Add(t, m) s = Add(u, m) {_GUARD}",
        False,
    ),
    "what may be anything": (f"s = Add(t, f) {_GUARD}", False),
    "a table of positions": (f"m = Gather(table, i) s = Add(t, m) {_GUARD}", True),
    "a table with NaN": (f"m = Gather(broken, i) s = Add(t, m) {_GUARD}", False),
    "a negated test": (
        "p = Softmax(t) n = IsNaN(p) k = Not(n) y0 = Where(k, p, zero) y = Neg(y0)",
        True,
    ),
    "a filler of one entry": (
        "p = Softmax(t) n = IsNaN(p) y0 = Where(n, one_zero, p) y = Neg(y0)",
        True,
    ),
    "a filler of more axes": (
        "p = Softmax(t) n = IsNaN(p) y0 = Where(n, deep, p) y = Neg(y0)",
        False,
    ),
    "a filler that broadcasts": (
        "p = Softmax(t) n = IsNaN(p) y0 = Where(n, wide, p) y = Neg(y0)",
        False,
    ),
    "a test of something else": (
        "p = Softmax(t) n = IsNaN(t) y0 = Where(n, zero, p) y = Neg(y0)",
        False,
    ),
    "the other branch": ("p = Softmax(t) n = IsNaN(p) y0 = Where(n, p, zero) y = Neg(y0)", False),
    "no Softmax": ("n = IsNaN(t) y0 = Where(n, zero, t) y = Neg(y0)", False),
    "a product of what a broken weight made": (
        f"q = MatMul(f, weight_nan) s = MatMul(q, t) {_GUARD}",
        False,
    ),
    "a product of what an infinite scale made": (
        f"q = Mul(f, infinite) s = MatMul(q, t) {_GUARD}",
        False,
    ),
    "a product of what a mask of -Inf gave weights": (
        f"m = Where(c, zero, infinite) w = Add(t, m) o = Softmax(w) s = MatMul(o, t) {_GUARD}",
        True,
    ),
    "a product of what a broken mask gave weights": (
        f"w = Add(t, weight_nan) o = Softmax(w) s = MatMul(o, t) {_GUARD}",
        False,
    ),
    "a product of what broken indices chose": (
        f"w = Cast<to=7>(weight_nan) x = Cast<to=1>(w) s = MatMul(t, x) {_GUARD}",
        True,
    ),
    "a product of what a number too large for float32 made": (
        f"n64 = Constant<value = double {{1e300}}>() k = Cast<to=1>(n64) q = Mul(f, k)"
        f" s = MatMul(q, t) {_GUARD}",
        False,
    ),
    "a product of what an integer too large for float16 made": (
        f"large = Constant<value = int64 {{100000}}>() h = Cast<to=10>(large) k = Cast<to=1>(h)"
        f" q = Mul(f, k) s = MatMul(q, t) {_GUARD}",
        False,
    ),
    "a product of what a number that float32 holds made": (
        f"n64 = Constant<value = double {{1e30}}>() k = Cast<to=1>(n64) q = Mul(f, k)"
        f" s = MatMul(q, t) {_GUARD}",
        True,
    ),
    "a product of what is filled with NaN": (
        f"h = Shape(f) k = ConstantOfShape<value = float[1] {{nan}}>(h) q = Add(f, k)"
        f" s = MatMul(q, t) {_GUARD}",
        False,
    ),
    "a broken constant in a branch": (
        "s = If(d) <then_branch = g () => (float a1) { a1 = MatMul(t, weight_nan) },"
        " else_branch = h () => (float a2) { a2 = MatMul(t, t) }> r = MatMul(t, t)"
        " p = Softmax(r) n = IsNaN(p) y0 = Where(n, zero, p) y = Add(y0, s)",
        False,
    ),
    "a graph output": ("p = Softmax(t) n = IsNaN(p) y = Where(n, zero, p)", False),
}


def _model(body: str, kind: str = "float", dtype: type[np.floating] = np.float32) -> ir.Model:
    numbers = {
        "zero": np.array(0),
        "one_zero": np.zeros(1),
        "deep": np.zeros((1, 1, 1, 1)),
        "wide": np.zeros(3),
        "half": np.array(0.5),
        "lowest": np.array(np.finfo(dtype).min),
        "low": np.array(-1e4),
        "infinite": np.array(-np.inf),
        "table": np.arange(12.0).reshape(4, 3),
        "weight_nan": np.where(np.eye(3) > 0, np.nan, 1.0),
        "broken": np.array([[0, np.nan, 1], [0, 1, 2]]),
    }
    model = graph(
        f"t = MatMul(a, b) {body}",
        inputs=f"{kind}[B,3,4] a, {kind}[B,4,3] b, {kind}[B,3,3] f, bool[B,3,3] c, "
        "bool d, int64[3] i",
        outputs=f"{kind} y",
        constants={name: array.astype(dtype) for name, array in numbers.items()},
        float64=False,
    )
    InferShapes()(model)
    return model


@pytest.mark.parametrize("case", CASES)
def test_a_guard_goes_where_no_row_can_be_nan(case: str) -> None:
    body, goes = CASES[case]
    model = _model(body)
    drop = DropNanGuards()
    assert drop(model).modified == goes
    assert drop.record == {"NaN guards dropped": int(goes)}
    operators = [node.op_type for node in model.graph]
    assert ("IsNaN" in operators) != goes


@pytest.mark.parametrize(
    ("mask", "goes"),
    [
        ("s = Identity(t)", True),
        ("m = Where(c, zero, zero) s = Add(t, m)", True),
        ("m = Where(c, zero, lowest) s = Add(t, m)", False),
        ("m = Where(c, zero, low) s = Add(t, m)", False),
        ("u = Cast<to=1>(t) m0 = Where(c, zero, lowest) m = Cast<to=1>(m0) s = Add(u, m)", True),
        ("s = Where(c, t, lowest)", True),
    ],
)
def test_in_float16_a_sum_with_the_lowest_number_may_be_infinite(mask: str, goes: bool) -> None:
    cast = "s" if "Cast" not in mask else "s16"
    body = mask if cast == "s" else mask.replace("s = Add(u, m)", "s32 = Add(u, m)")
    if cast == "s16":
        body += " p32 = Softmax(s32) n = IsNaN(p32) p = Cast<to=10>(p32)"
        body += " y32 = Where(n, wide_zero, p32) z = Cast<to=10>(y32) y = Neg(z)"
        body = body.replace("wide_zero", "zero32")
    else:
        body += f" {_GUARD}"
    model = _model("zero32 = Cast<to=1>(zero) " + body, "float16", np.float16)
    assert DropNanGuards()(model).modified == goes


def test_a_float16_row_of_low_scores_is_infinite_under_the_lowest_mask() -> None:
    lowest = np.finfo(np.float16).min
    with np.errstate(over="ignore"):
        assert np.isneginf(lowest + np.float16(-17))
    assert np.isfinite(np.finfo(np.float32).min + np.float32(-1e30))
