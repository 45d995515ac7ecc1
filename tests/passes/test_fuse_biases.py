from __future__ import annotations

from collections import Counter

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.passes import pipeline
from graphopt.passes.fuse_biases import FuseBiases
from tests.onnx_runtime import OptimizedSession
from tests.passes.attention import block, feeds, records
from tests.passes.graphs import graph

PRODUCT = "m = MatMul(x, w) s = Add(m, b)"
SPLIT = "y = Reshape<allowzero = 0>(s, split)"
# The nodes, and how many biases are fused.
CASES = {
    "heads split off": (f"{PRODUCT} {SPLIT}", 1),
    "the bias on the left": (f"m = MatMul(x, w) s = Add(b, m) {SPLIT}", 1),
    "a bias of rank 3": (f"m = MatMul(x, w) s = Add(m, wide) {SPLIT}", 1),
    "two projections": (
        f"{PRODUCT} t = Reshape(s, split) m2 = MatMul(x, w2) s2 = Add(m2, b) "
        "t2 = Reshape(s2, split) y = Sub(t, t2)",
        2,
    ),
    "an own size behind another": (f"{PRODUCT} y = Reshape(s, inner)", 0),
    "as many own sizes as there are": (f"{PRODUCT} y = Reshape(s, all_own)", 0),
    "an own size, and one from the rest": (f"{PRODUCT} y = Reshape(s, rest)", 1),
    "an own size, and one that is another": (f"{PRODUCT} y = Reshape(s, halves)", 0),
    "sizes of the run": (f"{PRODUCT} n = Shape(z) y = Reshape(s, n)", 0),
    "a sum that others read": (
        f"{PRODUCT} t = Reshape(s, split) r = ReduceSum(s) y = Add(t, r)",
        0,
    ),
    "a product that others read": (
        f"{PRODUCT} t = Reshape(s, split) r = ReduceSum(m) y = Add(t, r)",
        0,
    ),
    "no Reshape": (f"{PRODUCT} y = Relu(s)", 0),
    "a bias for each token": (f"m = MatMul(x, w) s = Add(m, position) {SPLIT}", 0),
    "one number as bias": (f"m = MatMul(x, w) s = Add(m, number) {SPLIT}", 0),
    "a bias that is computed": (f"m = MatMul(x, w) c = Relu(v) s = Add(m, c) {SPLIT}", 0),
    "a weight that is computed": (f"e = Relu(u) m = MatMul(x, e) s = Add(m, b) {SPLIT}", 0),
    "a stack of weights": (f"m = MatMul(x, stack) s = Add(m, b) {SPLIT}", 0),
    "a matrix": ("m = MatMul(rows, w) s = Add(m, b) y = Reshape(s, split)", 0),
    "a difference": (f"m = MatMul(x, w) s = Sub(m, b) {SPLIT}", 0),
}


def _model(body: str) -> ir.Model:
    return graph(
        body,
        "w[4,6] w2[4,6] b[6] wide[1,1,6] position[3,6] number[1] stack[2,4,6]",
        inputs="float[2,3,4] x, float[6,4] rows, float[6] v, float[4,6] u, float[2,3,2,3] z",
        outputs="float y",
        constants={
            "split": np.array([-1, 3, 2, 3]),
            "rest": np.array([0, -1, 2, 3]),
            "halves": np.array([0, -1, 3]),
            "inner": np.array([2, 0, 6]),
            "all_own": np.array([0, 0, 0]),
        },
    )


def _batched() -> ir.Model:
    return graph(
        CASES["heads split off"][0],
        "w[4,6] b[6]",
        inputs="float[B,3,4] x",
        outputs="float y",
        constants={"split": np.array([-1, 3, 2, 3])},
        float64=False,
    )


def _given(model: ir.Model) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0).normal
    return {v.name or "": draw(size=tuple(v.shape or ())) for v in model.graph.inputs}


@pytest.mark.parametrize("case", CASES)
def test_a_bias_before_a_reshape_of_known_sizes_becomes_the_start_of_a_gemm(case: str) -> None:
    body, count = CASES[case]
    model, original = _model(body), _model(body)
    assert records(model, FuseBiases()) == ({"biases fused": count} if count else {})
    operators = Counter(node.op_type for node in model.graph)
    before = Counter(node.op_type for node in original.graph)
    assert operators["Gemm"] == count
    assert before["Add"] - operators["Add"] == before["MatMul"] - operators["MatMul"] == count
    # Both products of "two projections" read one matrix.
    assert operators["Reshape"] - before["Reshape"] == (1 if count else 0)
    given = _given(original)
    expected, actual = evaluate(original, given)["y"], evaluate(model, given)["y"]
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= 1e-12 * np.abs(expected).max()


def test_onnx_runtime_adds_no_bias_of_its_own() -> None:
    model, original = (_batched() for _ in range(2))
    assert records(model, FuseBiases()) == {"biases fused": 1}
    given = {"x": np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)}
    session, plain = OptimizedSession(model), OptimizedSession(original)
    assert "Add" in plain.operators and "Gemm" not in plain.operators
    assert "Gemm" in session.operators and "Add" not in session.operators
    expected, actual = plain.run(given)["y"], session.run(given)["y"]
    assert np.abs(actual - expected).max() <= 2e-6 * np.abs(expected).max()


