"""A residual Add and the norm behind it become one node, where the CUDA kernels take it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes.fuse_skip_norms import FuseSkipNorms
from tests.passes.outputs import assert_close, assert_runs_as

_LN = "LayerNormalization<axis = -1, epsilon = 0.25>"
_RMS = "SimplifiedLayerNormalization<axis = -1, epsilon = 0.25>"
_SKIP, _SKIP_RMS = "SkipLayerNormalization", "SkipSimplifiedLayerNormalization"

# name: (body, outputs, operators after, names of the fused node's inputs)
FUSED: dict[str, tuple[str, str, list[str], list[str | None]]] = {
    "LayerNorm": (
        f"t = Add(x, s)\n y = {_LN}(t, gamma, beta)",
        "y",
        [_SKIP],
        ["x", "s", "gamma", "beta"],
    ),
    "LayerNorm without beta": (
        f"t = Add(x, s)\n y = {_LN}(t, gamma)",
        "y",
        [_SKIP],
        ["x", "s", "gamma"],
    ),
    "RMSNorm": (
        f"t = Add(x, s)\n y = {_RMS}(t, gamma)",
        "y",
        [_SKIP_RMS],
        ["x", "s", "gamma"],
    ),
    "the sum goes on": (
        f"t = Add(x, s)\n n = {_RMS}(t, gamma)\n y = Add(t, n)",
        "y",
        [_SKIP_RMS, "Add"],
        ["x", "s", "gamma"],
    ),
    "the sum is read before the norm": (
        f"t = Add(x, s)\n r = Relu(t)\n n = {_LN}(t, gamma)\n y = Add(r, n)",
        "y",
        [_SKIP, "Relu", "Add"],
        ["x", "s", "gamma"],
    ),
    "the sum is an output": (
        f"t = Add(x, s)\n y = {_LN}(t, gamma, beta)",
        "y t",
        [_SKIP],
        ["x", "s", "gamma", "beta"],
    ),
    "a bias on one operand": (
        f"b = Add(bias, s)\n t = Add(x, b)\n y = {_LN}(t, gamma, beta)",
        "y",
        [_SKIP],
        ["s", "x", "gamma", "beta", "bias"],
    ),
    "a bias on the sum": (
        f"b = Add(x, s)\n t = Add(b, bias)\n y = {_LN}(t, gamma)",
        "y",
        [_SKIP],
        ["x", "s", "gamma", None, "bias"],
    ),
    "RMSNorm with a bias": (
        f"b = Add(s, bias)\n t = Add(b, x)\n y = {_RMS}(t, gamma)",
        "y",
        [_SKIP_RMS],
        ["s", "x", "gamma", "bias"],
    ),
    "a biased operand that is read elsewhere": (
        f"b = Add(s, bias)\n t = Add(x, b)\n n = {_LN}(t, gamma)\n y = Add(n, b)",
        "y",
        ["Add", _SKIP, "Add"],
        ["x", "b", "gamma"],
    ),
    "an operand without batch": (
        f"t = Add(table, x)\n y = {_LN}(t, gamma)",
        "y",
        [_SKIP],
        ["x", "table", "gamma"],
    ),
    "two norms of one sum": (
        f"t = Add(x, s)\n n = {_RMS}(t, gamma)\n m = {_RMS}(t, beta)\n y = Add(n, m)",
        "y",
        [_SKIP_RMS, "SimplifiedLayerNormalization", "Add"],
        ["x", "s", "gamma"],
    ),
}
UNFUSED = {
    "no Add": f"y = {_LN}(x, gamma)",
    "an Add of a bias alone": f"t = Add(x, bias)\n y = {_LN}(t, gamma)",
    "an Add that broadcasts": f"t = Add(x, column)\n y = {_LN}(t, gamma)",
    "gamma of rank 2": f"t = Add(x, s)\n y = {_LN}(t, gamma2)",
    "computed gamma": f"t = Add(x, s)\n g = Exp(bias)\n y = {_LN}(t, g)",
    "a negative epsilon": f"t = Add(x, s)\n y = {_RMS.replace('0.25', '-0.25')}(t, gamma)",
    "more than one axis": f"t = Add(x, s)\n y = {_LN.replace('-1', '1')}(t, plane)",
}


def _model(body: str, outputs: str = "y") -> ir.Model:
    declared = ", ".join(f"float[B, 3, 8] {output}" for output in outputs.split())
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[B, 3, 8] x, float[B, 3, 8] s, float[3, 8] table, float[B, 3, 1] column)
        => ({declared})
        <float[8] gamma = {{0.5, -1.25, 2.0, 0.75, 1.5, -0.25, 1.0, 3.0}},
         float[8] beta = {{0.125, -0.5, 1.0, 0.0, -2.0, 0.25, 0.75, -1.0}},
         float[8] bias = {{1.0, 0.5, -0.25, 2.0, 0.75, -1.5, 0.125, 0.25}},
         float[1, 8] gamma2 = {{0.5, -1.25, 2.0, 0.75, 1.5, -0.25, 1.0, 3.0}},
         float[3, 8] plane = {{{", ".join(["0.5"] * 24)}}}> {{ {body} }}"""
    )
    for node in model.graph:  # every computed value of these bodies has the shape of x
        value = node.outputs[0]
        value.type = model.graph.inputs[0].type
        is_vector = node.op_type == "Exp"
        value.shape = ir.Shape([8]) if is_vector else model.graph.inputs[0].shape
    return model


