"""Shapes are inferred for the analysis, and what the file declared comes back."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.passes.graph import axes
from graphopt.passes.infer_shapes import ForgetShapes, InferShapes
from tests.passes.graphs import Case, assert_outcome, cases, graph

_NORM = " y = LayerNormalization(v, g, c)"
_W = "w[4,8] cls[1,1,8] t[11,8] g[8] c[8]"

# How exporters compute the sizes that they hand to Expand and Reshape; v must be followed
COMPUTED_SIZES = {
    "Expand to the batch of another value": Case(
        """h = Shape(a) i = Gather(h, zero) u = Unsqueeze(i, axis0) q = Concat<axis = 0>(u, ones)
        e = Expand(cls, q) x = MatMul(a, w) v = Concat<axis = 1>(e, x)"""
        + _NORM,
        _W,
        converts="y",
        absorbs="w cls",
    ),
    "Reshape back to what Shape said": Case(
        """x = MatMul(a, w) h = Shape(x) f = Reshape(x, flat) n = Neg(f) v = Reshape(n, h)"""
        + _NORM,
        _W,
        converts="y",
        absorbs="w",
    ),
    "Reshape to sizes that were put together": Case(
        """x = MatMul(a, w) h = Shape(a) i = Gather(h, zero) u = Unsqueeze(i, axis0)
        f = Reshape(x, flat) q = Concat<axis = 0>(u, rest) v = Reshape(f, q)"""
        + _NORM,
        _W,
        converts="y",
        absorbs="w",
    ),
    "Expand to sizes that cannot be followed": Case(
        """x = MatMul(a, w) e = Expand(cls, sizes) v = Add(x, e)""" + _NORM,
        _W,
        converts="y",
        absorbs="w cls",
        given={"inputs": "float[B,S,4] a, int64[3] sizes"},
        options={"feeds": {"sizes": np.array([1, 1, 8])}},
    ),
    "Reshape to sizes that cannot be followed, but for what gamma proves": Case(
        """x = MatMul(a, w) v = Reshape(x, sizes)""" + _NORM,
        _W,
        converts="y",
        absorbs="w",
        given={"inputs": "float[B,S,4] a, int64[3] sizes", "outputs": "float y"},
        options={"feeds": {"sizes": np.array([1, -1, 8])}},
    ),
    "integers that are worked out": Case(
        """eight = Add(six, two) h = Concat<axis = 0>(minus, eight) x = MatMul(a, w)
        v = Reshape(x, h)"""
        + _NORM,
        _W,
        converts="y",
        absorbs="w",
        given={"outputs": "float y"},
    ),
    "a remainder": Case(
        """r = Mod(six, eight) e = Add(r, two) h = Concat<axis = 0>(minus, e)
        x = MatMul(a, w) v = Reshape(x, h)"""
        + _NORM,
        _W,
        converts="y",
        absorbs="w",
        given={"outputs": "float y"},
    ),
    "integers of opset 11": Case(
        """h = Squeeze<axes = [0]>(eight) u = Unsqueeze<axes = [0]>(h)
        q = Concat<axis = 0>(minus, u) x = MatMul(a, w) v = Reshape(x, q)"""
        + _NORM,
        _W,
        converts="y",
        absorbs="w",
        given={"outputs": "float y", "opset": 11},
    ),
    "integers that are divided": Case(
        """four = Div(eight, two) h = Concat<axis = 0>(minus, four, two) x = MatMul(a, w)
        q = Reshape(x, h) s = Reshape(q, flat) v = Identity(s)"""
        + _NORM,
        _W,
        keeps={"y": "Reshape s writes it"},
        given={"outputs": "float y"},
    ),
}
_CONSTANTS = {
    "zero": np.array(0),
    "axis0": np.array([0]),
    "ones": np.array([1, 8]),
    "flat": np.array([-1, 8]),
    "rest": np.array([-1, 8]),
    "six": np.array([6]),
    "two": np.array([2]),
    "minus": np.array([-1]),
}


def _with_constants(case: Case) -> Case:
    constants = dict(_CONSTANTS)
    if "eight =" not in case.body:
        constants["eight"] = np.array([8])
    given = {"outputs": "float y", "constants": constants, **case.given}
    return Case(**{**vars(case), "given": given})


@cases({name: _with_constants(case) for name, case in COMPUTED_SIZES.items()})
def test_sizes_that_exporters_compute_are_followed(case: Case) -> None:
    assert_outcome(case)


def _shapes(model: ir.Model) -> dict[str, str]:
    values = [*model.graph.inputs, *(v for node in model.graph.all_nodes() for v in node.outputs)]
    return {value.name: str(value.shape) for value in values}


def test_declared_shapes_come_back() -> None:
    body = "x = MatMul(a, w) q = Relu(x) r = Reshape(q, shape) y = Neg(r)"
    model = graph(
        body,
        "w[4,8]",
        outputs="float[P,8] y",
        declared="float[B,R,8] q",
        constants={"shape": np.array([-1, 8])},
    )
    before = _shapes(model)
    InferShapes()(model)
    inferred = _shapes(model)
    assert inferred["x"] != before["x"] == "None"
    assert inferred["r"] != "None"
    ForgetShapes()(model)
    assert _shapes(model) == before


def test_new_values_lose_their_shape_and_new_outputs_keep_it() -> None:
    model = graph("y = MatMul(a, w)", "w[4,8]", outputs="float y")
    InferShapes()(model)
    for new in ("inner", "outer"):
        node = ir.node("Neg", [model.graph.outputs[0]], name=new)
        node.outputs[0].name, node.outputs[0].shape = new, ir.Shape([1, 2])
        model.graph.append(node)
    model.graph.outputs.append(node.outputs[0])
    ForgetShapes()(model)
    assert _shapes(model) == {"a": "[B,S,4]", "y": "None", "inner": "None", "outer": "[1,2]"}


def test_what_takes_the_place_of_an_output_has_the_shape_that_was_declared() -> None:
    model = graph("y = MatMul(a, w)", "w[4,8]", outputs="float[M,S,8] y")
    InferShapes()(model)
    (old,) = model.graph.outputs
    node = ir.node("Neg", [old])
    node.outputs[0].shape = old.shape
    model.graph.append(node)
    model.graph.outputs[0] = node.outputs[0]
    ForgetShapes()(model)
    assert str(model.graph.outputs[0].shape) == "[M,S,8]"


def test_inference_adds_no_constants_and_no_metadata() -> None:
    body = """h = Shape(a) i = Gather(h, zero) u = Unsqueeze(i, zero1) j = Add(u, u)
        k = Add(zero1, zero1) q = Add(j, k) y = Cast<to = 1>(q)"""
    constants = {"zero": np.array(0), "zero1": np.array([0])}
    model = graph(body, outputs="float y", constants=constants)
    InferShapes()(model)
    for node in model.graph:
        for value in node.outputs:
            assert value.const_value is None
            assert not value.metadata_props


@pytest.mark.parametrize("opset", [11, 13, 17, 18, 20, 23])
def test_every_opset_is_inferred(opset: int) -> None:
    model = graph("x = MatMul(a, w) y = Softmax(x)", "w[4,8]", outputs="float y", opset=opset)
    InferShapes()(model)
    (y,) = model.graph.outputs
    assert axes.dimension(y, 2) == 8


def test_a_branch_of_an_old_opset_is_worked_out_with_its_own_operators() -> None:
    """Squeeze took its axes as an attribute before opset 13."""
    body = """y = If (on) <then_branch = yes () => (float p) { h = Squeeze<axes = [0]>(eight2)
        k = Unsqueeze<axes = [0]>(h) s = Concat<axis = 0>(minus, k) x = MatMul(a, w)
        v = Reshape(x, s) p = Relu(v) }, else_branch = no () => (float q) { q = Relu(a) }>"""
    constants = {"eight2": np.array([8]), "minus": np.array([-1])}
    model = graph(
        body,
        "w[4,8]",
        inputs="float[B,S,4] a, bool on",
        outputs="float y",
        constants=constants,
        opset=11,
    )
    InferShapes()(model)
    (shape,) = [
        value.shape
        for node in model.graph.all_nodes()
        for value in node.outputs
        if value.name == "v"
    ]
    assert shape[1] == 8


@pytest.mark.parametrize("name", ["batch size", "x::y", "1st", "-"])
def test_a_dimension_may_have_any_name(name: str) -> None:
    """ONNX allows names that are no expressions; they return unchanged."""
    model = graph("x = MatMul(a, w) y = Relu(x)", "w[4,8]", outputs="float y")
    (a,) = model.graph.inputs
    a.shape = ir.Shape([name, "S", 4])
    InferShapes()(model)
    (y,) = model.graph.outputs
    assert axes.dimension(y, 2) == 8
    assert axes.dimension(y, 0) == axes.dimension(a, 0)
    ForgetShapes()(model)
    assert a.shape == ir.Shape([name, "S", 4])


def test_transposed_batch_axes_are_left_unknown() -> None:
    """ONNX Runtime writes them; a plain FusedMatMul beside them is inferred."""
    body = """b = MatMul(a, w) v = com.microsoft.FusedMatMul<transBatchA = 1, transBatchB = 1>(b, b)
        y = com.microsoft.FusedMatMul<transB = 1>(b, b)"""
    model = graph(body, "w[4,8]", inputs="float[2,3,4] a", outputs="float y, float v")
    InferShapes()(model)
    shapes = {value.name: value.shape for node in model.graph for value in node.outputs}
    assert shapes["y"] == ir.Shape([2, 3, 3])


LOOPS = {
    "no condition": """y = Loop(count, "", x) <body = b (int64 i, bool go, float[2, S] a)
        => (bool on, float[2, S] c) { on = Identity(go) c = Neg(a) }>""",
    "a sequence": """s = SequenceEmpty<dtype = 1>()
        t = Loop(count, go, s) <body = b (int64 i, bool k, seq(float[2, S]) a)
        => (bool on, seq(float[2, S]) c) { on = Identity(k) c = SequenceInsert(a, x) }>
        y = SequenceAt(t, count)""",
}


@pytest.mark.parametrize("body", LOOPS.values(), ids=LOOPS)
def test_what_a_loop_gives_may_be_left_unknown(body: str) -> None:
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[2, S] x) => (float[2, S] y) <int64 count = {{3}}, bool go = {{1}}> {{ {body} }}"""
    )
    InferShapes()(model)
    (loop,) = [node for node in model.graph if node.op_type == "Loop"]
    (result,) = loop.outputs
    body = loop.attributes["body"].as_graph()
    kinds = [value.type for value in (loop.inputs[2], body.inputs[2], body.outputs[1])]
    assert kinds == [kinds[0]] * 3
    assert result.is_graph_output() or result.type == kinds[0]
