"""What is computed behind an operator of which nothing is known has no known element type."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.passes import pipeline
from graphopt.passes.operators.custom_ops import define_operators
from tests.onnx_runtime import OptimizedSession
from tests.passes.graphs import graph, random_array

_TYPES = {"float": np.float32, "float16": np.float16, "double": np.float64}
_NORMS = 12

# Where x comes from, and if its norms convert: a weight tells the type of what it writes.
SOURCES = {
    "x = Reshape(i, sizes)": False,
    "r = Reshape(i, sizes) x = Add(r, r)": False,
    "r = Reshape(i, sizes) m = ReduceMax<axes = [2]>(r) x = Mul(r, m)": False,
    "r = Reshape(i, sizes) u = ReduceMean<axes = [2]>(r) c = Sub(r, u) x = Add(c, u)": False,
    """r = Reshape(i, sizes) u = ReduceMean<axes = [2]>(r) c = Sub(r, u) s = Add(c, u)
    x = Add(s, b)""": True,
    "r = Reshape(i, sizes) p = MatMul(r, square) x = Add(p, b)": True,
}


def _feeds(dtype: type) -> dict[str, np.ndarray]:
    """Matrices that can be inverted."""
    return {"a": (2 * np.eye(4) + random_array("a", (2, 4, 4)) / 4).astype(dtype)}


def _constants(dtype: type, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {name: random_array(name, shape).astype(dtype) for name, shape in shapes.items()}


@pytest.mark.parametrize("element", ["float16", "double"])
@pytest.mark.parametrize("variant", ["rms", "crms"])
@pytest.mark.parametrize("source", SOURCES)
def test_no_mean_is_taken_out_of_what_has_no_known_type(
    source: str, variant: str, element: str
) -> None:
    dtype = _TYPES[element]
    weights = {f"v{i}": (8, 8) for i in range(_NORMS)}
    norms = " ".join(
        f"n{i} = LayerNormalization(x, g) q{i} = MatMul(n{i}, v{i})" for i in range(_NORMS)
    )
    sums = ", ".join(f"q{i}" for i in range(_NORMS))
    model = graph(
        f"i = com.microsoft.Inverse(a) {source} {norms} y = Sum({sums})",
        inputs=f"{element}[B, 4, 4] a",
        outputs=f"{element} y",
        constants=_constants(dtype, g=(8,), b=(8,), square=(8, 8), **weights)
        | {"sizes": np.array([2, -1, 8])},
        float64=False,
    )
    feeds = _feeds(dtype)
    expected = OptimizedSession(model).run(feeds)["y"]
    summary, _ = pipeline.run(model, pipeline.Options(variant))
    assert bool(summary.converted) == SOURCES[source]
    found = OptimizedSession(model).run(feeds)["y"]
    scale = np.abs(expected.astype(np.float64)).max()
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-2)


@pytest.mark.parametrize("ops", ["custom", "standard", "ort"])
@pytest.mark.parametrize("element", _TYPES)
@pytest.mark.parametrize("call", ["CRMSNorm(i)", "RMSNorm(i, g)", "LayerNorm(i, g, g)"])
def test_an_operator_that_is_read_back_keeps_its_meaning(call: str, element: str, ops: str) -> None:
    dtype = _TYPES[element]
    model = graph(
        f"i = com.microsoft.Inverse(a) n = graphopt.{call} y = Neg(n)",
        inputs=f"{element}[B, D, D] a",
        outputs=f"{element} y",
        constants=_constants(dtype, g=(4,)),
        float64=False,
    )
    inverse, norm = model.graph.node(0), model.graph.node(1)
    norm.attributes["epsilon"] = ir.AttrFloat32("epsilon", 0.5)
    inverse.outputs[0].type = ir.TensorType(ir.DataType.from_numpy(np.dtype(dtype)))
    define_operators(model)
    inverse.outputs[0].type = None
    expected = OptimizedSession(model).run(_feeds(dtype))["y"]
    pipeline.run(model, pipeline.Options(ops=ops))
    found = OptimizedSession(model).run(_feeds(dtype))["y"]
    assert found.dtype == expected.dtype
    tolerance = 1e-2 if element == "float16" else 1e-5
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("ops", ["custom", "standard", "ort"])
@pytest.mark.parametrize("opset", [12, 17])
def test_a_norm_of_d_less_one_features_that_is_read_back_may_be_of_any_size(
    opset: int, ops: str
) -> None:
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : {opset}, "graphopt" : 1]>
        graph (float[B, D] a) => (float y) {{
            n = graphopt.CRMSNorm<epsilon = 0.5>(a) y = Neg(n) }}"""
    )
    define_operators(model)
    feeds = {"a": random_array("a", (2, 7))}
    expected = OptimizedSession(model).run(feeds)["y"]
    pipeline.run(model, pipeline.Options(ops=ops))
    np.testing.assert_allclose(OptimizedSession(model).run(feeds)["y"], expected, rtol=1e-5)
    assert any(node.op_type == "CRMSNorm" for node in model.graph) == (ops == "custom")
