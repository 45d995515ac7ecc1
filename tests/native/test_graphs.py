"""The kernels as nodes of a graph that ONNX Runtime optimizes, plans and runs."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.native.operator_models import (
    EPSILON,
    RMS,
    SKIP_RMS,
    expected_sum,
    expected_y,
    model,
    open_session,
    random_values,
    run,
    serialized,
)

FLOAT = TensorProto.FLOAT


def skip_node(x: str, residual: str, y: str, kept: str) -> Any:
    return helper.make_node(
        "SkipRMSNorm", [x, residual, "gamma", "bias"], [y, kept], domain="graphopt", epsilon=EPSILON
    )


def constants(values: dict[str, np.ndarray]) -> list[Any]:
    return [numpy_helper.from_array(values[name], name) for name in ("gamma", "bias")]


@pytest.mark.parametrize("shape", [(3, 5), (4, 33), (197, 64), (40, 767), (2, 9000)])
@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_in_a_row_that_reuse_their_memory(
    shape: Sequence[int], threads: int, library: Path
) -> None:
    """From ONNX Runtime 1.18 on, Y takes the memory of X, and sum that of the residual."""
    values = random_values(shape, "float32")
    nodes = [helper.make_node("Neg", ["X"], ["y0"]), helper.make_node("Neg", ["residual"], ["s0"])]
    nodes += [skip_node(f"y{i}", f"s{i}", f"y{i + 1}", f"s{i + 1}") for i in range(4)]
    nodes += [helper.make_node("Neg", ["y4"], ["Y"]), helper.make_node("Neg", ["s4"], ["sum"])]
    content = serialized(
        nodes,
        {"X": FLOAT, "residual": FLOAT},
        {"Y": FLOAT, "sum": FLOAT},
        initializer=constants(values),
        value_info=[
            helper.make_tensor_value_info(f"{name}{i}", FLOAT, shape)
            for name in "ys"
            for i in range(5)
        ],
    )
    got = run(open_session(content, library, threads, optimize=True), values, "float32")
    chain = {**values, "X": -values["X"], "residual": -values["residual"]}
    for _ in range(4):
        y = expected_y(SKIP_RMS, chain, "float32").astype(np.float32)
        chain |= {"residual": expected_sum(SKIP_RMS, chain, "float32"), "X": y}
    np.testing.assert_allclose(-got["Y"], chain["X"], rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(-got["sum"], chain["residual"], rtol=2e-5, atol=2e-6)


def test_an_operand_that_something_else_reads_is_not_overwritten(library: Path) -> None:
    values = random_values((6, 40), "float32")
    content = serialized(
        [
            helper.make_node("Neg", ["X"], ["x"]),
            helper.make_node("Neg", ["residual"], ["r"]),
            skip_node("x", "r", "Y", "sum"),
            helper.make_node("Sub", ["x", "r"], ["difference"]),
        ],
        {"X": FLOAT, "residual": FLOAT},
        {"Y": FLOAT, "sum": FLOAT, "difference": FLOAT},
        initializer=constants(values),
        value_info=[helper.make_tensor_value_info(name, FLOAT, (6, 40)) for name in "xr"],
    )
    got = run(open_session(content, library, optimize=True), values, "float32")
    assert np.array_equal(got["difference"], values["residual"] - values["X"])


def test_x_may_be_the_residual_too(library: Path) -> None:
    values = random_values((6, 40), "float32")
    content = serialized(
        [helper.make_node("Neg", ["X"], ["x"]), skip_node("x", "x", "Y", "sum")],
        {"X": FLOAT},
        {"Y": FLOAT, "sum": FLOAT},
        initializer=constants(values),
        value_info=[helper.make_tensor_value_info("x", FLOAT, (6, 40))],
    )
    got = run(open_session(content, library, optimize=True), values, "float32")
    both = {**values, "X": -values["X"], "residual": -values["X"]}
    assert np.array_equal(got["sum"], expected_sum(SKIP_RMS, both, "float32"))
    np.testing.assert_allclose(got["Y"], expected_y(SKIP_RMS, both, "float32"), rtol=5e-7)


def test_a_node_of_constants_is_folded(library: Path, tmp_path: Path) -> None:
    values = random_values((4, 10), "float32")
    content = serialized(
        [
            helper.make_node("RMSNorm", ["c", "gamma"], ["n"], domain="graphopt", epsilon=EPSILON),
            helper.make_node("Add", ["X", "n"], ["Y"]),
        ],
        {"X": FLOAT},
        {"Y": FLOAT},
        initializer=[numpy_helper.from_array(values["residual"], "c"), *constants(values)[:1]],
    )
    got = run(open_session(content, library, optimize=True), values, "float32")["Y"]
    constant = {"X": values["residual"], "gamma": values["gamma"]}
    expected = values["X"] + expected_y(RMS, constant, "float32")
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("optimize", [False, True])
def test_a_kernel_takes_the_place_of_a_function_body(library: Path, optimize: bool) -> None:
    """The body here negates, so that it is seen which of the two ran."""
    opset = helper.make_opsetid("", 17)
    body = [helper.make_node("Neg", ["X"], ["Y"])]
    function = helper.make_function(
        "graphopt", "RMSNorm", ["X", "gamma"], ["Y"], body, [opset], ["epsilon"]
    )
    graph = helper.make_graph(
        [helper.make_node("RMSNorm", ["X", "gamma"], ["Y"], domain="graphopt", epsilon=EPSILON)],
        "g",
        [helper.make_tensor_value_info(name, FLOAT, None) for name in ("X", "gamma")],
        [helper.make_tensor_value_info("Y", FLOAT, None)],
    )
    opsets = [opset, helper.make_opsetid("graphopt", 1)]
    content = helper.make_model(
        graph, functions=[function], opset_imports=opsets, ir_version=8
    ).SerializeToString()
    values = random_values((3, 20), "float32")
    alone = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert np.array_equal(run(alone, values, "float32")["Y"], -values["X"])
    got = run(open_session(content, library, optimize=optimize), values, "float32")["Y"]
    np.testing.assert_allclose(got, expected_y(RMS, values, "float32"), rtol=5e-7)


def test_sessions_may_be_opened_and_run_at_the_same_time(library: Path) -> None:
    content = model(SKIP_RMS, "float32")
    values = random_values((50, 300), "float32")

    def once(_: int) -> np.ndarray:
        return run(open_session(content, library), values, "float32")["Y"]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(once, range(16)))
    assert all(np.array_equal(results[0], result) for result in results)


def test_one_session_may_run_at_the_same_time_in_several_threads(library: Path) -> None:
    session = open_session(model(SKIP_RMS, "float32"), library, threads=2)
    inputs = [random_values((50, 300 + i), "float32", seed=i) for i in range(8)]

    def once(values: dict[str, np.ndarray]) -> np.ndarray:
        return run(session, values, "float32")["Y"]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(once, inputs * 4))
    for index, result in enumerate(together):
        assert np.array_equal(result, once(inputs[index % len(inputs)]))
