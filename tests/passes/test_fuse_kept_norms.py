"""A LayerNorm that stays, and the residual Add before it, become one node."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes import pipeline
from graphopt.passes.fuse_kept_norms import FuseKeptNorms
from graphopt.passes.infer_shapes import InferShapes
from tests.onnx_runtime import OptimizedSession
from tests.passes.graphs import graph, optimized
from tests.passes.outputs import assert_close, assert_runs_as

_NORM = "LayerNormalization<axis = 2, epsilon = 0.25>"

# name: (body, outputs, operators after, names of the inputs of each node that a norm became)
FUSED: dict[str, tuple[str, str, list[str], list[list[str]]]] = {
    "a norm alone": (
        f"y = {_NORM}(x, gamma, beta)",
        "y",
        ["LayerNorm"],
        [["x", "gamma", "beta"]],
    ),
    "no beta": (
        f"n = {_NORM}(x, gamma) y = {_NORM}(n, gamma)",
        "y",
        ["LayerNorm", "LayerNorm"],
        [["x", "gamma", "norm.beta"], ["n", "gamma", "norm.beta"]],
    ),
    "a Post-LN block": (
        f"b = Add(s, bias) t = Add(b, x) y = {_NORM}(t, gamma, beta)",
        "y",
        ["SkipLayerNorm"],
        [["s", "x", "gamma", "beta", "bias"]],
    ),
    "two Post-LN blocks": (
        f"b = Add(s, bias) t = Add(b, x) n = {_NORM}(t, gamma, beta) r = Relu(n) "
        f"c = Add(r, bias) u = Add(c, n) y = {_NORM}(u, gamma, beta)",
        "y",
        ["SkipLayerNorm", "Relu", "SkipLayerNorm"],
        [["s", "x", "gamma", "beta", "bias"], ["r", "n", "gamma", "beta", "bias"]],
    ),
    "the sum goes on": (
        f"t = Add(x, s) n = {_NORM}(t, gamma, beta) y = Add(t, n)",
        "y",
        ["SkipLayerNorm", "Add"],
        [["x", "s", "gamma", "beta"]],
    ),
    "one of two sums goes on": (
        f"t = Add(x, s) n = {_NORM}(t, gamma, beta) r = Relu(n) u = Add(r, t) "
        f"y = {_NORM}(u, gamma, beta)",
        "y",
        ["SkipLayerNorm", "Relu", "SkipLayerNorm"],
        [["x", "s", "gamma", "beta"], ["r", "t", "gamma", "beta"]],
    ),
    "the sum is an output": (
        f"t = Add(x, s) y = {_NORM}(t, gamma, beta)",
        "y t",
        ["SkipLayerNorm"],
        [["x", "s", "gamma", "beta"]],
    ),
    "two norms of one sum": (
        f"t = Add(x, s) n = {_NORM}(t, gamma, beta) m = {_NORM}(t, beta, gamma) y = Add(n, m)",
        "y",
        ["SkipLayerNorm", "LayerNorm", "Add"],
        [["x", "s", "gamma", "beta"], ["t", "beta", "gamma"]],
    ),
    "a bias in one of two: taking it in spares no more Adds": (
        f"t = Add(s, x) n = {_NORM}(t, gamma, beta) r = Relu(n) c = Add(r, bias) "
        f"u = Add(c, n) y = {_NORM}(u, gamma, beta)",
        "y",
        ["SkipLayerNorm", "Relu", "Add", "SkipLayerNorm"],
        [["s", "x", "gamma", "beta"], ["c", "n", "gamma", "beta"]],
    ),
    "an Add that broadcasts": (
        f"t = Add(table, x) y = {_NORM}(t, gamma, beta)",
        "y",
        ["Add", "LayerNorm"],
        [["t", "gamma", "beta"]],
    ),
    "a beta that is computed from the sum": (
        f"""t = Add(x, s) v = Softmax(t) h = ReduceMean<axes = [0, 1], keepdims = 0>(v)
        y = {_NORM}(t, gamma, h)""",
        "y",
        ["Add", "Softmax", "ReduceMean", "LayerNorm"],
        [["t", "gamma", "h"]],
    ),
}
KEPT = {
    "over two axes": "y = LayerNormalization<axis = 1>(x, wide)",
    "a gamma that is not proved to be [d]": f"y = {_NORM}(x, one)",
    "of which the mean is read": "n, y = LayerNormalization<axis = 2>(x, gamma)",
    "in bfloat16": "y = LayerNormalization<axis = 2, stash_type = 16>(x, gamma)",
    "an RMSNorm": "y = RMSNormalization<axis = 2>(x, gamma)",
}


def _model(body: str, outputs: str = "y", opset: int = 17) -> ir.Model:
    declared = ", ".join(f"float[B, 3, 8] {output}" for output in outputs.split())
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : {opset}]>
        g (float[B, 3, 8] x, float[B, 3, 8] s, float[3, 8] table) => ({declared})
        <float[8] gamma = {{0.5, -1.25, 2.0, 0.75, 1.5, -0.25, 1.0, 3.0}},
         float[8] beta = {{0.75, 0.5, -2.25, 1.0, 0.125, -1.5, 0.25, 0.5}},
         float[8] bias = {{1.0, 0.5, -0.25, 2.0, 0.75, -1.5, 0.125, 0.25}},
         float[3, 8] wide = {{{", ".join(["1.5"] * 24)}}},
         float[1] one = {{1.5}}> {{ {body} }}"""
    )
    InferShapes()(model)
    return model


