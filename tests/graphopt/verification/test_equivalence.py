"""Verdicts: what passes, what fails, what is neither, and by which rule."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.errors import EnvironmentFailure, ModelError, UsageError
from graphopt.runtime.library import library_path
from graphopt.verification import prove, verify
from tests.versions.conditions import needs_onnxruntime

HEAD = '<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>'


def model(body: str, outputs: str = "float[batch, 4] y", inputs: str = "float[batch, 4] x") -> Any:
    return ir.from_onnx_text(f"{HEAD} g ({inputs}) => ({outputs}) {{ {body} }}")


def scaled(factor: float) -> ir.Model:
    """y = factor * exp(x): positive, so that no element is small."""
    return model(f"f = Constant <value_float = {factor}> () e = Exp(x) y = Mul(e, f)")


BASE = scaled(1.0)


@pytest.mark.parametrize(("factor", "status"), [(1.0, "passed"), (1.0003, "passed"),
                                                (1.01, "failed")])  # fmt: skip
def test_float32_outputs_pass_within_a_thousandth(factor: float, status: str) -> None:
    result = verify(BASE, scaled(factor))
    assert result.status == status
    (output,) = result.outputs
    assert (output.name, output.dtype, output.passed) == ("y", "float32", status == "passed")
    assert output.max_rel == pytest.approx(factor - 1, rel=1e-2, abs=1e-6)
    assert result.reference == "ort"
    assert "(cpu)" in result.runtime


def test_tolerances_can_be_given() -> None:
    assert verify(BASE, scaled(1.01), rtol=0.02).status == "passed"
    assert verify(BASE, scaled(1.0003), rtol=1e-5, atol=1e-5).status == "failed"
    (output,) = verify(BASE, BASE, rtol=0.5, atol=0.25).outputs
    assert (output.rtol, output.atol) == (0.5, 0.25)


def test_defaulted_dimensions_are_told_and_given_ones_are_not() -> None:
    assert verify(BASE, BASE).defaulted == {"batch": 2}
    assert verify(BASE, BASE, dims={"batch": 3}).defaulted == {}
    x = np.ones((5, 4), dtype=np.float32)
    assert verify(BASE, BASE, inputs={"x": x}).defaulted == {}


@pytest.mark.parametrize("name", ["input_shapes", "shapes"])
def test_shapes_have_a_name_and_an_older_one(name: str) -> None:
    assert verify(BASE, BASE, **{name: {"x": (7, 4)}}).defaulted == {}
    with pytest.raises(UsageError, match="'x'"):
        verify(BASE, BASE, **{name: {"x": (7, 5)}})


def test_a_missing_kernel_is_told_from_another_refusal() -> None:
    without = model("b = Constant <value_floats = [1.0, 1.0, 1.0, 1.0]> () "
                    "y = com.microsoft.BiasAdd(x, b, x)")  # fmt: skip
    found = verify(BASE, without)
    assert (found.status, found.lacks_kernel) == ("failed", True)
    assert "BiasAdd" in found.reason
    found = verify(BASE, model("y = NoSuchOperator(x)"))
    assert (found.status, found.lacks_kernel) == ("failed", False)


def test_files_are_opened_where_they_lie(tmp_path: Path) -> None:
    weighted = ir.from_onnx_text(
        f"{HEAD} g (float[n] x) => (float[n] y) <float[1] w = {{1.5}}> {{ y = Add(x, w) }}"
    )
    ir.save(weighted, tmp_path / "base.onnx", external_data="data", size_threshold_bytes=0)
    ir.save(weighted, tmp_path / "candidate.onnx")
    result = verify(tmp_path / "base.onnx", tmp_path / "candidate.onnx", reference="float64")
    assert result.status == "passed"
    with pytest.raises(ModelError, match=r"is a directory: give a \.onnx file"):
        verify(tmp_path / "base.onnx", tmp_path)
    with pytest.raises(ModelError, match=r"missing\.onnx: there is no such file"):
        verify(tmp_path / "base.onnx", tmp_path / "missing.onnx")


@pytest.mark.parametrize("factor", [1, 2])
def test_a_library_is_for_the_candidate_alone(factor: int) -> None:
    """Where a kernel runs the body does not, which here is right or wrong."""
    try:
        library = library_path()
    except EnvironmentFailure as error:
        pytest.skip(str(error))
    base = model(
        """two = Constant <value_float = 2.0> () square = Pow(x, two)
        moment = ReduceMean <axes = [-1]> (square) root = Sqrt(moment) y = Div(x, root)"""
    )
    candidate = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17, "graphopt" : 1]>
        g (float[batch, 4] x) => (float[batch, 4] y) {{
          y = graphopt.RMSNorm <epsilon = 0.0> (x) }}
        <domain: "graphopt", opset_import: ["" : 17]> RMSNorm <epsilon> (X) => (Y) {{
          f = Constant <value = float {{{factor}.0}}> () s = Mul(X, X)
          m = ReduceMean <axes = [-1]> (s) r = Sqrt(m) n = Div(X, r) Y = Mul(n, f) }}"""
    )
    assert verify(base, candidate).status == ("passed" if factor == 1 else "failed")
    result = verify(base, candidate, library=library)
    assert result.status == "passed"
    assert result.runtime.endswith(" (cpu, native kernels)")