def _inputs() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(4)
    return {
        "x": draw.normal(1, 1, (2, 3, 8)),
        "s": draw.normal(-0.5, 2, (2, 3, 8)),
        "table": draw.normal(0, 1, (3, 8)),
        "column": draw.normal(0, 1, (2, 3, 1)),
    }


@pytest.mark.parametrize("name", FUSED)
def test_the_whole_computes_what_the_parts_did(name: str) -> None:
    body, outputs, operators, inputs = FUSED[name]
    model = _model(body, outputs)
    before = evaluate(cast_to_float64(model), _inputs())
    fuse = FuseSkipNorms()
    fuse(model)
    assert sum(fuse.record.values()) == 1
    assert [node.op_type for node in model.graph] == operators
    (fused,) = [node for node in model.graph if node.op_type.startswith("Skip")]
    assert [value and value.name for value in fused.inputs] == inputs
    assert fused.attributes["epsilon"].value == 0.25
    assert model.graph.opset_imports["com.microsoft"] == 1
    after = evaluate(cast_to_float64(model), _inputs())
    assert list(before) == outputs.split()
    assert_close(after, before, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", FUSED)
def test_onnx_runtime_agrees(name: str) -> None:
    body, outputs, _, _ = FUSED[name]
    model = _model(body, outputs)
    truth = evaluate(cast_to_float64(model), _inputs())
    FuseSkipNorms()(model)
    assert_runs_as(model, truth, _inputs())


@pytest.mark.parametrize("name", UNFUSED)
def test_what_the_kernels_do_not_take_stays(name: str) -> None:
    model = _model(UNFUSED[name])
    before = [node.op_type for node in model.graph]
    assert not FuseSkipNorms()(model).modified
    assert [node.op_type for node in model.graph] == before


def test_float64_stays() -> None:
    model = cast_to_float64(_model(FUSED["LayerNorm"][0]))
    assert not FuseSkipNorms()(model).modified


@pytest.mark.parametrize("norm", [_LN, _RMS])
def test_a_gamma_of_a_wider_type_stays(norm: str) -> None:
    """ONNX Runtime takes such norms, but no such fused node."""
    model = _model(f"t = Add(x, s)\n y = {norm}(t, gamma)")
    for value in (*model.graph.inputs[:2], model.graph.node(0).outputs[0]):
        value.type = ir.TensorType(ir.DataType.FLOAT16)
    assert not FuseSkipNorms()(model).modified


def test_an_unknown_shape_stays() -> None:
    model = _model(FUSED["LayerNorm"][0])
    model.graph.inputs[1].shape = None
    assert not FuseSkipNorms()(model).modified


def test_two_unnamed_dimensions_are_not_proved_equal() -> None:
    model = _model(FUSED["LayerNorm"][0])
    for value in (*model.graph.inputs[:2], model.graph.node(0).outputs[0]):
        value.shape = ir.Shape([None, 3, 8])
    assert not FuseSkipNorms()(model).modified