def _inputs() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(4)
    shapes = {"x": (2, 3, 8), "s": (2, 3, 8), "table": (3, 8)}
    return {name: draw.normal(0.5, 1, shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("name", FUSED)
def test_the_whole_computes_what_the_parts_did(name: str) -> None:
    body, outputs, operators, inputs = FUSED[name]
    model = _model(body, outputs)
    before = evaluate(cast_to_float64(model), _inputs())
    fuse = FuseKeptNorms()
    fuse(model)
    names = ("LayerNorm", "SkipLayerNorm")
    assert fuse.record == {name: operators.count(name) for name in names}
    assert [node.op_type for node in model.graph] == operators
    fused = [node for node in model.graph if node.domain == "graphopt"]
    assert [[value.name for value in node.inputs] for node in fused] == inputs
    assert {node.attributes["epsilon"].value for node in fused} == {0.25}
    assert {key[1] for key in model.functions} == {name for name in names if name in operators}
    after = evaluate(cast_to_float64(model), _inputs())
    assert list(before) == outputs.split()
    assert_close(after, before, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("opset", [12, 13, 17, 18])
@pytest.mark.parametrize("name", FUSED)
def test_onnx_runtime_agrees(name: str, opset: int) -> None:
    body, outputs, _, _ = FUSED[name]
    if opset >= 18:
        body = body.replace("<axes = [0, 1], keepdims = 0>(v)", "<keepdims = 0>(v, first)")
        body = f"first = Constant<value_ints = [0, 1]>() {body}"
    model = _model(body, outputs, opset)
    truth = evaluate(cast_to_float64(model), _inputs())
    FuseKeptNorms()(model)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    assert_runs_as(model, truth, _inputs())


@pytest.mark.parametrize("name", KEPT)
def test_what_the_operators_do_not_take_stays(name: str) -> None:
    model = _model(KEPT[name])
    before = [node.op_type for node in model.graph]
    assert not FuseKeptNorms()(model).modified
    assert [node.op_type for node in model.graph] == before
    assert not model.functions


def test_the_sums_are_outputs_only_where_one_is_read() -> None:
    for name, count in (("two Post-LN blocks", 1), ("one of two sums goes on", 2)):
        model = _model(*FUSED[name][:2])
        FuseKeptNorms()(model)
        fused = [node for node in model.graph if node.op_type == "SkipLayerNorm"]
        assert [len(node.outputs) for node in fused] == [count, count]
        assert len(model.functions["graphopt", "SkipLayerNorm", ""].outputs) == count


@pytest.mark.parametrize(
    ("dtype", "opset", "is_taken"),
    [
        ("float", 11, False),
        ("float", 12, True),
        ("float16", 16, False),
        ("float16", 17, True),
        ("bfloat16", 17, True),
        ("double", 16, False),
        ("double", 17, True),
    ],
)
def test_types_whose_bodies_onnx_runtime_fuses(dtype: str, opset: int, is_taken: bool) -> None:
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : {opset}]>
        g ({dtype}[B, 8] x, {dtype}[B, 8] s, {dtype}[8] gamma, {dtype}[8] beta)
        => ({dtype}[B, 8] y) {{ t = Add(x, s) y = LayerNormalization(t, gamma, beta) }}"""
    )
    InferShapes()(model)
    assert FuseKeptNorms()(model).modified == is_taken
    assert {key[1] for key in model.functions} == ({"SkipLayerNorm"} if is_taken else set())


def test_the_type_of_most_norms_gets_the_operators() -> None:
    model = _model(f"""n = {_NORM}(x, gamma, beta) m = {_NORM}(n, gamma, beta)
        h = Cast<to = 10>(m) g = Cast<to = 10>(gamma) k = {_NORM}(h, g, g) y = Cast<to = 1>(k)""")
    FuseKeptNorms()(model)
    operators = [node.op_type for node in model.graph if "Norm" in node.op_type]
    assert operators == ["LayerNorm", "LayerNorm", "LayerNormalization"]


def test_shapes_that_are_not_proved_equal_keep_the_add() -> None:
    model = _model(FUSED["the sum is an output"][0])
    model.graph.inputs[1].shape = ir.Shape([None, 3, 8])
    FuseKeptNorms()(model)
    assert [node.op_type for node in model.graph] == ["Add", "LayerNorm"]


def test_without_kernels_onnx_runtime_does_not_run_its_slow_skip_norm() -> None:
    model = _model(FUSED["two Post-LN blocks"][0])
    assert OptimizedSession(model).operators["SkipLayerNormalization"] == 2
    FuseKeptNorms()(model)
    assert OptimizedSession(model).operators == {"Sum": 2, "LayerNormalization": 2, "Relu": 1}


_POST_LN = """x = MatMul(a, w) n = LayerNormalization(x, g, c) p = MatMul(n, v) p2 = Add(p, b)
    s = Add(n, p2) m = LayerNormalization(s, h, c) q = MatMul(m, v) q2 = Add(q, b)
    t = Add(m, q2) l = LayerNormalization(t, k, c) y = MatMul(l, u)"""
_WEIGHTS = "w[4,8] g[8] c[8] v[8,8] b[8] h[8] k[8] u[8,6]"


@pytest.mark.parametrize("opset", [17, 18, 23])
def test_a_norm_that_is_fused_keeps_its_reason(opset: int) -> None:
    model = graph(_POST_LN, _WEIGHTS, outputs="float[B,S,6] y", opset=opset)
    outcome = optimized(model, ops="custom", fuse=True)
    assert outcome.converted == {"n"}
    assert outcome.reasons.keys() == {"m", "l"}
    assert all(outcome.reasons.values())
    assert outcome.counts["SkipLayerNorm"] == 2
    assert outcome.count("SkipLayerNorm") == 2


@pytest.mark.parametrize("options", [{"fuse": False}, {"skip": frozenset({"fuse-kept-norms"})}])
def test_it_can_be_left_out(options: dict[str, object]) -> None:
    outcome = optimized(
        graph(_POST_LN, _WEIGHTS, outputs="float[B,S,6] y"),
        **{"ops": "custom", "fuse": True, **options},
    )
    assert outcome.count("LayerNormalization") == 2


@pytest.mark.parametrize(("ops", "provider"), [("standard", "cpu"), ("custom", "cuda")])
def test_where_there_are_no_kernels_norms_keep_their_spelling(ops: str, provider: str) -> None:
    model = graph(_POST_LN, _WEIGHTS, outputs="float[B,S,6] y")
    outcome = optimized(model, ops=ops, provider=provider, fuse=True)
    assert outcome.count("LayerNormalization") == 3 - len(outcome.converted)
    assert outcome.count("LayerNorm") == outcome.count("SkipLayerNorm") == 0


def test_norms_that_a_fused_operator_of_onnx_runtime_held_are_fused() -> None:
    body = _POST_LN.replace(
        "s = Add(n, p2) m = LayerNormalization(s, h, c)",
        "m = com.microsoft.SkipLayerNormalization<epsilon = 0.5>(n, p2, h, c)",
    )
    outcome = optimized(graph(body, _WEIGHTS, outputs="float[B,S,6] y"), ops="custom", fuse=True)
    assert outcome.count("SkipLayerNorm") == 2


@pytest.mark.parametrize("opset", [13, 17])
@pytest.mark.parametrize("fuse", [True, False])
def test_what_was_fused_is_read_back(opset: int, fuse: bool) -> None:
    decomposed = """x = MatMul(a, w) s = Add(a, x) r = ReduceMean<axes = [-1]>(s) d = Sub(s, r)
        e = Mul(d, d) v = ReduceMean<axes = [-1]>(e) f = Add(v, i) o = Sqrt(f) n = Div(d, o)
        m = Mul(n, g) y = Add(m, c)"""
    model = graph(
        decomposed,
        "w[4,4] g[4] c[4]",
        outputs="float[B,S,4] y",
        constants={"i": np.array(0.25, np.float32)},
        opset=opset,
        float64=False,
    )
    inputs = {"a": np.random.default_rng(0).normal(0.5, 1, (2, 3, 4))}
    truth = evaluate(cast_to_float64(model), inputs)
    pipeline.run(model, pipeline.Options(ops="custom"))
    assert [node.op_type for node in model.graph] == ["MatMul", "SkipLayerNorm"]
    again = ir.from_proto(ir.to_proto(model))
    pipeline.run(again, pipeline.Options(ops="custom", fuse=fuse))
    operators = {node.op_type for node in again.graph}
    assert ("SkipLayerNorm" in operators) == fuse
    assert ("LayerNormalization" in operators) == (not fuse and opset >= 17)
    onnx.checker.check_model(ir.to_proto(again), full_check=True)
    assert_runs_as(again, truth, inputs)
