"""The GELUs: every type, instruction set and shape against float64, and ONNX Runtime's own."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from graphopt.runtime.library import instruction_set, library_path
from tests.native.gelu_models import FORMS, FUNCTIONS, stock_model, truth
from tests.native.operator_models import (
    TYPES,
    Form,
    model,
    open_session,
    random_values,
    run,
    serialized,
)

# Below, at and above what is computed side by side (6 vectors of 2 to 8 elements), rows of none, of
# one and of many, a scalar, and tasks of several threads.
SHAPES = (
    *[(), (1,), (5,), (3, 1), (2, 3), (4, 8), (3, 11), (5, 12), (2, 13), (4, 23), (3, 24), (2, 25)],
    *[(2, 47), (7, 48), (2, 49), (2, 97)],
    *[(197, 192), (2, 3, 767), (1, 2, 3, 1024), (2, 70001), (3000, 8), (0, 768), (2, 0, 5), (3, 0)],
)
INSTRUCTION_SETS = ("baseline", "avx2", "avx512")
# The last digit of each type, relative.
DIGIT = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7, "float64": 2.0**-52}
FAR = {"float32": 3e-4, "float16": 3e-4, "bfloat16": 3e-4, "float64": 1e-12}
SMALLEST = {"float32": 1e-12, "float16": 6e-8, "bfloat16": 1e-12, "float64": 1e-200}


def available() -> tuple[str, ...]:
    best = instruction_set(library_path("cpu"))
    return INSTRUCTION_SETS[: INSTRUCTION_SETS.index(best) + 1]


def check(y: np.ndarray, form: Form, values: dict[str, np.ndarray], dtype: str) -> None:
    """Within a few digits, and below 0, where a result is a small part of its input, FAR of it."""
    expected = truth(form, values)
    assert y.shape == expected.shape
    error = np.abs(y.astype(np.float64) - expected)
    digits = 5 if dtype == "float64" else 2  # the truth is no more exact than float64
    relative = digits * DIGIT[dtype] + np.where(expected < 0, FAR[dtype], 0.0)
    np.testing.assert_array_less(error, relative * np.abs(expected) + SMALLEST[dtype])


def spread(shape: tuple[int, ...], dtype: str) -> dict[str, np.ndarray]:
    """X from -9 to 9 by and large, with more where the curve bends."""
    rng = np.random.default_rng(1)
    x = np.asarray(rng.normal(size=shape) * rng.choice([0.01, 1, 4], size=shape))
    bias = random_values(shape or (1,), dtype)["bias"]
    return {"X": x.astype(TYPES[dtype]), "bias": bias}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_an_operator_computes_its_formula(
    form: Form, dtype: str, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in available():
        monkeypatch.setenv("GRAPHOPT_INSTRUCTION_SET", name)
        session = open_session(model(form, dtype, epsilon=None), library)
        for shape in SHAPES:
            if shape == () and "bias" in form.inputs:
                continue
            values = spread(shape, dtype)
            check(run(session, values, dtype)["Y"], form, values, dtype)


@pytest.mark.parametrize("operator", FUNCTIONS)
def test_a_result_is_no_less_exact_than_that_of_onnx_runtime(
    operator: str, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest error of two million: absolute, in digits of the result, in parts of x."""
    rng = np.random.default_rng(0)
    dense, normal = np.linspace(-14, 14, 1_000_001), rng.normal(size=1_000_000)
    x = np.concatenate([dense, normal * rng.choice([0.1, 1, 3], 1_000_000)]).astype(np.float32)
    expected = FUNCTIONS[operator](x.astype(np.float64))
    digit = np.spacing(np.abs(expected).astype(np.float32)).astype(np.float64)
    positive, near = x > 0, (x <= 0) & (x >= -1)

    def errors(y: np.ndarray) -> dict[str, float]:
        error = np.abs(y - expected)
        return {
            "absolute": error.max(),
            "digits above 0": (error / digit)[positive].max(),
            "digits from -1 to 0": (error / digit)[near].max(),
            "digits": (error / digit)[x >= -6].max(),
            "parts of x": (error / np.maximum(np.abs(x), 1e-30)).max(),
        }

    stock = onnxruntime.InferenceSession(stock_model(operator), providers=["CPUExecutionProvider"])
    theirs = errors(stock.run(None, {"X": x})[0].astype(np.float64))
    for name in available():
        monkeypatch.setenv("GRAPHOPT_INSTRUCTION_SET", name)
        session = open_session(model(Form(operator, ("X",)), "float32", epsilon=None), library)
        ours = errors(session.run(None, {"X": x})[0].astype(np.float64))
        slack = 1.15 if name == "baseline" else 1.0  # without fused multiplication and addition
        worse = {
            what: (ours[what], theirs[what]) for what in ours if ours[what] > slack * theirs[what]
        }
        assert not worse, (ours, theirs)
        assert ours["digits above 0"] < 1.8
        assert ours["digits from -1 to 0"] < 2.6
        assert ours["parts of x"] < 1.3e-7


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("operator", FUNCTIONS)
def test_what_is_not_finite_and_what_is_far(operator: str, dtype: str, library: Path) -> None:
    """NaN stays NaN, what is far below is 0 or as good as that, what is far above is itself."""
    session = open_session(model(Form(operator, ("X",)), dtype, epsilon=None), library)
    far = 6e4 if dtype == "float16" else 3e38
    x = np.array([np.nan, np.inf, -np.inf, far, -far, 0.0, -0.0], TYPES[dtype])
    y = run(session, {"X": x}, dtype)["Y"].astype(np.float64)
    assert np.isnan(y[0])
    assert y[1] == np.inf
    assert y[3] == float(x[3])
    assert np.abs(y[[2, 4]]).max() < 1e-14
    assert (y[5:] == 0).all()


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_number_has_one_result_wherever_it_stands(form: Form, library: Path) -> None:
    session = open_session(model(form, "float32", epsilon=None), library)
    values = {"X": np.full((3, 45), -0.7, np.float32), "bias": np.full(45, 0.4, np.float32)}
    assert len(np.unique(run(session, values, "float32")["Y"])) == 1


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_two_threads_share_the_rows(form: Form, library: Path) -> None:
    content = model(form, "float32", epsilon=None)
    one, two = (open_session(content, library, threads) for threads in (1, 2))
    for shape in ((197, 767), (5000, 33), (3, 20000)):
        values = spread(shape, "float32")
        results = [run(session, values, "float32")["Y"] for session in (one, two)]
        assert np.array_equal(*results)
        check(results[1], form, values, "float32")