@pytest.mark.parametrize(("opset", "size", "fused"), [(14, 0, 1), (13, 0, 0), (13, 2, 1)])
def test_own_sizes_need_a_reshape_that_can_take_zeros(opset: int, size: int, fused: int) -> None:
    model = graph(
        f"{PRODUCT} y = Reshape(s, by_head)",
        "w[4,6] b[6]",
        inputs="float[2,3,4] x",
        outputs="float y",
        constants={"by_head": np.array([size, 3, 2, 3])},
        opset=opset,
    )
    assert records(model, FuseBiases()) == ({"biases fused": fused} if fused else {})


def test_a_zero_that_is_meant_stays() -> None:
    model = graph(
        f"{PRODUCT} y = Reshape<allowzero = 1>(s, nothing)",
        "w[4,6] b[6]",
        inputs="float[B,3,4] x",
        outputs="float y",
        constants={"nothing": np.array([0, 3, 6])},
    )
    assert records(model, FuseBiases()) == {}


@pytest.mark.parametrize(("tokens", "shapes"), [("S", 1), ("T", 2)])
def test_own_sizes_are_read_once_for_equal_dimensions(tokens: str, shapes: int) -> None:
    body = """m = MatMul(x, w) s = Add(m, b) t = Reshape(s, by_head)
        m2 = MatMul(x2, w) s2 = Add(m2, b) t2 = Reshape(s2, by_head)
        m3 = MatMul(x2, w2) s3 = Add(m3, b) t3 = Reshape(s3, by_head)
        y = Concat<axis = 1>(t, t2, t3)"""
    original, model = (
        graph(
            body,
            "w[4,6] w2[4,6] b[6]",
            inputs=f"float[B,S,4] x, float[B,{tokens},4] x2",
            outputs="float y",
            constants={"by_head": np.array([0, 0, 2, 3])},
            float64=False,
        )
        for _ in range(2)
    )
    assert records(model, FuseBiases()) == {"biases fused": 3}
    operators = Counter(node.op_type for node in model.graph)
    assert (operators["Gemm"], operators["Shape"], operators["Reshape"]) == (3, shapes, 5)
    for batch, count in ((1, 3), (5, 1), (2, 0)):
        given = {
            name: np.random.default_rng(0).normal(size=(batch, count, 4)).astype(np.float32)
            for name in ("x", "x2")
        }
        expected, actual = (OptimizedSession(each).run(given)["y"] for each in (original, model))
        assert actual.shape == expected.shape == (batch, 3 * count, 2, 3)
        assert np.abs(actual - expected).max(initial=0) <= 2e-6 * np.abs(expected).max(initial=0)


def test_an_empty_batch_stays_empty() -> None:
    model = _batched()
    assert records(model, FuseBiases()) == {"biases fused": 1}
    empty = np.zeros((0, 3, 4), np.float32)
    assert OptimizedSession(model).run({"x": empty})["y"].shape == (0, 3, 2, 3)


def test_the_product_of_a_branch_reads_a_matrix_of_the_branch() -> None:
    branch = "m = MatMul(x, w) s = Add(m, b) t = Reshape(s, split)"
    model = graph(
        f"""y = If(c) <then_branch = one () => (float[2,3,2,3] t) {{ {branch} }},
        else_branch = two () => (float[2,3,2,3] t2) {{ t2 = Neg(z) }}>""",
        "w[4,6] b[6]",
        inputs="float[2,3,4] x, float[2,3,2,3] z, bool c",
        outputs="float y",
        constants={"split": np.array([-1, 3, 2, 3])},
        float64=False,
    )
    original = model.clone()
    assert records(model, FuseBiases()) == {"biases fused": 1}
    draw = np.random.default_rng(0).normal
    for condition in (True, False):
        given = {
            "x": draw(size=(2, 3, 4)).astype(np.float32),
            "z": draw(size=(2, 3, 2, 3)).astype(np.float32),
            "c": np.array(condition),
        }
        expected = OptimizedSession(original).run(given)["y"]
        actual = OptimizedSession(model).run(given)["y"]
        assert np.abs(actual - expected).max() <= 2e-6 * np.abs(expected).max()


@pytest.mark.parametrize(("fuse", "fused"), [(True, 3), (False, 0)])
def test_the_projections_of_attention_take_their_biases(fuse: bool, fused: int) -> None:
    model = block("finite", float64=False)
    _, found = pipeline.run(model, pipeline.Options(fuse=fuse))
    counts = {name: count for record in found for name, count in record.detail.items()}
    assert counts.get("biases fused", 0) == fused
    given = feeds("left", np.float32)
    original = OptimizedSession(block("finite", float64=False)).run(given)["y"]
    result = OptimizedSession(model).run(given)["y"]
    assert np.abs(result - original).max() <= 1e-6 * np.abs(original).max()
