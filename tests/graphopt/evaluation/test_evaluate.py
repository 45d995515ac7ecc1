"""The interpreter: nested graphs, functions, partial evaluation, memory and refusals."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import EvaluationFailed, UnsupportedOperator, evaluate
from graphopt.evaluation.error_function import erf
from tests.onnx_runtime import OptimizedSession

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(3, 4)).astype(np.float32)


NESTED = {
    "If captures values of every outer graph": (
        """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[3, 4] x, bool c) => (float[3, 4] y) {
            d = Neg(x)
            y = If (c) <
                then_branch = outer () => (float[3, 4] a) {
                    e = Exp(d)
                    a = If (c) <
                        then_branch = inner () => (float[3, 4] b) { b = Sub(e, d) },
                        else_branch = none () => (float[3, 4] b) { b = Identity(e) }
                    >
                },
                else_branch = other () => (float[3, 4] a) { a = Mul(d, x) }
            >
        }
        """,
        [{"x": X, "c": np.array(True)}, {"x": X, "c": np.array(False)}],
    ),
    "Loop carries state, stops on its condition and stacks": (
        """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[3, 4] x, int64 n, float[1] limit) => (float[3, 4] last, float[k, 3, 4] all) {
            two = Constant <value_float = 2.0> ()
            go = Constant <value = bool {1}> ()
            last, all = Loop (n, go, x) <
                body = b (int64 i, bool c, float[3, 4] v) =>
                       (bool next, float[3, 4] w, float[3, 4] seen) {
                    w = Mul(v, two)
                    seen = Add(w, x)
                    m = ReduceMax <keepdims = 0> (w)
                    below = Less(m, limit)
                    next = Squeeze(below)
                }
            >
        }
        """,
        [
            {"x": X, "n": np.array(3), "limit": np.array([1e9], np.float32)},
            {"x": X, "n": np.array(9), "limit": np.array([9], np.float32)},
        ],
    ),
    "Scan runs backwards and stacks on another axis": (
        """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[4] s, float[3, 4] x) => (float[4] t, float[4, 3] sums, float[3, 4] squares) {
            t, sums, squares = Scan <num_scan_inputs = 1, scan_input_directions = [1],
                                     scan_output_axes = [1, 0], scan_output_directions = [0, 1],
                body = b (float[4] a, float[4] r) => (float[4] p, float[4] q, float[4] z) {
                    p = Add(a, r)
                    q = Neg(p)
                    z = Mul(r, r)
                }
            > (s, x)
        }
        """,
        [{"s": X[0], "x": X}],
    ),
    "functions bind attributes and defaults": (
        """
        <ir_version: 8, opset_import: ["" : 17, "local" : 1]>
        g (float[3, 4] x) => (float[3, 4] y, float[3, 4] z) {
            y = local.scaled <axis = 0> (x)
            z = local.scaled <axis = 1, slope = 0.5> (x)
        }
        <domain: "local", opset_import: ["" : 17]>
        scaled <axis: int, slope: float = 0.25> (v) => (w) {
            s = Softmax <axis: int = @axis> (v)
            n = Neg(s)
            w = LeakyRelu <alpha: float = @slope> (n)
        }
        """,
        [{"x": X}],
    ),
}


@pytest.mark.parametrize("name", NESTED)
def test_nested_graphs_and_functions_give_what_onnx_runtime_gives(name: str) -> None:
    text, feeds = NESTED[name]
    model = ir.from_onnx_text(text)
    for feed in feeds:
        actual = evaluate(model, feed)
        for name, expected in OptimizedSession(model).run(feed).items():
            np.testing.assert_allclose(actual[name], expected, rtol=1e-5, atol=1e-6)


def test_a_loop_without_trips_gives_an_empty_stack() -> None:
    text, feeds = NESTED["Loop carries state, stops on its condition and stacks"]
    result = evaluate(ir.from_onnx_text(text), feeds[0] | {"n": np.array(0)})
    np.testing.assert_array_equal(result["last"], X)
    assert result["all"].shape == (0, 3, 4)


def test_any_value_can_be_asked_for_and_only_its_ancestors_are_evaluated() -> None:
    model = ir.from_onnx_text(
        """
        <ir_version: 8, opset_import: ["" : 17, "unknown" : 1]>
        g (float[3, 4] x) => (float[3, 4] y) {
            a = Neg(x)
            b = unknown.Mystery(a)
            y = Add(a, b)
        }
        """
    )
    np.testing.assert_array_equal(evaluate(model, {"x": X}, ["a"])["a"], -X)
    with pytest.raises(EvaluationFailed, match="no value 'q'"):
        evaluate(model, {"x": X}, ["q"])


def test_an_initializer_that_is_an_input_is_a_default() -> None:
    model = ir.from_onnx_text(
        """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1.0, 2.0}> { y = Mul(x, w) }
        """
    )
    x = np.array([3, 4], dtype=np.float32)
    np.testing.assert_array_equal(evaluate(model, {"x": x})["y"], [3, 8])
    np.testing.assert_array_equal(evaluate(model, {"x": x, "w": x})["y"], [9, 16])


REFUSALS = {
    "an operator nobody knows": (
        UnsupportedOperator,
        "node 'n': operator Mystery of domain 'unknown'",
        '<ir_version: 8, opset_import: ["" : 17, "unknown" : 1]> '
        "g (float[3, 4] x) => (float[3, 4] y) { [n] y = unknown.Mystery(x) }",
    ),
    "broadcasting by attribute": (
        UnsupportedOperator,
        "convert the model to opset 7 or newer",
        '<ir_version: 8, opset_import: ["" : 6]> '
        "g (float[3, 4] x) => (float[3, 4] y) { [n] y = Add(x, x) }",
    ),
    "shapes that do not fit": (
        EvaluationFailed,
        r"node 'n' \(MatMul\) cannot be evaluated on inputs of shape \(3, 4\), \(3, 4\)",
        '<ir_version: 8, opset_import: ["" : 17]> '
        "g (float[3, 4] x) => (float[3, 4] y) { [n] y = MatMul(x, x) }",
    ),
    "an input that was not given": (
        EvaluationFailed,
        "node 'n' reads 'z', which has no value",
        '<ir_version: 8, opset_import: ["" : 17]> '
        "g (float[3, 4] x, float[3, 4] z) => (float[3, 4] y) { [n] y = Add(x, z) }",
    ),
    "an input that the graph does not have": (
        EvaluationFailed,
        "the graph has no input 'x'; it has 'v'",
        '<ir_version: 8, opset_import: ["" : 17]> '
        "g (float[3, 4] v) => (float[3, 4] y) { [n] y = Neg(v) }",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_evaluated_is_a_typed_error_that_names_the_node(name: str) -> None:
    error, message, text = REFUSALS[name]
    with pytest.raises(error, match=message):
        evaluate(ir.from_onnx_text(text), {"x": X})


def test_memory_holds_the_live_set_and_not_the_whole_graph() -> None:
    lines = "\n".join(f"v{i + 1} = Neg(v{i})" for i in range(60))
    model = ir.from_onnx_text(
        f'<ir_version: 8, opset_import: ["" : 17]> g (float[n] v0) => (float[n] v60) {{ {lines} }}'
    )
    megabyte = np.ones(2**18, dtype=np.float32)
    tracemalloc.start()
    evaluate(model, {"v0": megabyte})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * megabyte.nbytes


def test_external_data_is_unmapped_after_its_last_reader(tmp_path: Path) -> None:
    model = ir.from_onnx_text(
        """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[2] x) => (float[2] y) <float[2] w = {1.0, 2.0}> { y = Mul(x, w) }
        """
    )
    ir.save(model, tmp_path / "model.onnx", external_data="data", size_threshold_bytes=0)
    loaded = ir.load(tmp_path / "model.onnx")
    result = evaluate(loaded, {"x": np.array([3, 4], dtype=np.float32)})["y"]
    np.testing.assert_array_equal(result, [3, 8])
    tensor = loaded.graph.initializers["w"].const_value
    assert isinstance(tensor, ir.ExternalTensor)
    assert tensor.raw is None


@pytest.mark.parametrize("sign", [1, -1])
def test_erf_is_exact_to_the_last_bits(sign: int) -> None:
    x = sign * np.concatenate([np.linspace(0, 7, 20001), 10.0 ** np.linspace(-300, 2, 3001)])
    exact = np.array([math.erf(value) for value in x])
    np.testing.assert_allclose(erf(x), exact, rtol=1e-15, atol=0)
    np.testing.assert_allclose(erf(x[:100]), exact[:100], rtol=1e-15, atol=0)


def test_erf_has_its_limits_and_keeps_type_and_shape() -> None:
    x = np.full((300, 2), np.inf, dtype=np.float16)
    x[0] = -np.inf, np.nan
    result = erf(x)
    assert (result.dtype, result.shape) == (x.dtype, x.shape)
    assert (result[0, 0], result[1, 0]) == (-1, 1)
    assert np.isnan(result[0, 1])


def naive_convolution(
    x: np.ndarray, w: np.ndarray, group: int, stride: int, pad: int
) -> np.ndarray:
    x = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    rows, columns = ((n - k) // stride + 1 for n, k in zip(x.shape[2:], w.shape[2:], strict=True))
    y = np.zeros((len(x), len(w), rows, columns))
    share, filters = x.shape[1] // group, len(w) // group
    for n, m, i, j in np.ndindex(*y.shape):
        first = (m // filters) * share
        window = x[n, first : first + share, i * stride :, j * stride :]
        y[n, m, i, j] = np.sum(window[:, : w.shape[2], : w.shape[3]] * w[m])
    return y


@pytest.mark.parametrize(("group", "stride", "pad"), [(1, 1, 0), (1, 2, 1), (2, 3, 2), (4, 1, 1)])
def test_conv_in_float64_is_the_sum_that_defines_it(group: int, stride: int, pad: int) -> None:
    x, w = RANDOM.normal(size=(2, 4, 7, 8)), RANDOM.normal(size=(8, 4 // group, 3, 2))
    model = ir.from_onnx_text(
        f"""
        <ir_version: 8, opset_import: ["" : 17]>
        g (double[n, 4, h, k] x, double[8, c, 3, 2] w) => (double[n, 8, i, j] y) {{
            y = Conv <group = {group}, strides = [{stride}, {stride}],
                      pads = [{pad}, {pad}, {pad}, {pad}]> (x, w)
        }}
        """
    )
    expected = naive_convolution(x, w, group, stride, pad)
    np.testing.assert_allclose(
        evaluate(model, {"x": x, "w": w})["y"], expected, rtol=1e-12, atol=1e-12
    )
