"""A residual Add and the norm of the domain graphopt behind it become one node."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes.fuse_custom_norms import FuseCustomNorms
from graphopt.passes.infer_shapes import InferShapes
from graphopt.passes.operators.custom_ops import define_operators
from tests.passes.outputs import assert_close, assert_runs_as

_NORM = "graphopt.RMSNorm<epsilon = 0.25>"
_CRMS = "graphopt.CRMSNorm<epsilon = 0.25>"

# name: (body, outputs, operators after, names of the inputs of each fused node)
FUSED: dict[str, tuple[str, str, list[str], list[list[str]]]] = {
    "two operands": (
        f"t = Add(x, s) y = {_NORM}(t, gamma)",
        "y",
        ["SkipRMSNorm"],
        [["x", "s", "gamma"]],
    ),
    "the sum goes on": (
        f"t = Add(x, s) n = {_NORM}(t, gamma) y = Add(t, n)",
        "y",
        ["SkipRMSNorm", "Add"],
        [["x", "s", "gamma"]],
    ),
    "the sum is read before the norm": (
        f"t = Add(x, s) r = Relu(t) n = {_NORM}(t, gamma) y = Add(r, n)",
        "y",
        ["SkipRMSNorm", "Relu", "Add"],
        [["x", "s", "gamma"]],
    ),
    "the sum is an output": (
        f"t = Add(x, s) y = {_NORM}(t, gamma)",
        "y t",
        ["SkipRMSNorm"],
        [["x", "s", "gamma"]],
    ),
    "a bias on one operand": (
        f"b = Add(bias, s) t = Add(x, b) y = {_NORM}(t, gamma)",
        "y t",
        ["SkipRMSNorm"],
        [["s", "x", "gamma", "bias"]],
    ),
    "a bias on the sum": (
        f"b = Add(x, s) t = Add(b, bias) y = {_NORM}(t, gamma)",
        "y",
        ["SkipRMSNorm"],
        [["x", "s", "gamma", "bias"]],
    ),
    "a biased operand that is read elsewhere": (
        f"b = Add(s, bias) t = Add(x, b) n = {_NORM}(t, gamma) y = Add(n, b)",
        "y",
        ["Add", "SkipRMSNorm", "Add"],
        [["x", "b", "gamma"]],
    ),
    "two norms of one sum": (
        f"t = Add(x, s) n = {_NORM}(t, gamma) m = {_NORM}(t, bias) y = Add(n, m)",
        "y",
        ["SkipRMSNorm", "RMSNorm", "Add"],
        [["x", "s", "gamma"]],
    ),
    "a residual stream with biases": (
        f"b = Add(s, bias) t = Add(b, x) n = {_NORM}(t, gamma) r = Relu(n) c = Add(r, bias) "
        f"u = Add(c, t) y = {_NORM}(u, gamma)",
        "y",
        ["SkipRMSNorm", "Relu", "SkipRMSNorm"],
        [["s", "x", "gamma", "bias"], ["r", "t", "gamma", "bias"]],
    ),
    "a bias in one of two: taking it in spares no more Adds": (
        f"t = Add(s, x) n = {_NORM}(t, gamma) r = Relu(n) c = Add(r, bias) "
        f"u = Add(c, t) y = {_NORM}(u, gamma)",
        "y",
        ["SkipRMSNorm", "Relu", "Add", "SkipRMSNorm"],
        [["s", "x", "gamma"], ["c", "t", "gamma"]],
    ),
    "a bias in two of three: the third norm is not fused": (
        f"t = Add(s, x) n = {_NORM}(t, gamma) r = Relu(n) c = Add(r, bias) "
        f"u = Add(c, t) m = {_NORM}(u, gamma) q = Relu(m) e = Add(q, bias) v = Add(e, u) "
        f"y = {_NORM}(v, gamma)",
        "y",
        ["Add", "RMSNorm", "Relu", "SkipRMSNorm", "Relu", "SkipRMSNorm"],
        [["r", "t", "gamma", "bias"], ["q", "u", "gamma", "bias"]],
    ),
    "a CRMSNorm": (
        f"t = Add(x, s) n = {_CRMS}(t) y = Add(t, n)",
        "y",
        ["SkipCRMSNorm", "Add"],
        [["x", "s"]],
    ),
    "a CRMSNorm and a bias": (
        f"b = Add(bias, s) t = Add(x, b) y = {_CRMS}(t)",
        "y t",
        ["SkipCRMSNorm"],
        [["s", "x", "bias"]],
    ),
    "each operator decides on the bias for itself": (
        f"b = Add(s, bias) t = Add(b, x) n = {_CRMS}(t) r = Relu(n) u = Add(r, t) "
        f"y = {_NORM}(u, gamma)",
        "y",
        ["SkipCRMSNorm", "Relu", "SkipRMSNorm"],
        [["s", "x", "bias"], ["r", "t", "gamma"]],
    ),
}
UNFUSED = {
    "no Add": f"y = {_NORM}(x, gamma)",
    "an Add of a bias alone": f"t = Add(x, bias) y = {_NORM}(t, gamma)",
    "an operand that broadcasts over features": f"t = Add(x, column) y = {_NORM}(t, gamma)",
    "an operand without batch": f"t = Add(table, x) y = {_NORM}(t, gamma)",
    "a third operand that is no bias": f"b = Add(x, s) t = Add(b, table) y = {_NORM}(t, gamma)",
    "a gamma that is computed from the sum": f"""t = Add(x, s) v = Softmax(t)
        h = ReduceMean<axes = [0, 1], keepdims = 0>(v) y = {_NORM}(t, h)""",
    "a gamma of a branch, which may read the sum": f"""t = Add(x, s) k = ReduceMax<keepdims = 0>(s)
        o = Greater(k, k) h = If(o)<
            then_branch = l () => (float[8] a) {{
                v = Softmax(t) a = ReduceMean<axes = [0, 1], keepdims = 0>(v) }},
            else_branch = r () => (float[8] e) {{ e = Identity(gamma) }}> y = {_NORM}(t, h)""",
    "another operator": f"t = Sub(x, s) y = {_NORM}(t, gamma)",
}


def _model(body: str, outputs: str = "y") -> ir.Model:
    declared = ", ".join(f"float[B, 3, 8] {output}" for output in outputs.split())
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17, "graphopt" : 1]>
        g (float[B, 3, 8] x, float[B, 3, 8] s, float[3, 8] table, float[B, 3, 1] column)
        => ({declared})
        <float[8] gamma = {{0.5, -1.25, 2.0, 0.75, 1.5, -0.25, 1.0, 3.0}},
         float[8] bias = {{1.0, 0.5, -0.25, 2.0, 0.75, -1.5, 0.125, 0.25}}> {{ {body} }}"""
    )
    for node in model.graph.all_nodes():  # every computed value of these bodies has the shape of x
        x = model.graph.inputs[0]
        node.outputs[0].type, node.outputs[0].shape = x.type, x.shape
        if node.outputs[0].name in ("h", "a", "e"):
            node.outputs[0].shape = ir.Shape([8])
    define_operators(model)
    return model


