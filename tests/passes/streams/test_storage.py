"""Weights that are stored in a shorter type than the one that computes with them.

What is recentred is kept in the type that computes, or is not absorbed: the error against float64
stays within twice that of the original.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes import pipeline
from graphopt.passes.infer_shapes import InferShapes
from graphopt.passes.streams.storage import widens_stored
from tests.onnx_runtime import OptimizedSession
from tests.passes.graphs import graph

_SHORT = {"float16": 10, "bfloat16": 16, "float8e4m3fn": 17, "float8e5m2": 19}
_BODY = """t = Cast<to = 1>(table) x = Gather(t, ids)
    u = Cast<to = 1>(up) d = Cast<to = 1>(down) e = Cast<to = 1>(bias)
    n = LayerNormalization(x, g, c) m = MatMul(n, u) r = Relu(m) o = MatMul(r, d) p = Add(o, e)
    s = Add(x, p) q = LayerNormalization(s, g, c) y = MatMul(q, u)"""
_WEIGHTS = "g[32] c[32]"
_INPUTS = {"inputs": "int64[B,S] ids", "outputs": "float[B,S,48] y", "float64": False}


def _constants(dtype: ir.DataType) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(5)
    shapes = {"table": (11, 32), "up": (32, 48), "down": (48, 32), "bias": (32,)}
    return {
        name: draw.normal(0.6, 1.0, shape).astype(dtype.numpy()) for name, shape in shapes.items()
    }


def _model(dtype: ir.DataType, body: str = _BODY, **given: object) -> ir.Model:
    model = graph(body, _WEIGHTS, **{"opset": 19, **_INPUTS, **given})
    for name, array in _constants(dtype).items():
        value = ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(array.shape))
        value.const_value = ir.Tensor(array, dtype=dtype, name=name)
        uses = [node for node in model.graph if any(v and v.name == name for v in node.inputs)]
        model.graph.register_initializer(value)
        for node in uses:
            for index, operand in enumerate(node.inputs):
                if operand is not None and operand.name == name:
                    node.replace_input_with(index, value)
    return model


def _optimized(model: ir.Model, **options: object) -> tuple[ir.Model, set[str], dict[str, int]]:
    after = model.clone()
    summary, _ = pipeline.run(after, pipeline.Options(**options))
    converted = {norm.name for norm in summary.norms if norm.converted}
    return after, converted, {copy.tensor: copy.bytes for copy in summary.copies}


def _error(model: ir.Model, original: ir.Model) -> float:
    """Of ``model`` in ONNX Runtime, against ``original`` in float64, relative."""
    feeds = {"ids": np.random.default_rng(1).integers(0, 11, (3, 5))}
    truth = evaluate(cast_to_float64(original), feeds)["y"]
    found = OptimizedSession(model).run(feeds)["y"]
    return float(np.abs(found - truth).max() / np.abs(truth).max())


@pytest.mark.parametrize("dtype", _SHORT)
@pytest.mark.parametrize("variant", ["rms", "crms"])
def test_what_is_recentred_is_kept_in_the_type_that_computes(dtype: str, variant: str) -> None:
    short = ir.DataType(_SHORT[dtype])
    original = _model(short)
    after, converted, copies = _optimized(original, variant=variant)
    assert converted == {"n", "q"}
    for weight in ("t", "d", "e"):
        value = next(
            value for name, value in after.graph.initializers.items() if name.startswith(weight)
        )
        assert value.dtype == ir.DataType.FLOAT, value
    assert copies["t"] == 11 * 32 * (4 - short.itemsize)
    assert _error(after, original) <= 2 * _error(original, original)


def test_a_weight_that_is_not_recentred_stays_short() -> None:
    after, _, copies = _optimized(_model(ir.DataType.FLOAT16))
    assert after.graph.initializers["up"].dtype == ir.DataType.FLOAT16
    assert "u" not in copies


def test_growth_is_bounded() -> None:
    after, converted, copies = _optimized(_model(ir.DataType.FLOAT16), max_growth=0.1)
    assert (converted, copies) == (set(), {})
    assert after.graph.initializers["table"].dtype == ir.DataType.FLOAT16


def test_entries_that_are_picked_before_the_cast_are_recentred_behind_it() -> None:
    body = """h = Gather(table, ids) x = Cast<to = 1>(h) u = Cast<to = 1>(up)
        n = LayerNormalization(x, g, c) k = LayerNormalization(x, g, c) z = Add(n, k)
        l = LayerNormalization(x, c, g) w = Add(z, l) y = MatMul(w, u)"""
    original = _model(ir.DataType.FLOAT16, body)
    after = original.clone()
    summary, _ = pipeline.run(after, pipeline.Options())
    assert [recentring.value for recentring in summary.recentrings] == ["x"]
    assert after.graph.initializers["table"].dtype == ir.DataType.FLOAT16
    assert _error(after, original) <= 2 * _error(original, original)


@pytest.mark.parametrize(
    ("body", "is_stored"),
    [
        ("h = Gather(table, ids) y = Cast<to = 1>(h)", True),
        ("y = Cast<to = 1>(up)", True),
        ("h = Transpose(up) r = Reshape(h, flat) y = Cast<to = 1>(r)", True),
        ("h = Concat<axis = 0>(table, table) y = Cast<to = 1>(h)", True),
        ("h = Add(bias, bias) y = Cast<to = 1>(h)", False),
        ("h = MatMul(up, down) y = Cast<to = 1>(h)", False),
        ("h = Cast<to = 1>(up) y = Cast<to = 10>(h)", False),
        ("y = Cast<to = 7>(up)", False),
    ],
)
def test_only_what_moves_constants_keeps_them_exact(body: str, is_stored: bool) -> None:
    model = _model(
        ir.DataType.FLOAT16, body, outputs="y", constants={"flat": np.array([-1], np.int64)}
    )
    InferShapes()(model)
    assert widens_stored(list(model.graph)[-1]) == is_stored


def test_a_layer_scale_is_not_folded_into_a_stored_weight() -> None:
    body = """t = Cast<to = 1>(table) x = Gather(t, ids) y = Mul(x, g)"""
    after, _, _ = _optimized(_model(ir.DataType.FLOAT16, body, outputs="float[B,S,32] y"))
    assert after.graph.initializers["table"].dtype == ir.DataType.FLOAT16
    assert any(node.op_type == "Mul" for node in after.graph)


def test_a_stored_weight_is_not_transposed_beforehand() -> None:
    body = """d = Cast<to = 1>(down) e = Transpose(d)
        t = Cast<to = 1>(table) x = Gather(t, ids) y = MatMul(x, e)"""
    after, _, _ = _optimized(_model(ir.DataType.FLOAT16, body))
    assert after.graph.initializers["down"].dtype == ir.DataType.FLOAT16
