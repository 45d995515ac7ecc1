"""Lowered norms are valid ONNX, compute the same, and become ONNX Runtime's own RMS kernel."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx_shape_inference import infer_symbolic_shapes

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes.canonicalize_norms import CanonicalizeNorms
from graphopt.passes.lower_norms import LowerNorms
from graphopt.passes.norms.original_spelling import ORIGINAL
from tests.onnx_runtime import OptimizedSession
from tests.versions.conditions import FUSED_TYPES, opsets

# more entries than the 8 up to which ONNX Runtime merges equal constants itself
GAMMA = np.array([0.5, -1.25, 2.0, 0.75, 1.5, -0.25, 1.0, 3.0, -0.75, 1.25, 0.25, 2.5])
EPSILON = 0.25  # far from the 1e-5 that ONNX Runtime assumes where it does not find the epsilon
NUMPY = {"float": np.float32, "float16": np.float16, "double": np.float64}
TOLERANCE = {"float": 1e-6, "float16": 2e-3, "double": 1e-12}


def _rms_model(opset: int, dtype: str = "float", norms: int = 2) -> ir.Model:
    """A chain of RMSNorms that share one gamma; the intermediate results are outputs, too."""
    body, previous = "", "x"
    for index in range(norms):
        body += f"""y{index} = RMSNormalization<axis = 2, epsilon = {EPSILON}, stash_type = 1>
            ({previous}, gamma)\n"""
        previous = f"y{index}"
    outputs = ", ".join(f"{dtype}[B, S, 12] y{index}" for index in range(norms))
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : {opset}]>
        g ({dtype}[B, S, 12] x) => ({outputs})
        <{dtype}[12] gamma = {_listed(dtype)}> {{ {body} }}"""
    )
    for node in model.graph:
        node.outputs[0].type, node.outputs[0].shape = (
            model.graph.inputs[0].type,
            model.graph.inputs[0].shape,
        )
    return model


def _listed(dtype: str) -> str:
    """gamma as the text format writes it: float16 as the integers of its bits."""
    values = GAMMA.astype(np.float16).view(np.uint16) if dtype == "float16" else GAMMA
    return "{" + ", ".join(map(str, values)) + "}"


def _truth(x: np.ndarray, norms: int = 2) -> list[np.ndarray]:
    results, value = [], x.astype(np.float64)
    for _ in range(norms):
        value = value / np.sqrt((value**2).mean(-1, keepdims=True) + EPSILON) * GAMMA
        results.append(value)
    return results


def _x(dtype: str = "float") -> np.ndarray:
    return np.random.default_rng(3).normal(0.5, 1.0, (2, 3, 12)).astype(NUMPY[dtype])


@pytest.mark.parametrize("opset", opsets(13, 17, 18, 21, 22))
@pytest.mark.parametrize("dtype", FUSED_TYPES)
def test_primitives_are_fused_to_the_rms_kernel(opset: int, dtype: str) -> None:
    model = _rms_model(opset, dtype)
    lower = LowerNorms(ops="standard")
    lower(model)
    assert lower.record == {"primitives": 2, "SimplifiedLayerNormalization": 0}
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    x = _x(dtype)
    session = OptimizedSession(model)
    operators, outputs = session.operators, session.run({"x": x}).values()
    assert operators["SimplifiedLayerNormalization"] == 2
    assert set(operators) <= {"SimplifiedLayerNormalization", "Cast"}
    for output, truth in zip(outputs, _truth(x), strict=True):
        scale = np.abs(truth).max()
        assert np.abs(output.astype(np.float64) - truth).max() <= TOLERANCE[dtype] * scale


@pytest.mark.parametrize("opset", [13, 18])
def test_float64_keeps_its_epsilon(opset: int) -> None:
    model = _rms_model(opset, "double")
    LowerNorms(ops="standard")(model)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    session = OptimizedSession(model)
    operators, outputs = session.operators, session.run({"x": _x("double")}).values()
    assert operators["SimplifiedLayerNormalization"] == 0
    for output, truth in zip(outputs, _truth(_x("double")), strict=True):
        np.testing.assert_allclose(output, truth, rtol=1e-12)


@pytest.mark.parametrize("opset", opsets(23))
@pytest.mark.parametrize("dtype", ["float", "float16", "double"])
def test_the_onnx_operator_stays_where_the_opset_has_it(dtype: str, opset: int) -> None:
    model = _rms_model(opset, dtype)
    lower = LowerNorms(ops="standard")
    lower(model)
    assert not any(lower.record.values())
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    session = OptimizedSession(model)
    operators, outputs = session.operators, session.run({"x": _x(dtype)}).values()
    assert operators["RMSNormalization"] == 2
    for output, truth in zip(outputs, _truth(_x(dtype)), strict=True):
        scale = np.abs(truth).max()
        # the double kernel computes its moments in float32
        tolerance = max(TOLERANCE[dtype], 1e-7)
        assert np.abs(output.astype(np.float64) - truth).max() <= tolerance * scale


