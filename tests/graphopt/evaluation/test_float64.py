"""The cast to float64 reaches every type, tensor and attribute; the input model stays as it is."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64

# The text form writes float16 and bfloat16 tensors as bits: 15360 is 1, 16384 is 2.
EVERY_PLACE = """
<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
g (float[2] x, int64[2] i, bool c) => (float[2] y, float16[2] h, int64[2] j)
<float[2] w = {0.5, 1.5}, int64[1] shape = {2}>
{
    a = Constant <value_float = 0.1> ()
    b = Constant <value_floats = [0.1, 0.2]> ()
    k = Constant <value = float16[2] {15360, 16384}> ()
    z = ConstantOfShape (shape)
    o = ConstantOfShape <value = int64[1] {1}> (shape)
    f = Cast <to = 1> (i)
    h16 = Cast <to = 10> (x)
    h = Add(h16, k)
    fh = CastLike(h, x)
    t = If (c) <
        then_branch = yes () => (float[2] p) { p = Cast <to = 1> (o) },
        else_branch = no () => (float[2] p) { p = Constant <value = float[2] {3.0, 4.0}> () }
    >
    u = local.plus (t)
    y = Sum(a, b, z, f, fh, u, w)
    j = Cast <to = 7> (y)
}
<domain: "local", opset_import: ["" : 17]>
plus (v) => (r) { q = Constant <value_float = 1.0> ()  r = Add(v, q) }
"""


@pytest.fixture
def model() -> ir.Model:
    return ir.from_onnx_text(EVERY_PLACE)


def test_every_float_is_float64_and_the_graph_still_checks(model: ir.Model) -> None:
    proto = ir.to_proto(cast_to_float64(model))
    onnx.checker.check_model(proto, full_check=True)  # infers types: a float32 left over clashes
    text = onnx.printer.to_text(proto)
    assert "float" not in text.replace("value_float", "")
    assert "value_float" not in text


def test_the_input_model_is_not_touched(model: ir.Model) -> None:
    before = ir.to_proto(model).SerializeToString()
    cast_to_float64(model)
    assert ir.to_proto(model).SerializeToString() == before


@pytest.mark.parametrize("condition", [True, False])
def test_the_function_computed_is_the_same(model: ir.Model, condition: bool) -> None:
    feeds = {"i": np.array([3, 4]), "c": np.array(condition)}
    x = np.array([0.3, -0.7])
    narrow = evaluate(model, feeds | {"x": x.astype(np.float32)})
    wide = evaluate(cast_to_float64(model), feeds | {"x": x})
    assert {name: array.dtype for name, array in wide.items()} == {
        "y": np.float64,
        "h": np.float64,
        "j": np.int64,
    }
    np.testing.assert_allclose(wide["y"], narrow["y"], rtol=1e-3)  # h passes through float16
    np.testing.assert_allclose(wide["h"], x + np.array([1, 2]), rtol=0, atol=0)


def test_initializers_are_converted_when_they_are_read(model: ir.Model) -> None:
    weight = cast_to_float64(model).graph.initializers["w"]
    assert weight.dtype == ir.DataType.DOUBLE
    assert isinstance(weight.const_value, ir.LazyTensor)
    np.testing.assert_array_equal(weight.const_value.numpy(), np.array([0.5, 1.5]))
    assert not weight.const_value.cache


def test_brain_floats_and_symbolic_shapes_survive() -> None:
    model = ir.from_onnx_text(
        '<ir_version: 8, opset_import: ["" : 17]> '
        "g (bfloat16[n, 2] x) => (bfloat16[n, 2] y) "
        "<bfloat16[2] w = {16256, 16384}> { y = Add(x, w) }"
    )
    wide = cast_to_float64(model)
    assert wide.graph.inputs[0].dtype == ir.DataType.DOUBLE
    assert wide.graph.inputs[0].shape == model.graph.inputs[0].shape
    np.testing.assert_array_equal(evaluate(wide, {"x": np.zeros((1, 2))})["y"], [[1, 2]])


def test_sequences_are_cast_inside() -> None:
    model = ir.from_onnx_text(
        '<ir_version: 8, opset_import: ["" : 17]> '
        "g (float[2] x) => (seq(float[2]) s) { s = SequenceConstruct(x, x) }"
    )
    result = evaluate(cast_to_float64(model), {"x": np.ones(2)})["s"]
    assert [array.dtype for array in result] == [np.float64, np.float64]
    assert cast_to_float64(model).graph.outputs[0].type == ir.SequenceType(
        ir.TensorType(ir.DataType.DOUBLE)
    )
