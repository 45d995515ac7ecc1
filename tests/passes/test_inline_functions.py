"""A nested graph reads a value of the graph around it by name: no name may hide another."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.passes import pipeline
from graphopt.passes.inline_functions import InlineFunctions
from tests.onnx_runtime import OptimizedSession


def _loop(result: str, carried: str, inner: str, last: str) -> str:
    """A Loop from ``carried`` on, whose body calls it ``inner`` and ends with the node ``last``."""
    return f"""{result} = Loop(n, yes, {carried}) <body = b (int64 i, bool c, float[] {inner}) =>
        (bool d, float[] r) {{ d = Identity(c) r = {last} }}>"""


_YES = "yes = Constant<value = bool {1}>()"

# What computes y from float[4] x and int64 n, with functions; how many names hide others.
CASES: dict[str, tuple[str, int]] = {
    "what an input of a loop body hides is merged": (
        f"{_YES} s = Exp(x) t = Exp(x) {_loop('e', 'x', 's', 'Add(s, t)')} y = Sub(e, s) }}",
        1,
    ),
    "what an input of a loop body hides comes out of a Cast": (
        f"""{_YES} s = Exp(x) t = Cast<to = 1>(s) {_loop("e", "x", "s", "Add(s, t)")}
        y = Sub(e, s) }}""",
        1,
    ),
    "what an input of a Scan hides is merged": (
        """s = Exp(x) t = Exp(x) zero = Constant<value = int64[1] {0}>() u = Unsqueeze(x, zero)
        e, f = Scan<num_scan_inputs = 1, body = b (float[] s, float[] k) => (float[] q, float[] r)
        { q = Add(s, t) r = Relu(k) }>(x, u) y = Sub(e, s) }""",
        1,
    ),
    "a function is called with what its loop body hides": (
        f"""s = Exp(x) y = own.F(s, n) }} <domain: "own", opset_import: ["" : 18]> F (a, n) => (y)
        {{ {_YES} {_loop("y", "a", "s", "Add(s, a)")} }}""",
        1,
    ),
    "two loop bodies share names": (
        f"{_YES} {_loop('e', 'x', 's', 'Add(s, x)')} {_loop('f', 'x', 's', 'Mul(s, x)')}"
        " y = Sub(e, f) }",
        0,
    ),
}


def _model(case: str) -> ir.Model:
    return ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 18, "own" : 1]>
        g (float[4] x, int64 n) => (float[4] y) {{ {CASES[case][0]}"""
    )


@pytest.mark.parametrize("case", CASES)
def test_no_name_hides_another(case: str) -> None:
    model = _model(case)
    step = InlineFunctions()
    step(model)
    assert step.record.get("hidden names", 0) == CASES[case][1]


@pytest.mark.parametrize("case", CASES)
def test_onnx_runtime_reads_what_the_graph_means(case: str) -> None:
    model, original = _model(case), _model(case)
    pipeline.run(model, pipeline.Options(ops="standard"))
    given = {"x": np.array([0.1, -0.2, 0.3, 0.4], np.float32), "n": np.array(3)}
    before, after = (OptimizedSession(each).run(given)["y"] for each in (original, model))
    assert np.array_equal(after, before)