@pytest.mark.parametrize("opset", opsets(13, 18, 23))
@pytest.mark.parametrize("dtype", ["float", "float16"])
def test_ort_gets_its_own_operator(opset: int, dtype: str) -> None:
    model = _rms_model(opset, dtype)
    lower = LowerNorms(ops="ort")
    lower(model)
    assert lower.record == {"primitives": 0, "SimplifiedLayerNormalization": 2}
    # OpenVINO refuses another axis than -1
    assert {node.attributes.get_int("axis") for node in model.graph} == {-1}
    session = OptimizedSession(model)
    operators, outputs = session.operators, session.run({"x": _x(dtype)}).values()
    assert operators["SimplifiedLayerNormalization"] == 2
    for output, truth in zip(outputs, _truth(_x(dtype)), strict=True):
        scale = np.abs(truth).max()
        assert np.abs(output.astype(np.float64) - truth).max() <= TOLERANCE[dtype] * scale


@pytest.mark.parametrize("ops", ["standard", "ort"])
@pytest.mark.parametrize("opset", opsets(12, 13, 18, 23))
@pytest.mark.parametrize("dtype", ["float", "float16", "double"])
def test_a_crms_norm_is_always_written_in_primitives(dtype: str, opset: int, ops: str) -> None:
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : {opset}]>
        g ({dtype}[B, S, 12] x) => ({dtype}[B, S, 12] y) {{
          y = CRMSNormalization<axis = 2, epsilon = {EPSILON}, stash_type = 1>(x) }}"""
    )
    lower = LowerNorms(ops=ops)
    lower(model)
    assert lower.record == {"primitives": 1, "SimplifiedLayerNormalization": 0}
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    x = _x(dtype).astype(np.float64)
    centred = np.concatenate([x, -x.sum(-1, keepdims=True)], -1)
    truth = x / np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON)
    (output,) = OptimizedSession(model).run({"x": _x(dtype)}).values()
    assert np.abs(output.astype(np.float64) - truth).max() <= TOLERANCE[dtype] * np.abs(truth).max()
    (exact,) = evaluate(cast_to_float64(model), {"x": x}).values()
    np.testing.assert_allclose(exact, truth, rtol=1e-12)


@pytest.mark.parametrize("ops", ["standard", "ort"])
@pytest.mark.parametrize("opset", [13, 17, 18, 22, 23])
def test_lowering_is_exact_in_float64(ops: str, opset: int) -> None:
    model = cast_to_float64(_rms_model(opset))
    LowerNorms(ops=ops)(model)
    results = evaluate(model, {"x": _x("double")})
    for name, truth in zip(("y0", "y1"), _truth(_x("double")), strict=True):
        np.testing.assert_allclose(results[name], truth, rtol=1e-12)


@pytest.mark.parametrize("opset", [17, 21])
@pytest.mark.parametrize("ops", ["standard", "ort"])
def test_a_norm_in_an_if_body_is_fused_too(ops: str, opset: int) -> None:
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : {opset}]>
        g (float[B, S, 12] x, bool flag) => (float[B, S, 12] y)
        <float[12] gamma = {_listed("float")}> {{
          y = If(flag) <
            then_branch = a () => (float[B, S, 12] t) {{
              t = RMSNormalization<axis = 2, epsilon = {EPSILON}, stash_type = 1>(x, gamma) }},
            else_branch = b () => (float[B, S, 12] e) {{ e = Identity(x) }}
          >
        }}"""
    )
    LowerNorms(ops=ops)(model)
    session = OptimizedSession(model)
    assert session.operators["SimplifiedLayerNormalization"] == 1
    (output,) = session.run({"x": _x(), "flag": np.array(True)}).values()
    np.testing.assert_allclose(output, _truth(_x(), 1)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float", "float16", "double"])
@pytest.mark.parametrize(("opset", "primitive"), [(13, True), (16, True), (17, False)])
def test_a_layer_norm_without_a_spelling_is_decomposed_where_onnx_has_none(
    opset: int, primitive: bool, dtype: str
) -> None:
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : {opset}]>
        g ({dtype}[B, S, 12] x) => ({dtype}[B, S, 12] y)
        <{dtype}[12] gamma = {_listed(dtype)}, {dtype}[12] beta = {_listed(dtype)}> {{
          y = LayerNormalization<epsilon = {EPSILON}>(x, gamma, beta)
        }}"""
    )
    infer_symbolic_shapes(model)
    CanonicalizeNorms()(model)
    for node in model.graph:
        del node.meta[ORIGINAL]
    lower = LowerNorms(ops="standard")
    lower(model)
    assert lower.record["primitives"] == primitive
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    x = _x(dtype)
    session = OptimizedSession(model)
    operators, (output,) = session.operators, session.run({"x": x}).values()
    assert operators["LayerNormalization"] == (dtype == "float" or not primitive)
    centred = x.astype(np.float64) - x.astype(np.float64).mean(-1, keepdims=True)
    truth = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON) * GAMMA + GAMMA
    tolerance = max(TOLERANCE[dtype], 1e-7 if not primitive else 0)
    assert np.abs(output.astype(np.float64) - truth).max() <= tolerance * np.abs(truth).max()


def test_an_ordinary_layer_norm_is_not_touched() -> None:
    model = ir.from_onnx_text(
        """<ir_version: 8, opset_import: ["" : 13]>
        g (float[B, S, 12] x, float[12] gamma) => (float[B, S, 12] y) {
          y = LayerNormalization(x, gamma)
        }"""
    )
    assert not LowerNorms(ops="standard")(model).modified