@pytest.mark.parametrize("size", [5, 8, 33, 64, 767])
def test_y_may_be_the_memory_of_x(size: int, library: Path) -> None:
    names = [f"x{i}" for i in range(5)]
    nodes = [helper.make_node("Neg", ["X"], ["x0"])]
    nodes += [
        helper.make_node("Gelu", [a, "bias"], [b], domain="graphopt")
        for a, b in itertools.pairwise(names)
    ]
    nodes.append(helper.make_node("Neg", ["x4"], ["Y"]))
    values = spread((6, size), "float32")
    shaped = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (6, size)) for name in names]
    bias = [numpy_helper.from_array(values["bias"], "bias")]
    content = serialized(nodes, {"X": 1}, {"Y": 1}, initializer=bias, value_info=shaped)
    got = run(open_session(content, library, optimize=True), values, "float32")["Y"]
    v = -values["X"].astype(np.float64)
    for _ in range(4):
        v = FUNCTIONS["Gelu"](v + values["bias"])
    np.testing.assert_allclose(-got, v, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bias", [(2,), (1,), (2, 3), ()])
def test_a_bias_of_another_shape_is_an_error(bias: tuple[int, ...], library: Path) -> None:
    session = open_session(model(FORMS[1], "float32", epsilon=None), library)
    values = {"X": np.zeros((2, 3), np.float32), "bias": np.zeros(bias, np.float32)}
    with pytest.raises(Exception, match=r"Gelu: bias has shape .* must have shape \[3\]"):
        run(session, values, "float32")


def test_an_operator_that_the_library_lacks_runs_its_body(library: Path) -> None:
    """So an older library takes a newer file."""
    opset = helper.make_opsetid("", 17)
    body = [helper.make_node("Neg", ["X"], ["Y"])]
    function = helper.make_function("graphopt", "FromTomorrow", ["X"], ["Y"], body, [opset])
    nodes = [helper.make_node("FromTomorrow", ["X"], ["Y"], domain="graphopt")]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "XY"]
    graph = helper.make_graph(nodes, "g", value[:1], value[1:])
    opsets = [opset, helper.make_opsetid("graphopt", 1)]
    made = helper.make_model(graph, functions=[function], opset_imports=opsets, ir_version=8)
    session = open_session(made.SerializeToString(), library, optimize=True)
    x = np.ones((2, 3), np.float32)
    assert np.array_equal(session.run(None, {"X": x})[0], -x)