def _inputs() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(4)
    shapes = {"x": (2, 3, 8), "s": (2, 3, 8), "table": (3, 8), "column": (2, 3, 1)}
    return {name: draw.normal(0.5, 1, shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("name", FUSED)
def test_the_whole_computes_what_the_parts_did(name: str) -> None:
    body, outputs, operators, inputs = FUSED[name]
    model = _model(body, outputs)
    before = evaluate(cast_to_float64(model), _inputs())
    fuse = FuseCustomNorms()
    fuse(model)
    assert fuse.record == {name: operators.count(name) for name in ("SkipRMSNorm", "SkipCRMSNorm")}
    assert [node.op_type for node in model.graph] == operators
    fused = [node for node in model.graph if node.op_type.startswith("Skip")]
    assert [[value.name for value in node.inputs] for node in fused] == inputs
    assert {node.attributes["epsilon"].value for node in fused} == {0.25}
    assert {key[1] for key in model.functions} == {n for n in operators if n.endswith("RMSNorm")}
    after = evaluate(cast_to_float64(model), _inputs())
    assert list(before) == outputs.split()
    assert_close(after, before, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", FUSED)
def test_onnx_runtime_agrees(name: str) -> None:
    body, outputs, _, _ = FUSED[name]
    model = _model(body, outputs)
    truth = evaluate(cast_to_float64(model), _inputs())
    FuseCustomNorms()(model)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    assert_runs_as(model, truth, _inputs())


@pytest.mark.parametrize("name", UNFUSED)
def test_what_the_operator_does_not_take_stays(name: str) -> None:
    model = _model(UNFUSED[name])
    before = [node.op_type for node in model.graph]
    assert not FuseCustomNorms()(model).modified
    assert [node.op_type for node in model.graph] == before


@pytest.mark.parametrize("shape", [None, ir.Shape([None, 3, 8])])
def test_shapes_that_are_not_proved_equal_stay(shape: ir.Shape | None) -> None:
    model = _model(FUSED["two operands"][0])
    InferShapes()(model)
    for value in (*model.graph.inputs[:2], model.graph.node(0).outputs[0]):
        value.shape = shape
    assert not FuseCustomNorms()(model).modified


def test_a_gamma_that_is_computed_from_something_else_is_fused() -> None:
    model = _model(f"""t = Add(x, s) v = Softmax(x)
        h = ReduceMean<axes = [0, 1], keepdims = 0>(v) y = {_NORM}(t, h)""")
    fuse = FuseCustomNorms()
    fuse(model)
    assert fuse.record["SkipRMSNorm"] == 1
