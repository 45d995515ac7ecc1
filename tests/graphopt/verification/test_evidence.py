"""PASSED rests on evidence: outputs that can differ, norms that ran, types that compute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import graphopt
from graphopt.verification import Original, verify
from graphopt.verification.differences import compare, decide
from graphopt.verification.precision import computing_types

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'


def model(body: str, inputs: str = "float[batch, 4] x", outputs: str = "float[batch, 4] y") -> Any:
    return ir.from_onnx_text(f"{HEAD} g ({inputs}) => ({outputs}) {{ {body} }}")


def shifted(factor: float, behind: str) -> ir.Model:
    """x times a factor, far above zero, and what stands behind it."""
    return model(
        f"""f = Constant <value_float = {factor}> () c = Constant <value_float = 40.0> ()
        a = Mul(x, f) s = Add(a, c) {behind}"""
    )


NOTHING = {
    "saturated sigmoids": ("y = Sigmoid(s)", "y is 1 everywhere"),
    "nearly saturated": (
        "n = Neg(s) g = Sigmoid(n) o = Constant <value_float = 1.0> () y = Add(g, o)",
        "y is 1 everywhere",
    ),
    "a constant": ("z = Sub(s, s) y = Exp(z)", "y is 1 everywhere"),
    "within its tolerance": (
        "t = Constant <value_float = 0.00001> () u = Mul(s, t) y = Exp(u)",
        "y is saturated: all of it is between 1.000",
    ),
}

# Where every element is at one of the two ends, any other steep function of the same sign would do.
STEEP = {
    "sigmoid": ("y = Sigmoid(s)", "0 or 1"),
    "tanh": ("y = Tanh(s)", "-1 or 1"),
    "erf": ("y = Erf(s)", "-1 or 1"),
    "softsign": ("y = Softsign(s)", "-1 or 1"),
    "hard sigmoid": ("y = HardSigmoid(s)", "0 or 1"),
    "softmax": ("y = Softmax(s)", "0 or 1"),
    "clip": ("y = Clip(s, n, f)", "-3 or 5"),
    "half clip": ("y = Clip(s, n)", ""),
    "moved": ("r = Sigmoid(s) q = Transpose <perm = [1, 0]> (r) y = Transpose(q)", "0 or 1"),
    "from one": ("r = Sigmoid(s) o = Constant <value_float = 1.0> () y = Sub(o, r)", "0 or 1"),
    "scaled": ("r = Tanh(s) p = Mul(r, n) y = Add(f, p)", "2 or 8"),
    "not bounded": ("y = Relu(s)", ""),
    "other": ("r = Sigmoid(s) y = Mul(r, s)", ""),
}


def steep(factor: float, behind: str) -> ir.Model:
    return model(
        f"""c = Constant <value_float = {factor}> () n = Constant <value_float = -3.0> ()
        f = Constant <value_float = 5.0> () s = Mul(x, c) {behind}"""
    )


@pytest.mark.parametrize("name", STEEP)
def test_an_output_at_both_ends_of_its_operator_proves_nothing(name: str) -> None:
    behind, ends = STEEP[name]
    result = verify(steep(1e6, behind), steep(3e6, behind))
    if not ends:
        assert result.status == "failed"
        return
    assert result.status == "unverified"
    assert f"proves anything: y is saturated: all of it is at {ends} (" in result.reason
    assert verify(steep(1.0, behind), steep(1.0, behind)).status == "passed"
    assert verify(steep(1.0, behind), steep(1.5, behind)).status == "failed"


def test_drawn_inputs_that_the_original_refuses_are_counted() -> None:
    """Draws at four times the scale reach beyond the table, others do not."""
    base = model(
        """t = Constant <value_float = 2.5> () a = Abs(x) p = Div(a, t) f = Floor(p)
        i = Cast <to = 7> (f) w = Constant <value = float[3] {1.0, 2.0, 3.0}> () y = Gather(w, i)"""
    )
    result = verify(base, base)
    assert result.status == "passed"
    assert result.notes == (
        "1 of 4 drawn inputs were left out: the original refuses them (--input gives others)",
    )


@pytest.mark.parametrize("name", NOTHING)
def test_outputs_that_could_not_differ_prove_nothing(name: str) -> None:
    behind, reason = NOTHING[name]
    result = verify(shifted(1.0, behind), shifted(1.5, behind))
    assert result.status == "unverified"
    assert f"no output of the original proves anything: {reason}" in result.reason
    assert [output.passed for output in result.outputs] == [True]
    assert result.draws == 4


def test_an_output_that_proves_nothing_is_named_beside_one_that_does() -> None:
    body = "y = Exp(x) d = Sub(x, x) z = Exp(d)"
    base = model(body, outputs="float[batch, 4] y, float[batch, 4] z")
    result = verify(base, base)
    assert result.status == "passed"
    assert result.notes == ("output z proves nothing: it is 1 everywhere",)


def test_an_output_without_anything_finite_is_named_beside_one_that_has() -> None:
    body = "y = Exp(x) d = Sub(x, x) z = Div(d, d)"
    base = model(body, outputs="float[batch, 4] y, float[batch, 4] z")
    assert verify(base, base).notes == (
        "output z proves nothing: it is NaN or infinite everywhere",
    )


def test_a_difference_that_one_scale_alone_shows_is_found() -> None:
    """Beyond 6 the two differ, and the first draw of 8 normal numbers has none so large."""
    base = model("y = Exp(x)")
    clipped = model("t = Constant <value_float = 6.0> () c = Min(x, t) y = Exp(c)")
    assert verify(base, clipped).status == "failed"
    given = np.zeros((2, 4), np.float32)
    given[0, 0] = 5
    result = verify(base, clipped, inputs={"x": given})
    assert (result.status, result.draws) == ("passed", 1)


# Two norms in the branches of an If, and one before it.
def branches(condition: str) -> str:
    return f"""{HEAD} g (float[batch, 8] x, bool c) => (float[batch, 8] y)
    <float[8, 8] w = {{{", ".join(str((7 * i) % 11 / 11 - 0.4) for i in range(64))}}},
     float[8] s = {{1, 2, 0.5, 1.5, 0.7, 1.1, 0.9, 2}}> {{
        h = MatMul (x, w)
        [first] n = LayerNormalization (h, s)
        k = MatMul (n, w)
        t = Constant <value = bool {{1}}> ()
        y = If ({condition}) <
            then_branch = a () => (float[batch, 8] p) {{ [second] p = LayerNormalization (k, s) }},
            else_branch = b () => (float[batch, 8] q) {{
                [third] m = LayerNormalization (k, s) q = Neg (m) }}
        >
    }}"""


def test_a_converted_norm_whose_branch_did_not_run_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(branches("t")), path)
    report = graphopt.optimize(path, ops="standard", output=tmp_path / "out.onnx").report
    assert [norm.converted for norm in report.plan.norms] == [True] * 3
    checked = report.verification
    assert checked is not None
    assert checked.status == "unverified"
    assert "1 of 3 converted norms were not exercised (third: its branch did not run" in (
        checked.reason
    )
    assert (tmp_path / "out.onnx").exists()


def test_a_switch_is_tried_both_ways(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(branches("c")), path)
    report = graphopt.optimize(path, ops="standard").report
    assert report.verification is not None
    assert (report.verification.status, report.verification.reason) == ("passed", "")
    given = graphopt.optimize(path, ops="standard", inputs={"c": np.array(False)}).report
    assert given.verification is not None
    assert "1 of 3 converted norms were not exercised (second: " in given.verification.reason


def test_a_norm_in_a_loop_that_makes_no_turn_is_named() -> None:
    text = f"""{HEAD} g (float[batch, 8] x, int64 trips) => (float[batch, 8] y)
    <float[8] s = {{1, 2, 0.5, 1.5, 0.7, 1.1, 0.9, 2}}> {{
        t = Constant <value = bool {{1}}> ()
        y = Loop (trips, t, x) <body = b (int64 i, bool c, float[batch, 8] v)
            => (bool d, float[batch, 8] r) {{
            d = Identity (c) [inner] n = LayerNormalization (v, s) r = Add (n, v) }}>
    }}"""
    base = ir.from_onnx_text(text)
    for trips, status in ((0, "unverified"), (2, "passed")):
        given = {"trips": np.array(trips)}
        result = verify(base, base, inputs=given, norms=["inner"])
        assert result.status == status
        assert ("inner: its branch did not run" in result.reason) == (trips == 0)


def test_a_norm_that_only_a_saturated_output_reads_is_named() -> None:
    base = model(
        """y = Exp(x) s = Constant <value = float[4] {1.0, 2.0, 3.0, 4.0}> ()
        [lost] n = LayerNormalization(x, s) c = Constant <value_float = 40.0> ()
        m = Add(n, c) z = Sigmoid(m)""",
        outputs="float[batch, 4] y, float[batch, 4] z",
    )
    assert verify(base, base).status == "passed"
    result = verify(base, base, norms=["lost"])
    assert result.status == "unverified"
    assert "1 of 1 converted norms were not exercised (lost: no output that proves" in result.reason


RANDOM = [
    "r = RandomNormalLike(x)",
    "r = RandomUniformLike(x)",
    "p = Sigmoid(x) r = Bernoulli(p)",
    "h = Constant <value_float = 0.5> () t = Constant <value = bool {1}> () r = Dropout(x, h, t)",
    "s = Shape(x) n = RandomNormal <shape = [2, 4]> () r = Reshape(n, s)",
    "m = Multinomial <sample_size = 4> (x) r = Cast <to = 1> (m)",
]


@pytest.mark.parametrize("draw", RANDOM)
def test_random_operators_are_seeded_alike_in_both(draw: str) -> None:
    base = model(f"{draw} y = Add(r, x)")
    doubled = model(f"{draw} s0 = Add(r, r) s1 = Sub(s0, r) y = Add(s1, x)")
    wrong = model(f"{draw} s0 = Add(r, r) y = Add(s0, x)")
    assert verify(base, doubled).status == "passed"
    assert verify(base, wrong).status == "failed"
    assert all("seed" not in node.attributes for node in doubled.graph)


def test_random_operators_of_other_names_leave_the_candidate_unverified() -> None:
    base = model("r = RandomNormalLike(x) y = Add(r, x)")
    other = model("q = RandomNormalLike(x) y = Add(q, x)")
    result = verify(base, other)
    assert result.status == "unverified"
    assert "random operators without a seed give other values" in result.reason


def narrow(factor: float, dtype: int = 10) -> str:
    """A product in float16 (or another type, by its number) between float32 values."""
    return f"""h = Cast <to = {dtype}> (x) w = Constant <value_float = {factor}> ()
        c = Cast <to = {dtype}> (w) p = Mul(h, c) y = Cast <to = 1> (p)"""


TYPES = {
    "float32": ("y = Exp(x)", ir.DataType.FLOAT),
    "float16 between Casts": (narrow(1.003), ir.DataType.FLOAT16),
    "float16 weights that are widened": (
        """w = Constant <value = float16[4] {15360, 16384, 16896, 17408}> () r = Identity(w)
        v = Cast <to = 1> (r) y = Mul(x, v)""",
        ir.DataType.FLOAT,
    ),
    "float16 in a branch": (
        f"""t = Constant <value = bool {{1}}> () y = If (t) <
            then_branch = a () => (float[batch, 4] y1) {{ {narrow(1.003).replace("y =", "y1 =")} }},
            else_branch = b () => (float[batch, 4] y2) {{ y2 = Exp(x) }}>""",
        ir.DataType.FLOAT16,
    ),
}


@pytest.mark.parametrize("name", TYPES)
def test_the_coarsest_type_that_computes_an_output(name: str) -> None:
    body, dtype = TYPES[name]
    assert computing_types(model(body)) == {"y": dtype}


def test_the_tolerance_is_that_of_the_type_that_computes() -> None:
    result = verify(model(narrow(1.003)), model(narrow(1.013)))
    assert result.status == "passed"
    assert (result.outputs[0].dtype, result.outputs[0].computed_in) == ("float32", "float16")
    assert verify(model(narrow(1.003, 1)), model(narrow(1.013, 1))).status == "failed"


# var = mean(v^2) - mean(v)^2 loses all its digits where the mean is large.
CANCELLING = """c = Constant <value_float = 3000.0> () v = Add(x, c)
    m = ReduceMean <axes = [-1]> (v) q = Mul(v, v) qm = ReduceMean <axes = [-1]> (q)
    mm = Mul(m, m) var = Sub(qm, mm) e = Constant <value_float = 1.0> () ve = Add(var, e)
    d = Sqrt(ve) u = Sub(v, m) y = Div(u, d)"""
CENTRED = """m = ReduceMean <axes = [-1]> (x) u = Sub(x, m) q = Mul(u, u)
    var = ReduceMean <axes = [-1]> (q) e = Constant <value_float = 1.0> () ve = Add(var, e)
    d = Sqrt(ve) y = Div(u, d)"""


def test_what_is_nearer_to_float64_than_the_original_is_not_rejected() -> None:
    result = verify(model(CANCELLING), model(CENTRED))
    (output,) = result.outputs
    assert result.status == "passed", result
    assert output.decided_by_float64
    assert output.error_base is not None and output.error_candidate is not None
    assert output.error_candidate < 1e-3 < output.error_base
    assert result.notes == (
        "y: both differ by more than the tolerance, and the original evaluated in float64 decided",
    )
    worse = verify(model(CENTRED), model(CANCELLING))
    assert worse.status == "failed"
    assert worse.outputs[0].decided_by_float64


@pytest.mark.parametrize(
    ("base", "found", "passed"),
    [
        ([1.0, 2.0], [1.1, 2.0], False),  # the base is right
        ([1.5, 2.0], [1.1, 2.0], True),  # nearer than the base
        ([1.3, 2.0], [1.4, 2.0], False),  # farther, if not by much
        ([np.inf, 2.0], [1.0, 2.0], True),  # the base overflows
        ([np.inf, 2.0], [1.1, 2.0], False),
        ([1.0, 2.0], [np.inf, 2.0], False),
    ],
)
def test_what_float64_decides(base: list[float], found: list[float], passed: bool) -> None:
    arrays = [np.array(values, np.float32) for values in (base, found)]
    plain = compare("y", *arrays)
    assert not plain.passed
    assert decide(plain, np.array([1.0, 2.0]), *arrays).passed == passed


def test_float64_decides_on_integers_too() -> None:
    truth, base, found = np.array([3, 4]), np.array([3, 5]), np.array([3, 4])
    assert decide(compare("y", base, found), truth, base, found).passed
    assert not decide(compare("y", truth, base), truth, truth, base).passed


def test_an_original_is_run_once_for_many_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    base = model("y = Exp(x)")
    with Original(base) as original:
        expected = original.expectation()
        for factor, status in ((1.0, "passed"), (1.5, "failed"), (1.0, "passed")):
            candidate = model(f"f = Constant <value_float = {factor}> () e = Exp(x) y = Mul(e, f)")
            assert verify(original, candidate).status == status
            assert original.expectation() is expected


def test_the_report_keeps_its_schema_and_says_more(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(branches("c")), path)
    found = json.loads(graphopt.optimize(path).report.to_json())["verification"]
    assert list(found)[:6] == ["status", "outputs", "reason", "defaulted", "reference", "runtime"]
    assert {"configured", "configuration", "draws", "notes"} <= found.keys()
    assert {"computed_in", "decided_by_float64"} <= found["outputs"][0].keys()
