"""The bodies of the domain graphopt are exact, and ONNX Runtime fuses those of RMSNorms."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes.infer_shapes import InferShapes
from graphopt.passes.operators.custom_ops import define_operators
from tests.onnx_runtime import OptimizedSession
from tests.versions.conditions import FUSED_TYPES, opsets

_EPSILONS = (0.3, 0.7)  # far from the 1e-5 that ONNX Runtime assumes where it finds none
_NUMPY = {"float": np.float32, "float16": np.float16, "double": np.float64}
_TOLERANCE = {"float": 1e-6, "float16": 2e-3, "double": 1e-12}
_OPSETS = (12, 13, 17, 18, 20, 21, 23)


@dataclasses.dataclass(frozen=True)
class Call:
    """Two nodes of one operator, the second on the result of the first."""

    operator: str
    has_bias: bool = False

    def __str__(self) -> str:
        return self.operator + " with bias" * self.has_bias

    @property
    def is_skip(self) -> bool:
        return self.operator.startswith("Skip")

    @property
    def is_crms(self) -> bool:
        return self.operator.endswith("CRMSNorm")

    @property
    def is_layer(self) -> bool:
        return self.operator.endswith("LayerNorm")


RMS_CALLS = (Call("RMSNorm"), Call("SkipRMSNorm"), Call("SkipRMSNorm", has_bias=True))
CRMS_CALLS = (Call("CRMSNorm"), Call("SkipCRMSNorm"), Call("SkipCRMSNorm", has_bias=True))
LAYER_CALLS = (Call("LayerNorm"), Call("SkipLayerNorm"), Call("SkipLayerNorm", has_bias=True))
CALLS = RMS_CALLS + CRMS_CALLS + LAYER_CALLS


def _arrays(dtype: str) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(7)
    shapes = {"x": (2, 3, 12), "residual": (2, 3, 12)}
    shapes |= dict.fromkeys(("gamma", "bias", "beta"), (12,))
    return {
        name: draw.normal(0.5, 1, shape).astype(_NUMPY[dtype]) for name, shape in shapes.items()
    }


def _model(call: Call, opset: int, dtype: str = "float", ir_version: int = 8) -> ir.Model:
    """gamma and bias are constants; the operator is defined."""
    nodes, previous, outputs = "", "x", []
    for index, epsilon in enumerate(_EPSILONS):
        results, operands = [f"y{index}"], [previous]
        if call.is_skip:
            results, operands = [f"y{index}", f"s{index}"], [previous, "residual"]
        operands += [f"gamma{index}"] * (not call.is_crms) + ["beta"] * call.is_layer
        operands += ["bias"] * call.has_bias
        nodes += f"{', '.join(results)} = graphopt.{call.operator}<epsilon = {epsilon}>"
        nodes += f"({', '.join(operands)}) "
        previous = results[0]
        outputs += results
    declared = ", ".join(f"{dtype}[B, S, 12] {name}" for name in outputs)
    model = onnx.parser.parse_model(
        f"""<ir_version: {ir_version}, opset_import: ["" : {opset}, "graphopt" : 1]>
        g ({dtype}[B, S, 12] x, {dtype}[B, S, 12] residual) => ({declared}) {{ {nodes} }}"""
    )
    arrays = _arrays(dtype)
    constants = {"gamma0": arrays["gamma"], "gamma1": 2 * arrays["gamma"]}
    constants |= {"bias": arrays["bias"], "beta": arrays["beta"]}
    read = {name for node in model.graph.node for name in node.input}
    for name in sorted(read & constants.keys()):
        array = constants[name]
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    made = ir.from_proto(model)
    for node in made.graph:
        for value in node.outputs:
            value.type = made.graph.inputs[0].type
    define_operators(made)
    return made


def _truth(call: Call, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    x, residual, gamma, bias, beta = (array.astype(np.float64) for array in arrays.values())
    results = []
    # attributes are float32
    for index, epsilon in enumerate(np.float32(_EPSILONS).astype(np.float64)):
        total = x + bias * call.has_bias + residual if call.is_skip else x
        if call.is_crms:
            last = -total.sum(-1, keepdims=True)
            centred = np.concatenate([total, last], -1)
            x = total / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
        elif call.is_layer:
            centred = total - total.mean(-1, keepdims=True)
            deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
            x = gamma * 2**index * centred / deviation + beta
        else:
            x = gamma * 2**index * total / np.sqrt((total**2).mean(-1, keepdims=True) + epsilon)
        results += [x, total] if call.is_skip else [x]
    return results


def _assert_close(found: list[np.ndarray], truth: list[np.ndarray], tolerance: float) -> None:
    for output, expected in zip(found, truth, strict=True):
        error = np.abs(output.astype(np.float64) - expected).max()
        assert error <= tolerance * np.abs(expected).max()


def _assert_right(session: OptimizedSession, call: Call, dtype: str) -> None:
    arrays = _arrays(dtype)
    outputs = list(session.run(arrays).values())
    _assert_close(outputs, _truth(call, arrays), _TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", ["float", "float16", "double"])
@pytest.mark.parametrize("opset", _OPSETS)
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_bodies_are_exact_in_float64(call: Call, opset: int, dtype: str) -> None:
    model = _model(call, opset, dtype)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    arrays = _arrays(dtype)
    feeds = {name: arrays[name].astype(np.float64) for name in ("x", "residual")}
    results = evaluate(cast_to_float64(model), feeds)
    _assert_close(list(results.values()), _truth(call, arrays), 1e-14)


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_without_a_body_an_operator_is_evaluated_and_its_shapes_inferred(call: Call) -> None:
    model = _model(call, 17)
    model.functions.clear()
    for node in model.graph:
        for value in node.outputs:
            value.shape = value.type = None
    InferShapes()(model)
    for node in model.graph:
        assert all(value.shape == model.graph.inputs[0].shape for value in node.outputs)
        assert {value.dtype for value in node.outputs} == {ir.DataType.FLOAT}
    arrays = _arrays("float")
    feeds = {name: arrays[name].astype(np.float64) for name in ("x", "residual")}
    results = evaluate(cast_to_float64(model), feeds)
    _assert_close(list(results.values()), _truth(call, arrays), 1e-14)


def test_the_internal_norm_of_compressed_streams_is_evaluated_and_its_shape_inferred() -> None:
    model = ir.from_onnx_text(
        """<ir_version: 8, opset_import: ["" : 17]> g (double[B, S, 12] x) => (y) {
          y = CRMSNormalization<axis = 2, epsilon = 0.3, stash_type = 1>(x) }"""
    )
    InferShapes()(model)
    assert model.graph.outputs[0].shape == ir.Shape(["B", "S", 12])
    arrays = _arrays("double")
    (found,) = evaluate(model, {"x": arrays["x"]}).values()
    _assert_close([found], _truth(Call("CRMSNorm"), arrays)[:1], 1e-14)


@pytest.mark.parametrize("dtype", FUSED_TYPES)
@pytest.mark.parametrize("opset", opsets(*_OPSETS[1:]))
@pytest.mark.parametrize("call", RMS_CALLS, ids=str)
def test_onnx_runtime_fuses_the_body_with_its_epsilon(call: Call, opset: int, dtype: str) -> None:
    session = OptimizedSession(_model(call, opset, dtype))
    operators = session.operators
    assert operators["SimplifiedLayerNormalization"] == 2
    assert set(operators) <= {"SimplifiedLayerNormalization", "Add", "Cast"}
    norms = [node for node in session.nodes if node.op_type == "SimplifiedLayerNormalization"]
    epsilons = [node.attributes.get_float("epsilon") for node in norms]
    assert epsilons == pytest.approx(_EPSILONS)
    _assert_right(session, call, dtype)


_LAYER_CASES = [
    *((opset, "float") for opset in (12, 13)),
    *((opset, dtype) for opset in (17, 18, 20, 21) for dtype in ("float", "float16", "double")),
]


@pytest.mark.parametrize(("opset", "dtype"), _LAYER_CASES)
@pytest.mark.parametrize("call", LAYER_CALLS, ids=str)
def test_onnx_runtime_runs_its_layer_norm_of_the_body(call: Call, opset: int, dtype: str) -> None:
    session = OptimizedSession(_model(call, opset, dtype))
    operators = session.operators
    assert operators["LayerNormalization"] == 2
    assert set(operators) <= {"LayerNormalization", "Sum", "Cast"}
    norms = [node for node in session.nodes if node.op_type == "LayerNormalization"]
    assert [norm.attributes.get_float("epsilon") for norm in norms] == pytest.approx(_EPSILONS)
    _assert_right(session, call, dtype)


@pytest.mark.parametrize("dtype", ["float", "float16"])
@pytest.mark.parametrize("opset", opsets(*_OPSETS))
@pytest.mark.parametrize("call", CRMS_CALLS, ids=str)
def test_onnx_runtime_reads_a_row_of_a_crms_norm_four_times(
    call: Call, opset: int, dtype: str
) -> None:
    session = OptimizedSession(_model(call, opset, dtype))
    operators = session.operators
    for operator in ("Cast", "Add", "Shape", "Gather"):
        del operators[operator]
    per_row = {"Div": 2, "Sqrt": 2, "Reciprocal": 2}  # of numbers, and 2 of the 6 Muls
    assert operators == {"Mul": 6, "ReduceSum": 4, **per_row}
    _assert_right(session, call, dtype)


@pytest.mark.parametrize("opset", [13, 18, 21])
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_float64_is_not_fused_and_keeps_its_precision(call: Call, opset: int) -> None:
    session = OptimizedSession(_model(call, opset, "double"))
    assert all(node.op_type != "SimplifiedLayerNormalization" for node in session.nodes)
    _assert_right(session, call, "double")


@pytest.mark.parametrize("dtype", ["float", "float16", "double"])
@pytest.mark.parametrize("opset", opsets(13, 18, 21, 23))
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_the_kernels_take_over_where_they_are_registered(
    call: Call, opset: int, dtype: str, library: Path
) -> None:
    session = OptimizedSession(_model(call, opset, dtype), library)
    nodes = [(node.domain, node.op_type) for node in session.nodes]
    assert nodes == [("graphopt", call.operator)] * 2
    _assert_right(session, call, dtype)


@pytest.mark.parametrize(("before", "after"), [(4, 8), (7, 8), (8, 8), (10, 10)])
def test_functions_raise_the_ir_version_where_they_must(before: int, after: int) -> None:
    assert _model(CALLS[0], 17, ir_version=before).ir_version == after


def test_only_what_is_used_is_defined() -> None:
    model = _model(CALLS[0], 17)
    assert [key[:2] for key in model.functions] == [("graphopt", "RMSNorm")]
    assert not define_operators(model)
    for node in list(model.graph):
        node.op_type, node.domain = "Mul", ""
    assert define_operators(model)
    assert not model.functions


def test_a_model_without_calls_keeps_its_imports() -> None:
    model = ir.from_onnx_text(
        """<ir_version: 7, opset_import: ["" : 13]> g (float[2] x) => (float[2] y) { y = Exp(x) }"""
    )
    assert not define_operators(model)
    assert (model.ir_version, model.graph.opset_imports) == (7, {"": 13})


MIXED = {
    "two element types": "a = graphopt.RMSNorm<epsilon = 0.3>(x, gx) "
    "b = graphopt.RMSNorm<epsilon = 0.3>(h, gh)",
    "a bias and none in a CRMSNorm": "a, s = graphopt.SkipCRMSNorm<epsilon = 0.3>(x, x, gx) "
    "b, t = graphopt.SkipCRMSNorm<epsilon = 0.3>(x, x)",
    "a sum and none": "a, s = graphopt.SkipLayerNorm<epsilon = 0.3>(x, x, gx, gx) "
    "b = graphopt.SkipLayerNorm<epsilon = 0.3>(x, x, gx, gx)",
    "a bias and none": "a, s = graphopt.SkipRMSNorm<epsilon = 0.3>(x, x, gx, gx) "
    "b, t = graphopt.SkipRMSNorm<epsilon = 0.3>(x, x, gx)",
}


@pytest.mark.parametrize("body", MIXED.values(), ids=MIXED)
def test_one_model_holds_one_form_of_an_operator(body: str) -> None:
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17, "graphopt" : 1]>
        g (float[2, 4] x, float16[2, 4] h, float[4] gx, float16[4] gh) => (float[2, 4] a) {{
          {body} }}"""
    )
    with pytest.raises(ValueError, match=re.escape("one model can hold one form of it")):
        define_operators(model)
