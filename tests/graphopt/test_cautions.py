"""What is said of a result that is slower or less exact than one may expect."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from graphopt.cautions import cautions
from graphopt.passes.pipeline import Options
from graphopt.passes.report import NormDecision, PlanSummary

_CRMS = Options(variant="crms", ops="custom")
_DROP = Options(variant="crms", basis="drop", ops="custom")
_STANDARD = Options(variant="crms", basis="drop", ops="standard")
_SLOW, _ROUNDED, _NO_BFLOAT16 = "basis drop: ", "basis drop in float16", "bfloat16: "


def _said(dtype: str, options: Options, *, compressed: bool = True) -> tuple[str, ...]:
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17]> g ({dtype}[2] x) => ({dtype}[2] y)
        <{dtype}[1] w = {{1}}> {{ y = Mul(x, w) }}"""
    )
    norm = NormDecision("n", "LayerNormalization", "x", 0, 2, converted=True, compressed=compressed)
    plan = PlanSummary(options.variant, options.provider, (norm,), basis=options.basis)
    return cautions(model, options, plan)


@pytest.mark.parametrize(
    ("dtype", "options", "beginnings"),
    [
        ("float", Options(ops="custom"), ()),
        ("float", _CRMS, ()),
        ("float16", _CRMS, ()),
        ("float", _DROP, (_SLOW,)),
        ("float16", _DROP, (_SLOW, _ROUNDED)),
        ("float16", _STANDARD, (_SLOW, _ROUNDED)),
        ("bfloat16", _CRMS, (_NO_BFLOAT16,)),
        ("bfloat16", Options(ops="custom", provider="cuda"), ()),
    ],
)
def test_what_is_said(dtype: str, options: Options, beginnings: tuple[str, ...]) -> None:
    said = _said(dtype, options)
    assert len(said) == len(beginnings)
    assert all(text.startswith(begin) for text, begin in zip(said, beginnings, strict=True))
    assert not any("\n" in text for text in said)


def test_nothing_is_said_of_a_basis_that_no_norm_has() -> None:
    assert _said("float16", _DROP, compressed=False) == ()


def test_where_the_kernels_are_is_said_where_they_are_not_asked_for() -> None:
    assert "(ops custom)" in _said("float", _STANDARD)[0]
    assert "(ops custom)" not in _said("float", _DROP)[0]


@pytest.mark.parametrize(
    ("opset", "ops", "count"), [(11, "custom", 1), (12, "custom", 0), (11, "ort", 0)]
)
def test_why_a_result_has_none_of_the_own_operators_is_said(
    opset: int, ops: str, count: int
) -> None:
    model = ir.from_onnx_text(
        f"""<ir_version: 7, opset_import: ["" : {opset}]> g (float[2] x) => (float[2] y) {{
            y = Neg(x) }}"""
    )
    norm = NormDecision("n", "LayerNormalization", "x", 0, 2, converted=True)
    said = cautions(model, Options(ops=ops), PlanSummary("rms", "cpu", (norm,)))
    assert len(said) == count
    assert all("need opset 12" in text for text in said)
