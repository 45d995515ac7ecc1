"""Streams that are compressed behind an encoder, or read whole behind a decoder."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes import pipeline
from tests.passes.compression_cases import ALL, BASES, CHAIN, NORMS, Case, chain, check, norms
from tests.passes.graphs import cases, graph, optimized

CASES = {
    "a raw input of two norms": Case(
        "r = Relu(a) " + norms("r"),
        NORMS,
        compressed="n m",
        encoders="r",
        given={"inputs": "float[B,S,8] a"},
    ),
    "a graph input of two norms": Case(
        norms("a"), NORMS, compressed="n m", encoders="a", given={"inputs": "float[B,S,8] a"}
    ),
    "a centred input of two norms": Case(
        "r = ReduceMean<axes=[-1]>(a) s = Sub(a, r) " + norms("s"),
        NORMS,
        compressed="n m",
        encoders="s",
        given={"inputs": "float[B,S,8] a"},
    ),
    "a Softmax over a stream of two norms": Case(
        "x = MatMul(a, w) z = Softmax(x) " + norms("x"),
        NORMS + "w[4,8]",
        compressed="n m",
        encoders="x",
        given={"outputs": "float[B,S,6] y, float z"},
    ),
    "a Softmax at the end of a stream": Case(
        chain("y = Softmax(t)"),
        CHAIN,
        compressed="n m",
        shrinks=ALL,
        decoders="t",
        given={"outputs": "float y"},
    ),
    "a mean that is subtracted": Case(
        chain("r = ReduceMean<axes=[-1]>(t) d = Sub(t, r) y = Relu(d)"),
        CHAIN,
        compressed="n m",
        shrinks=ALL,
        decoders="t",
        given={"outputs": "float y"},
    ),
    "the number of entries": Case(
        chain("l = LayerNormalization(t, k) y = MatMul(l, v) z = Size(t)"),
        CHAIN,
        compressed="n m l",
        shrinks=ALL,
        decoders="t",
        given={"outputs": "float[B,S,6] y, int64 z"},
    ),
    "a norm that is a graph output": Case(
        chain("y = LayerNormalization(t, k, c)"),
        CHAIN,
        compressed="n m",
        shrinks=ALL,
        decoders="t",
        whole={"y": "graph output y reads it"},
    ),
    "a norm that computes its gamma": Case(
        chain("i2 = Relu(i) l = LayerNormalization(t, i2) y = MatMul(l, v)"),
        CHAIN,
        compressed="n m",
        shrinks=ALL,
        decoders="t",
        whole={"l": "its gamma is not constant"},
        given={"inputs": "float[B,S,4] a, float[8] i"},
    ),
    "a wide head without a bias": Case(
        chain("l = LayerNormalization(t, k, c) y = MatMul(l, o)"),
        CHAIN + "o[8,90]",
        compressed="n m",
        shrinks=ALL,
        decoders="t",
        whole={"l": "its beta stays"},
        given={"outputs": "float[B,S,90] y"},
    ),
    "a norm that stays": Case(
        chain("l = LayerNormalization(t, k, c) y = Relu(l)"),
        CHAIN,
        compressed="n m",
        shrinks=ALL,
        decoders="t",
        options={"provider": "cuda"},
    ),
    "one norm does not pay for a decoder": Case(
        "x = MatMul(a, w) z = Softmax(x) n = LayerNormalization(x, g, c) y = MatMul(n, v)",
        "w[4,8] g[8] c[8] v[8,6]",
        whole={"n": "Softmax z reads x whole"},
        given={"outputs": "float[B,S,6] y, float z"},
    ),
    "no decoder below opset 13": Case(
        "x = MatMul(a, w) z = Softmax<axis=-1>(x) " + norms("x"),
        NORMS + "w[4,8]",
        whole={"n": "Softmax z reads x whole", "m": "Softmax z reads x whole"},
        given={"outputs": "float[B,S,6] y, float z", "opset": 12},
    ),
    "heads": Case(
        """q = MatMul(a, w) s = Reshape(q, four) n = LayerNormalization(s, g, c)
        r = MatMul(n, v) y = Reshape(r, back)""",
        "w[4,24] g[8] c[8] v[8,6]",
        whole={"n": "q holds its features in blocks"},
        given={
            "constants": {"four": np.array([0, 0, 3, 8]), "back": np.array([0, 0, 18])},
            "outputs": "float[B,S,18] y",
        },
    ),
    "nothing reads it": Case(
        "x = MatMul(a, w) n = LayerNormalization(x, g) s = Shape(n) y = Cast<to=1>(s)",
        "w[4,8] g[8]",
        whole={"n": "nothing reads it"},
        given={"outputs": "float[3] y"},
    ),
}


@BASES
@cases(CASES)
def test_inserts_encoders_and_decoders(case: Case, basis: str) -> None:
    check(case, basis)


@BASES
@pytest.mark.parametrize("dtype", ["float16", "float"])
def test_encoders_and_decoders_keep_the_type(basis: str, dtype: str) -> None:
    body = "r = Relu(a) x = MatMul(r, w) z = Softmax(x) " + norms("x")
    inputs, outputs = f"{dtype}[B,S,8] a", f"{dtype}[B,S,6] y, {dtype}[B,S,8] z"
    random = np.random.default_rng(1)
    shapes = {"w": (8, 8), "g": 8, "c": 8, "h": 8, "v": (8, 6), "e": 6, "u": (8, 6)}
    kind = np.float16 if dtype == "float16" else np.float32
    weights = {name: random.normal(0.2, 0.5, shape).astype(kind) for name, shape in shapes.items()}
    model = graph(body, inputs=inputs, outputs=outputs, constants=weights, float64=False)
    truth = cast_to_float64(model.clone())
    pipeline.run(model, pipeline.Options(variant="crms", basis=basis, ops="standard"))
    for node in model.graph.all_nodes():
        assert "LayerNorm" not in node.op_type
    feed = random.normal(0.3, 1.0, (2, 3, 8)).astype(kind)
    found, exact = evaluate(model, {"a": feed}), evaluate(truth, {"a": feed.astype(np.float64)})
    tolerance = 2e-2 if dtype == "float16" else 1e-5
    for name, value in exact.items():
        assert found[name].dtype == kind
        np.testing.assert_allclose(found[name], value, rtol=0, atol=tolerance * abs(value).max())


def test_the_plan_has_one_order() -> None:
    """Encoders of values that are centred already come in one order, run after run."""
    names = [f"s{i}" for i in range(8)]
    body = "r = ReduceMean<axes=[-1]>(a) " + " ".join(
        f"{s} = Sub(a, r) n{s} = LayerNormalization({s}, g, c) p{s} = MatMul(n{s}, v) "
        f"m{s} = LayerNormalization<epsilon=0.1>({s}, g, c) q{s} = MatMul(m{s}, v) "
        f"y{s} = Add(p{s}, q{s})"
        for s in names
    )
    outputs = ", ".join(f"float[B,S,6] y{s}" for s in names)
    model = graph(body, "g[8] c[8] v[8,6]", inputs="float[B,S,8] a", outputs=outputs)
    summary = optimized(model, variant="crms").summary
    assert [change.value for change in summary.basis_changes] == names