SPLIT = "a, b = Split <axis = 1> (x)"
FAILURES = {
    "a renamed output": (
        model("z = Exp(x)", "float[batch, 4] z"),
        "lacks the outputs y and has the outputs z, which the original has not",
    ),
    "an output too many": (
        model("y = Exp(x) z = Neg(x)", "float[batch, 4] y, float[batch, 4] z"),
        "the candidate has the outputs z, which the original has not",
    ),
    "a renamed input": (
        model("y = Exp(v)", inputs="float[batch, 4] v"),
        "lacks the inputs x and has the inputs v, which the original has not",
    ),
    "another shape": (
        model(f"{SPLIT} y = Exp(a)", "float[batch, 2] y"),
        r"output 'y': shape \[2, 2\] instead of \[2, 4\]",
    ),
    "another type": (
        model("e = Exp(x) y = Cast <to = 10> (e)", "float16[batch, 4] y"),
        "output 'y': type float16 instead of float32",
    ),
    "an operator that the runtime does not have": (
        model("y = Mystery(x)"),
        "the candidate does not run: .*Mystery",
    ),
    "a graph that does not run": (
        model("s = Constant <value_ints = [3, 3]> () e = Exp(x) y = Reshape(e, s)"),
        "the candidate does not run: ",
    ),
    "an infinity": (
        model("e = Exp(x) z = Sub(e, e) y = Div(e, z)"),
        "output 'y': NaN or infinity in other places",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("reference", ["ort", "float64"])
def test_a_candidate_of_another_form_has_failed(name: str, reference: Any) -> None:
    candidate, reason = FAILURES[name]
    result = verify(BASE, candidate, reference=reference)
    assert result.status == "failed"
    assert not result.outputs[0].passed
    assert re.search(reason, result.reason), result.reason


def test_outputs_in_another_order_have_failed() -> None:
    body = "y = Exp(x) z = Neg(x)"
    base = model(body, "float[batch, 4] y, float[batch, 4] z")
    swapped = model(body, "float[batch, 4] z, float[batch, 4] y")
    result = verify(base, swapped)
    assert (result.status, result.reason) == (
        "failed",
        "the candidate has its outputs in another order",
    )


def test_an_output_that_is_listed_twice_is_compared_as_one() -> None:
    once = model("y = Exp(x)")
    twice = model("y = Exp(x)", "float[batch, 4] y, float[batch, 4] y")
    assert verify(twice, twice).status == "passed"
    assert verify(twice, twice, reference="float64").status == "passed"
    for base, candidate in ((twice, once), (once, twice)):
        result = verify(base, candidate)
        assert (result.status, result.reason) == (
            "failed",
            "the candidate does not list each of its outputs as often as the original",
        )


UNVERIFIED = {
    "a base that the runtime does not have": (
        model("y = Mystery(x)"),
        r"the original does not run \(--custom-op-library .*\): .*Mystery",
    ),
    "a base that does not run at the default sizes": (
        model("s = Constant <value_ints = [3, 4]> () y = Reshape(x, s)"),
        r"does not run on generated inputs \(batch=2: --dim sets others\)",
    ),
    "a base that gives nothing finite": (
        model("z = Sub(x, x) y = Div(z, z)"),
        "every output of the original is NaN or infinite",
    ),
}


@pytest.mark.parametrize("name", UNVERIFIED)
def test_a_base_that_says_nothing_leaves_the_candidate_unverified(name: str) -> None:
    base, reason = UNVERIFIED[name]
    result = verify(base, base)
    assert result.status == "unverified"
    assert result.outputs == ()
    assert re.search(reason, result.reason), result.reason


def test_sizes_that_the_user_gave_and_the_base_refuses_are_a_usage_error() -> None:
    fixed = model("s = Constant <value_ints = [3, 4]> () y = Reshape(x, s)")
    assert verify(fixed, fixed, dims={"batch": 3}).status == "passed"
    with pytest.raises(UsageError, match="does not run on the given inputs"):
        verify(fixed, fixed, dims={"batch": 4})


def test_an_unknown_reference_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="unknown reference 'exact'; choose ort or float64"):
        verify(BASE, BASE, reference="exact")  # type: ignore[arg-type]


# LayerNorm as one operator, and as primitives that cancel: x is far from zero, so x^2 - mean^2
# loses most of its bits. Both are the same function.
NORM = model(
    """
    c = Constant <value_float = 300.0> ()
    v = Add(x, c)
    s = Constant <value = float[4] {0.5, 1.5, 2.0, 0.7}> ()
    y = LayerNormalization(v, s)
    """
)
CANCELLING = model(
    """
    c = Constant <value_float = 300.0> ()
    v = Add(x, c)
    s = Constant <value = float[4] {0.5, 1.5, 2.0, 0.7}> ()
    e = Constant <value_float = 1e-5> ()
    m = ReduceMean <axes = [-1]> (v)
    q = Mul(v, v)
    qm = ReduceMean <axes = [-1]> (q)
    mm = Mul(m, m)
    var = Sub(qm, mm)
    ve = Add(var, e)
    d = Sqrt(ve)
    u = Sub(v, m)
    n = Div(u, d)
    y = Mul(n, s)
    """
)


@needs_onnxruntime("1.27", "a LayerNormalization that centres before it squares")
def test_against_float64_a_candidate_may_be_twice_as_wrong_as_the_base() -> None:
    good = verify(NORM, NORM, reference="float64").outputs[0]
    assert good.passed
    assert good.error_base == good.error_candidate
    bad = verify(NORM, CANCELLING, reference="float64").outputs[0]
    assert not bad.passed
    assert bad.error_base is not None and bad.error_candidate is not None
    assert bad.error_base < 1e-4 < bad.error_candidate
    assert verify(CANCELLING, NORM, reference="float64").status == "passed"


def test_the_reference_is_evaluated_in_float64_from_the_inputs_on() -> None:
    half = model("y = Exp(x)", "float16[batch, 4] y", "float16[batch, 4] x")
    (output,) = verify(half, half, reference="float64").outputs
    assert output.error_base is not None
    assert 1e-5 < output.error_base < 1e-3  # the rounding of y to float16


def test_what_cannot_be_evaluated_in_float64_is_unverified() -> None:
    foreign = model(
        "a = Constant <value = int32 {0}> () e = com.microsoft.ExpandDims(x, a) y = Exp(e)",
        "float[1, batch, 4] y",
    )
    assert verify(foreign, foreign).status == "passed"
    result = verify(foreign, foreign, reference="float64")
    assert result.status == "unverified"
    assert "operator ExpandDims of domain 'com.microsoft' cannot be evaluated" in result.reason


def test_proof_in_float64_sees_what_float32_cannot() -> None:
    wide = "double[2, 4]"
    base = model("y = Neg(x)", f"{wide} y", f"{wide} x")
    same = model("z = Sub(x, x) y = Sub(z, x)", f"{wide} y", f"{wide} x")
    near = model(
        "f = Constant <value = double {-1.00000001}> () y = Mul(x, f)", f"{wide} y", f"{wide} x"
    )
    other = model("z = Neg(x)", f"{wide} z", f"{wide} x")
    x = np.random.default_rng(0).normal(size=(2, 4))
    assert prove(base, same, {"x": x}).status == "passed"
    assert prove(base, near, {"x": x}).status == "failed"
    assert prove(base, near, {"x": x}, rtol=1e-7).status == "passed"
    assert prove(base, other, {"x": x}).status == "failed"
