"""LayerNorm where a norm is hard to compute: as exact as ONNX Runtime's own, or more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from tests.native.operator_models import (
    EPSILON,
    LAYER,
    SKIP_LAYER,
    TYPES,
    Form,
    assert_right,
    expected_y,
    magnitude,
    model,
    open_session,
    random_values,
    run,
    serialized,
)
from tests.native.test_operators import available

# name: (factor, offset) of rows of standard deviation 1.
ROWS = {
    "plain": (1.0, 0.0),
    "a mean far from zero": (1.0, 1000.0),
    "a spread of few last bits": (1.0, 1e6),
    "a mean below zero": (3.0, -1e5),
    "large": (1e16, 0.0),
    "small": (1e-12, 0.0),
}
# Of these, ONNX Runtime normalizes on the CPU.
COMPARED = ("float32", "float16", "float64")


def rows(name: str, dtype: str, d: int) -> dict[str, np.ndarray]:
    factor, offset = ROWS[name]
    if dtype == "float16":  # whose largest number is 65504
        factor, offset = min(factor, 1e3), np.clip(offset, -1e3, 1e3)
    values = random_values((64, d), dtype, seed=d)
    drawn = np.random.default_rng(d).normal(size=(64, d))
    return values | {"X": (factor * drawn + offset).astype(TYPES[dtype])}


def error_of(y: np.ndarray, values: dict[str, np.ndarray], dtype: str) -> float:
    """The largest error, relative to what it is measured by."""
    difference = np.abs(y.astype(np.float64) - expected_y(LAYER, values, dtype))
    return float((difference / magnitude(LAYER, values, dtype)).max())


@pytest.mark.parametrize("d", [5, 48, 767, 4099])
@pytest.mark.parametrize("dtype", COMPARED)
@pytest.mark.parametrize("name", ROWS)
def test_it_is_as_exact_as_that_of_onnx_runtime(
    name: str, dtype: str, d: int, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = rows(name, dtype, d)
    element = int(helper.np_dtype_to_tensor_dtype(np.dtype(TYPES[dtype])))
    node = helper.make_node("LayerNormalization", LAYER.inputs, ["Y"], axis=-1, epsilon=EPSILON)
    stock = serialized([node], dict.fromkeys(LAYER.inputs, element), {"Y": element})
    session = onnxruntime.InferenceSession(stock, providers=["CPUExecutionProvider"])
    feeds = {key: values[key] for key in LAYER.inputs}
    theirs = error_of(session.run(None, feeds)[0], values, dtype)
    if np.isnan(theirs):  # as of ONNX Runtime 1.20, which subtracts squares
        theirs = np.inf
    few = 2 * float(np.finfo(TYPES[dtype]).eps)  # roundings at the end, which are in another order
    for instructions in available():
        monkeypatch.setenv("GRAPHOPT_INSTRUCTION_SET", instructions)
        session = open_session(model(LAYER, dtype), library)
        ours = error_of(run(session, values, dtype)["Y"], values, dtype)
        assert ours <= max(theirs, few)


@pytest.mark.parametrize("d", [1, 3, 33, 768])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("form", [LAYER, SKIP_LAYER], ids=str)
@pytest.mark.parametrize("largest", [1e20, 1e30, 3e38])
def test_sums_beyond_float32_do_not_overflow(
    largest: float, form: Form, dtype: str, d: int, library: Path
) -> None:
    values = random_values((5, d), dtype)
    draw = np.random.default_rng(0)
    values["X"] = (draw.uniform(0.2, 1, (5, d)) * largest).astype(TYPES[dtype])
    values["residual"] = np.zeros_like(values["X"])
    session = open_session(model(form, dtype), library)
    got = run(session, values, dtype)
    assert np.isfinite(got["Y"].astype(np.float64)).all()
    assert_right(form, values, got, dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_a_row_of_equal_entries_becomes_beta(dtype: str, library: Path) -> None:
    session = open_session(model(LAYER, dtype), library)
    for shape in ((4, 1), (3, 7), (2, 768), (2, 5000)):
        values = random_values(shape, dtype)
        for number in (0.0, 1 / 3, -50000.0):
            values["X"] = np.full(shape, number, TYPES[dtype])
            y = run(session, values, dtype)["Y"].astype(np.float64)
            beta = values["beta"].astype(np.float64)
            unit = float(np.finfo(np.float64 if dtype == "float64" else np.float32).eps)
            assert (np.abs(y - beta) <= unit * (1 + np.abs(beta))).all()
        values["X"][...] = 1  # which any mean is exact of
        y = run(session, values, dtype)["Y"]
        assert np.array_equal(y, np.broadcast_to(values["beta"], shape))


def test_accuracy_does_not_fall_with_the_length_of_a_row(library: Path) -> None:
    session = open_session(model(LAYER, "float32"), library)
    x = np.random.default_rng(0).normal(size=(1, 1 << 21)).astype(np.float32) + 10
    values = random_values((1, 1 << 21), "float32") | {"X": x}
    assert_right(LAYER, values, run(session, values, "float32"), "float32")


@pytest.mark.parametrize("has_sum", [True, False])
@pytest.mark.parametrize("shape", [(3, 5), (4, 33), (197, 64), (40, 767), (2, 9000)])
@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_in_a_row_that_reuse_their_memory(
    shape: tuple[int, ...], threads: int, has_sum: bool, library: Path
) -> None:
    """Y takes the memory of X, and sum that of the residual, or Y is where the sum is made."""
    values = random_values(shape, "float32")
    nodes = [helper.make_node("Neg", ["X"], ["y0"]), helper.make_node("Neg", ["residual"], ["s0"])]
    for i in range(3):
        operands = [f"y{i}", f"s{i}" if has_sum else "s0", "gamma", "beta", "bias"]
        results = [f"y{i + 1}", f"s{i + 1}"][: 1 + has_sum]
        nodes.append(
            helper.make_node("SkipLayerNorm", operands, results, domain="graphopt", epsilon=EPSILON)
        )
    nodes.append(helper.make_node("Neg", ["y3"], ["Y"]))
    names = [name for node in nodes[:-1] for name in node.output]
    content = serialized(
        nodes,
        dict.fromkeys(["X", "residual", "gamma", "beta", "bias"], TensorProto.FLOAT),
        {"Y": TensorProto.FLOAT},
        value_info=[helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in names],
    )
    got = run(open_session(content, library, threads, optimize=True), values, "float32")["Y"]
    chain = {**values, "X": -values["X"], "residual": -values["residual"]}
    for _ in range(3):
        y = expected_y(SKIP_LAYER, chain, "float32").astype(np.float32)
        if has_sum:
            chain["residual"] = chain["X"] + chain["bias"] + chain["residual"]
        chain["X"] = y
    np.testing.assert_allclose(-got, chain["X"], rtol=2e-5, atol=2e-5)
