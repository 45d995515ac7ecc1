"""The bodies of the GELUs are exact; ONNX Runtime makes of them what it made of the original."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes import pipeline
from graphopt.passes.operators.custom_ops import define_operators
from tests.native.gelu_models import FORMS, truth
from tests.native.operator_models import Form
from tests.onnx_runtime import OptimizedSession
from tests.passes.gelus.gelu_spellings import ERF, SIGMOID, TANH, spelled
from tests.versions.conditions import opsets

_NUMPY = {"float": np.float32, "float16": np.float16, "double": np.float64}
_OPSETS = (12, 13, 17, 18, 20, 21, 23)


def called(form: Form, opset: int, dtype: str) -> ir.Model:
    inputs = ", ".join(name.lower() for name in form.inputs)
    model = spelled(f"y = graphopt.{form.operator}({inputs})", dtype=dtype, opset=opset)
    for node in model.graph:
        node.outputs[0].type = model.graph.inputs[0].type
    define_operators(model)
    return model


def feeds(dtype: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {name: (rng.normal(size=(2, 3, 4)) * 2).astype(_NUMPY[dtype]) for name in "xz"}


def expected(form: Form, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    bias = np.array([0.25, -1.5, 0.75, 2.0], inputs["x"].dtype)
    return truth(form, {"X": inputs["x"], "bias": bias})


@pytest.mark.parametrize("has_body", [True, False])
@pytest.mark.parametrize("dtype", _NUMPY)
@pytest.mark.parametrize("opset", _OPSETS)
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_an_operator_is_exact_in_float64(
    form: Form, opset: int, dtype: str, has_body: bool
) -> None:
    model = called(form, opset, dtype)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    if not has_body:
        model.functions.clear()
    wide = {name: array.astype(np.float64) for name, array in feeds(dtype).items()}
    # the constants of a body are rounded to float32 where its type is no wider
    tolerance = 1e-14 if dtype == "double" or not has_body else 2e-7
    found = evaluate(cast_to_float64(model), wide)["y"]
    np.testing.assert_allclose(found, expected(form, wide), rtol=tolerance, atol=tolerance)


# An exporter's spelling, and what ONNX Runtime makes of it behind an Add of a bias.
_SPELLINGS = {
    "Gelu": (ERF["PyTorch"], "BiasGelu"),
    "TanhGelu": (TANH["Hugging Face"], "FastGelu"),
    "QuickGelu": (SIGMOID["CLIP"], "QuickGelu"),
    "Gelu 20": ("y = Gelu(x)", "BiasGelu"),
    "TanhGelu 20": ('y = Gelu<approximate = "tanh">(x)', "FastGelu"),
    "BiasGelu": ("y = com.microsoft.BiasGelu(x, bias)", "BiasGelu"),
    "FastGelu": ("y = com.microsoft.FastGelu(x, bias)", "FastGelu"),
}


def exported(spelling: str, opset: int, dtype: str, bias: bool) -> ir.Model:
    body = f"x = {'Add(k, bias)' if bias else 'Identity(k)'} {spelling} o = Neg(y)"
    given, made = (f"{dtype}[B, S, 4] {name}" for name in "ho")
    return spelled(f"k = Relu(h) {body}", dtype=dtype, opset=opset, inputs=given, outputs=made)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", ["float", "float16"])
@pytest.mark.parametrize(
    ("name", "opset"),
    [
        pytest.param(name, *opset.values, marks=opset.marks)
        for opset in opsets(13, 17, 20, 21)
        for name in _SPELLINGS
        if "20" not in name or opset.values[0] >= 20
    ],
)
def test_without_a_library_nothing_is_slower_than_the_original(
    name: str, opset: int, dtype: str, bias: bool
) -> None:
    """In float32 the same nodes run, in float16 no more than of the original."""
    spelling, fused = _SPELLINGS[name]
    original = exported(spelling, opset, dtype, bias)
    optimized = original.clone()
    pipeline.run(optimized, pipeline.Options())
    assert sum(node.domain == "graphopt" for node in optimized.graph) == 1
    before, after = OptimizedSession(original), OptimizedSession(optimized)
    if dtype == "float":
        same = collections.Counter(
            "FastGelu" if name == "TanhGelu 20" and ran == "Gelu" else ran
            for ran in before.operators.elements()
        )
        assert after.operators == same
        assert fused in after.operators or not bias or "Quick" in name
    assert sum(after.operators.values()) <= sum(before.operators.values())
    x = {"h": feeds(dtype)["x"]}
    tolerance = 1e-6 if dtype == "float" else 4e-3
    found, wanted = after.run(x)["o"], before.run(x)["o"]
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float", "float16", "double"])
@pytest.mark.parametrize("opset", opsets(13, 18, 21, 23))
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_the_kernels_take_over_where_they_are_registered(
    form: Form, opset: int, dtype: str, library: Path
) -> None:
    session = OptimizedSession(called(form, opset, dtype), library)
    assert [(node.domain, node.op_type) for node in session.nodes] == [("graphopt", form.operator)]
    inputs = feeds(dtype)
    tolerance = {"float": 3e-7, "float16": 1e-3, "double": 1e-14}[dtype]
    found = session.run(inputs)["y"]
    np.testing.assert_allclose(found, expected(form, inputs), rtol=tolerance, atol=tolerance)
