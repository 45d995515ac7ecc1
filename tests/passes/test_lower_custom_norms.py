"""Norms become operators of graphopt; what these cannot compute is left to LowerNorms."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes.lower_custom_norms import LowerCustomNorms
from graphopt.passes.lower_norms import LowerNorms

_NORM = "RMSNormalization<axis = 2, epsilon = 0.25, stash_type = 1>"
_CRMS = "CRMSNormalization<axis = 2, epsilon = 0.25, stash_type = 1>"
_GAMMA = "{0.5, -1.25, 2.0, 0.75}"
_BITS = "{14336, 48384, 16384, 14848}"  # of the same numbers in float16


def _model(body: str, opset: int = 17) -> ir.Model:
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : {opset}]>
        g (float[B, 3, 4] x, float16[B, 3, 4] h, double[B, 3, 4] d, float[4] computed)
        => (y)
        <float[4] gamma = {_GAMMA}, float16[4] gamma16 = {_BITS}, double[4] gamma64 = {_GAMMA},
         float[1] one = {{2.0}}, float[3, 4] plane = {{{", ".join(["0.5"] * 12)}}}> {{ {body} }}"""
    )
    for node in model.graph:
        x = node.inputs[0]
        node.outputs[0].type, node.outputs[0].shape = x.type, x.shape
    return model


def _inputs() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(5)
    arrays = {name: draw.normal(0.5, 1, (2, 3, 4)) for name in "xhd"}
    return {**arrays, "computed": draw.normal(0.5, 1, 4)}


def _operators(model: ir.Model) -> list[str]:
    return [f"{node.domain}.{node.op_type}".lstrip(".") for node in model.graph.all_nodes()]


# name: (body, opset, operators after)
LOWERED = {
    "float32": (f"y = {_NORM}(x, gamma)", 17, ["graphopt.RMSNorm"]),
    "float16": (f"y = {_NORM}(h, gamma16)", 17, ["graphopt.RMSNorm"]),
    "float64": (f"y = {_NORM}(d, gamma64)", 17, ["graphopt.RMSNorm"]),
    "an axis from the end": (
        f"y = {_NORM.replace('= 2', '= -1')}(x, gamma)",
        17,
        ["graphopt.RMSNorm"],
    ),
    "the oldest opset": (f"y = {_NORM}(x, gamma)", 12, ["graphopt.RMSNorm"]),
    "an opset that has RMSNormalization": (f"y = {_NORM}(x, gamma)", 23, ["graphopt.RMSNorm"]),
    "computed gamma": (f"y = {_NORM}(x, computed)", 17, ["graphopt.RMSNorm"]),
    "the type of most norms": (
        f"a = {_NORM}(x, gamma) b = {_NORM}(h, gamma16) y = {_NORM}(a, gamma)",
        17,
        ["graphopt.RMSNorm", "RMSNormalization", "graphopt.RMSNorm"],
    ),
    "a compressed stream in float32": (f"y = {_CRMS}(x)", 17, ["graphopt.CRMSNorm"]),
    "a compressed stream in float16": (f"y = {_CRMS}(h)", 17, ["graphopt.CRMSNorm"]),
    "a compressed stream in float64": (f"y = {_CRMS}(d)", 12, ["graphopt.CRMSNorm"]),
    "each operator has a type of its own": (
        f"a = {_NORM}(x, gamma) b = {_CRMS}(h) y = {_NORM}(a, gamma)",
        17,
        ["graphopt.RMSNorm", "graphopt.CRMSNorm", "graphopt.RMSNorm"],
    ),
}
LEFT = {
    "an opset without references to attributes": (f"y = {_NORM}(x, gamma)", 11),
    "gamma of another type": (f"y = {_NORM}(h, gamma)", 23),
    "gamma of one entry": (f"y = {_NORM}(x, one)", 23),
    "more than one axis": (f"y = {_NORM.replace('= 2', '= 1')}(x, plane)", 23),
    "more axes than gamma has": (f"y = {_NORM.replace('= 2', '= 1')}(x, gamma)", 23),
    "another operator": ("y = Exp(x)", 17),
    "a compressed stream below that opset": (f"y = {_CRMS}(x)", 11),
}


@pytest.mark.parametrize(("body", "opset", "operators"), LOWERED.values(), ids=LOWERED)
def test_the_operator_computes_what_the_norm_did(
    body: str, opset: int, operators: list[str]
) -> None:
    model = _model(body, opset)
    before = evaluate(cast_to_float64(model), _inputs())["y"]
    lower = LowerCustomNorms()
    assert lower(model).modified
    names = ("RMSNorm", "CRMSNorm")
    assert lower.record == {name: operators.count(f"graphopt.{name}") for name in names}
    assert _operators(model) == operators
    assert {key[1] for key in model.functions} == {name for name in names if lower.record[name]}
    after = evaluate(cast_to_float64(model), _inputs())["y"]
    np.testing.assert_allclose(after, before, rtol=1e-12)


@pytest.mark.parametrize(("body", "opset"), LEFT.values(), ids=LEFT)
def test_what_the_operator_cannot_compute_is_left(body: str, opset: int) -> None:
    model = _model(body, opset)
    before = _operators(model)
    assert not LowerCustomNorms()(model).modified
    assert _operators(model) == before
    assert not model.functions
    assert "graphopt" not in model.graph.opset_imports


@pytest.mark.parametrize(("x", "is_left"), [("d", True), ("x", False), ("h", False)])
def test_an_epsilon_that_no_attribute_holds_is_left_in_float64(x: str, is_left: bool) -> None:
    gamma = {"d": "gamma64", "x": "gamma", "h": "gamma16"}[x]
    model = _model(f"y = {_NORM}({x}, {gamma})", 23)
    model.graph[0].attributes["epsilon"] = ir.AttrFloat32("epsilon", 1e-5)
    assert LowerCustomNorms()(model).modified != is_left
    LowerNorms()(model)
    assert ("RMSNormalization" not in _operators(model)) and bool(model.functions) != is_left


@pytest.mark.parametrize("change", [{"shape": None}, {"type": None}])
@pytest.mark.parametrize("norm", [f"{_NORM}(x, gamma)", f"{_CRMS}(x)"])
def test_what_is_not_known_is_left(norm: str, change: dict[str, None]) -> None:
    model = _model(f"y = {norm}")
    for name, nothing in change.items():
        setattr(model.graph.inputs[0], name, nothing)
    assert not LowerCustomNorms()(model).modified


@pytest.mark.parametrize(("x", "gamma", "count"), [("x", "gamma", 1), ("h", "gamma16", 2)])
def test_a_shared_gamma_is_copied_for_float16_alone(x: str, gamma: str, count: int) -> None:
    model = _model(f"a = {_NORM}({x}, {gamma}) y = {_NORM}(a, {gamma})")
    LowerCustomNorms()(model)
    assert len({node.inputs[1] for node in model.graph}) == count


def test_a_norm_in_a_nested_graph() -> None:
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[2, 3, 4] x, bool flag) => (float[2, 3, 4] y) <float[4] gamma = {_GAMMA}> {{
          y = If(flag) <
            then_branch = a () => (float[2, 3, 4] t) {{ t = {_NORM}(x, gamma) }},
            else_branch = b () => (float[2, 3, 4] e) {{ e = Identity(x) }}
          >
        }}"""
    )
    LowerCustomNorms()(model)
    assert sorted(_operators(model)) == ["Identity", "If", "graphopt.RMSNorm"]
    assert len(model.functions) == 1
