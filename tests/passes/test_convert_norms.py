"""LN(x) = RMS(C x) + beta: attributes, types and names survive the conversion."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes import pipeline
from tests.passes.graphs import graph, optimized, random_array

_BODY = "x = MatMul(a, w) n = LayerNormalization<{0}>(x, g, c) y = Relu(n)"
_WEIGHTS = "w[4,8] g[8] c[8]"


@pytest.mark.parametrize("epsilon", ["epsilon = 0.5", "epsilon = 1e-12", "axis = -1", "axis = 2"])
@pytest.mark.parametrize("opset", [13, 17, 18, 20, 23])
def test_every_opset_and_epsilon(epsilon: str, opset: int) -> None:
    model = graph(_BODY.format(epsilon), _WEIGHTS, outputs="float y", opset=opset)
    outcome = optimized(model)
    assert outcome.converted == {"n"}
    assert outcome.after.opset_imports[""] == opset
    assert outcome.count("LayerNormalization") == 0


GAMMAS = {
    "one number": ("[1]", (1,)),
    "a scalar": ("[]", ()),
    "of rank 3": ("[1,1,8]", (1, 1, 8)),
}


@pytest.mark.parametrize(("dims", "shape"), GAMMAS.values(), ids=GAMMAS)
def test_every_shape_of_gamma_and_beta(dims: str, shape: tuple[int, ...]) -> None:
    body = "x = MatMul(a, w) n = LayerNormalization(x, gg, cc) y = Relu(n)"
    outcome = optimized(graph(body, f"w[4,8] gg{dims} cc{dims}", outputs="float y"))
    assert outcome.converted == {"n"}


def test_names_of_values_survive() -> None:
    body = """x = MatMul(a, w) [first] n = LayerNormalization(x, g, c) q = MatMul(n, m)
        s = Add(x, q) [second] y = LayerNormalization(s, g, c)"""
    outcome = optimized(graph(body, _WEIGHTS + " m[8,8]", outputs="float y"))
    assert outcome.converted == {"first", "second"}
    values = {value.name for node in outcome.after.graph for value in node.outputs}
    assert values >= {"x", "n", "s", "y"}
    assert outcome.counts["norms converted"] == 2
    assert outcome.counts["betas kept"] == 1
    names = [node.name for node in outcome.after.graph]
    assert len(set(names)) == len(names)


def test_a_model_of_one_norm_has_the_norm_as_its_output() -> None:
    outcome = optimized(
        graph("y = LayerNormalization(t, g, c)", "t[3,8] g[8] c[8]", inputs="float q")
    )
    assert outcome.converted == {"y"}
    assert [value.name for value in outcome.after.graph.outputs] == ["y"]


@pytest.mark.parametrize("dtype", ["float", "float16", "bfloat16"])
def test_weights_of_the_models_own_type_are_rounded_once(dtype: str) -> None:
    """The saved weight is the nearest to C w, w as it is stored, computed in float64."""
    types = {"float": ir.DataType.FLOAT, "float16": ir.DataType.FLOAT16}
    numpy = types.get(dtype, ir.DataType.BFLOAT16).numpy()
    arrays = {
        name: random_array(name, shape).astype(numpy)
        for name, shape in {"w": (4, 8), "b": (8,), "g": (8,), "c": (8,), "m": (8, 8)}.items()
    }
    model = graph(
        """p = MatMul(a, w) x = Add(p, b) n = LayerNormalization(x, g, c) q = MatMul(n, m)
        y = Relu(q)""",
        inputs=f"{dtype}[B,S,4] a",
        outputs=f"{dtype} y",
        constants=arrays,
        float64=False,
    )
    pipeline.run(model, pipeline.Options(ops="standard"))
    exact = {name: array.astype(np.float64) for name, array in arrays.items()}
    saved = {name: value.const_value.numpy() for name, value in model.graph.initializers.items()}
    for name in ("w", "b"):
        expected = exact[name] - exact[name].mean(axis=-1, keepdims=True)
        assert (saved[name] == expected.astype(numpy)).all()
    (bias,) = [name for name in saved if "bias" in name]
    assert (saved[bias] == (exact["c"] @ exact["m"]).astype(numpy)).all()


@pytest.mark.parametrize(("dtype", "numpy"), [("float", np.float32), ("float16", np.float16)])
def test_the_error_is_at_most_twice_that_of_the_original(dtype: str, numpy: type) -> None:
    """Each against the original in float64 (the rule for saved files)."""
    shapes = {"w": (16, 64), "b": (64,), "g": (64,), "c": (64,), "m": (64, 64), "k": (64, 8)}
    arrays = {
        name: (random_array(name, shape) / math.sqrt(shape[0])).astype(numpy)
        for name, shape in shapes.items()
    }
    model = graph(
        """p = MatMul(a, w) x = Add(p, b) n = LayerNormalization(x, g, c) q = MatMul(n, m)
        r = Add(x, q) o = LayerNormalization(r, g, c) y = MatMul(o, k)""",
        inputs=f"{dtype}[B,S,16] a",
        outputs=f"{dtype} y",
        constants=arrays,
        float64=False,
    )
    feeds = {"a": random_array("a", (4, 32, 16)).astype(numpy)}
    truth = evaluate(cast_to_float64(model), {"a": feeds["a"].astype(np.float64)})["y"]
    before = np.abs(evaluate(model, feeds)["y"].astype(np.float64) - truth).max()
    summary, _ = pipeline.run(model, pipeline.Options(ops="standard"))
    assert summary.converted == 2
    after = np.abs(evaluate(model, feeds)["y"].astype(np.float64) - truth).max()
    assert after <= 2 * before
