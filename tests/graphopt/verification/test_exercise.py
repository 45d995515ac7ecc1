"""A converted norm was tried where each branch that has to do with it ran."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest

import graphopt
from graphopt.verification import verify

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'
CONDITIONS = {
    "an input": ("bool c", "on = Identity(c)"),
    "not an input": ("bool c", "on = Not(c)"),
    "two inputs": ("bool c, bool d", "on = And(c, d)"),
    "three inputs": ("bool c, bool d, int64 e", "f = Cast<to = 9>(e) b = Or(c, d) on = And(b, f)"),
    "always": ("", "z = Mul(x, x) k = ReduceSum<keepdims = 0>(z) on = GreaterOrEqual(k, zero)"),
    "never": ("", "z = Mul(x, x) k = ReduceSum<keepdims = 0>(z) on = Less(k, zero)"),
    "a constant": ("", "on = Constant<value = bool {1}>()"),
}
SWITCHES = ("an input", "not an input", "two inputs", "three inputs")
_W = ", ".join(str((7 * i) % 11 / 11 - 0.4) for i in range(64))
_V = ", ".join(str((5 * i) % 13 / 13 - 0.4) for i in range(64))


def text(condition: str, body: str) -> str:
    inputs, computed = CONDITIONS[condition]
    return f"""{HEAD} g (float[batch, 8] x{", " * bool(inputs)}{inputs}) => (float[batch, 8] y)
        <float[8, 8] w = {{{_W}}}, float[8, 8] v = {{{_V}}}, float zero = {{0}},
         float[8] s = {{1, 2, 0.5, 1.5, 0.7, 1.1, 0.9, 2}},
         float[8] t = {{0.1, 0.2, -0.5, 1, 0.7, 0.1, 0.9, 2}}> {{ {computed} {body} }}"""


def choice(then: str, other: str, result: str) -> str:
    """An If; its branches give p and q."""
    return f"""{result} = If (on) <then_branch = yes () => (float[batch, 8] p) {{ {then} }},
        else_branch = no () => (float[batch, 8] q) {{ {other} }}> """


BEHIND = (
    choice("p = MatMul(x, w)", "q = MatMul(x, v)", "[pick] h")
    + "[norm] n = LayerNormalization(h, s, t) y = MatMul(n, w)"
)
BEFORE = "h = MatMul(x, w) [norm] n = LayerNormalization(h, s, t) " + choice(
    "p = MatMul(n, w)", "q = MatMul(n, v)", "[pick] y"
)
MOVED = "h = MatMul(x, w) [norm] n = LayerNormalization(h, s, t) r = Identity(n) " + choice(
    "p = MatMul(r, w)", "q = MatMul(r, v)", "[pick] y"
)
ONE_READER = "h = MatMul(x, w) [norm] n = LayerNormalization(h, s, t) " + choice(
    "p = MatMul(h, w)", "q = MatMul(n, v)", "[pick] y"
)
REASONS = {
    ("behind", "always"): "norm: behind If pick the then branch alone exercised it",
    ("behind", "never"): "norm: behind If pick the else branch alone exercised it",
    ("before", "always"): "norm: a branch of If pick that reads it did not run",
    ("before", "never"): "norm: a branch of If pick that reads it did not run",
    ("moved", "always"): "norm: a branch of If pick that reads it did not run",
    ("one reader", "always"): "norm: no output that proves anything depends on it",
    ("behind", "a constant"): "",
    ("before", "a constant"): "",
    **{("behind", condition): "" for condition in SWITCHES},
    **{("before", condition): "" for condition in SWITCHES},
    ("one reader", "an input"): "",
}
BODIES = {"behind": BEHIND, "before": BEFORE, "moved": MOVED, "one reader": ONE_READER}


@pytest.mark.parametrize(("body", "condition"), REASONS)
def test_each_branch_that_has_to_do_with_a_norm_ran(
    body: str, condition: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(text(condition, BODIES[body])), path)
    base = ir.load(path)
    merges = {"norm": ["h"] if body == "behind" else []}
    checked = verify(base, base, norms=merges)
    reason = REASONS[body, condition]
    assert checked.status == ("unverified" if reason else "passed"), checked
    assert reason in checked.reason
    assert checked.draws == (5 if len(CONDITIONS[condition][0].split(",")) > 1 else 4)


@pytest.mark.parametrize(
    ("condition", "status"), [("always", "unverified"), ("an input", "passed")]
)
def test_the_plan_says_which_ifs_are_before_a_norm(
    condition: str, status: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    last = "m = MatMul(n, w) [last] y = LayerNormalization(m, s, t)"
    behind = BEHIND.replace("y = MatMul(n, w)", last)
    onnx.save(onnx.parser.parse_model(text(condition, behind)), path)
    report = graphopt.optimize(path, ops="standard").report
    norms = {norm.name: (norm.converted, norm.merges) for norm in report.plan.norms}
    assert norms == {"norm": (True, ("h",)), "last": (True, ())}
    assert report.verification is not None
    assert report.verification.status == status
    assert ("(norm: behind If pick the then" in report.verification.reason) == (
        status == "unverified"
    )


def test_a_norm_that_two_draws_exercise_in_part_was_not() -> None:
    """It is read where c holds, and what reads it is read where c does not: never both."""
    body = (
        "h = MatMul(x, w) [norm] n = LayerNormalization(h, s, t) "
        + choice("p = MatMul(n, w)", "q = MatMul(x, v)", "[one] u")
        + "off = Not(on) "
        + choice("p2 = Neg(u)", "q2 = Neg(x)", "[two] y")
        .replace("(on)", "(off)")
        .replace("yes ()", "yes2 ()")
        .replace("no ()", "no2 ()")
        .replace("] p)", "] p2)")
        .replace("] q)", "] q2)")
    )
    base = ir.from_onnx_text(text("an input", body))
    checked = verify(base, base, norms=["norm"])
    assert checked.status == "unverified"
    assert "(norm: no output that proves anything depends on it" in checked.reason


PLAIN = {
    "LayerNormalization": "[idle] q = LayerNormalization(h, s, t)",
    "SkipLayerNormalization": "[idle] q = com.microsoft.SkipLayerNormalization(h, x, s, t)",
    "SimplifiedLayerNormalization": "[idle] q = SimplifiedLayerNormalization(h, s)",
}


@pytest.mark.parametrize("name", PLAIN)
def test_without_a_plan_norms_of_the_candidate_in_branches_must_have_run(name: str) -> None:
    body = "h = MatMul(x, w) " + choice("p = Neg(h)", PLAIN[name], "[pick] y")
    opsets = '["" : 17, "com.microsoft" : 1]'
    for condition, status in (("always", "unverified"), ("an input", "passed")):
        model = ir.from_onnx_text(text(condition, body).replace('["" : 17]', opsets))
        checked = verify(model, model)
        assert checked.status == status
        assert ("1 norm of the candidate ran on none of the inputs (idle; " in checked.reason) == (
            status == "unverified"
        )
        assert verify(model, model, norms=()).status == "passed"


def test_without_a_plan_norms_in_loops_must_have_run() -> None:
    loop = ir.from_onnx_text(
        f"""{HEAD} g (float[batch, 8] x, int64 trips) => (float[batch, 8] y)
        <float[8] s = {{1, 2, 0.5, 1.5, 0.7, 1.1, 0.9, 2}}> {{
            t = Constant <value = bool {{1}}> ()
            y = Loop (trips, t, x) <body = b (int64 i, bool c, float[batch, 8] v)
                => (bool d, float[batch, 8] r) {{
                d = Identity (c) [inner] n = LayerNormalization (v, s) r = Add (n, v) }}> }}"""
    )
    assert verify(loop, loop, inputs={"trips": np.array(2)}).status == "passed"
    idle = verify(loop, loop, inputs={"trips": np.array(0)})
    assert (idle.status, "(inner; " in idle.reason) == ("unverified", True)
