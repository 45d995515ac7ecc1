"""The public evaluation: in float64, of a file or a model, with errors that say what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

import graphopt
from graphopt.errors import ModelError, UsageError

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'
# In float32 the large addend swallows the small one.
SWALLOW = """g (float[n] x, int64[n] i) => (float[n] y, int64[n] j)
<float[1] large = {1e9}> {
    a = Add (x, large)
    y = Sub (a, large)
    j = Neg (i)
}"""
X, INDEX = np.array([1e-3, 2.5], np.float32), np.array([3, -4])


@pytest.fixture
def model() -> ir.Model:
    return ir.from_onnx_text(f"{HEAD} {SWALLOW}")


def test_every_float_is_float64(model: ir.Model) -> None:
    found = graphopt.evaluate(model, {"x": X, "i": INDEX})
    assert list(found) == ["y", "j"]
    assert found["y"].dtype == np.float64
    np.testing.assert_allclose(found["y"], X, rtol=1e-3)
    np.testing.assert_array_equal(found["j"], [-3, 4])
    assert model.graph.inputs[0].dtype == ir.DataType.FLOAT


def test_a_float64_model_takes_arrays_of_any_precision(model: ir.Model) -> None:
    wide = graphopt.cast_to_float64(model)
    for array in (X, X.astype(np.float64)):
        found = graphopt.evaluate(wide, {"x": array, "i": INDEX})["y"]
        np.testing.assert_allclose(found, X, rtol=1e-3)


def test_a_file_and_its_model_are_evaluated_alike(model: ir.Model, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    ir.save(model, path)
    inputs = graphopt.generate_inputs(path, dims={"n": 2}, seed=1).arrays
    for name, array in graphopt.generate_inputs(model, dims={"n": 2}, seed=1).arrays.items():
        np.testing.assert_array_equal(inputs[name], array)
    assert inputs["x"].shape == (2,)
    for source in (path, str(path)):
        found = graphopt.evaluate(source, inputs)["y"]
        np.testing.assert_array_equal(found, graphopt.evaluate(model, inputs)["y"])


def test_any_value_can_be_asked_for_and_costs_what_it_depends_on(model: ir.Model) -> None:
    assert list(graphopt.evaluate(model, {"x": X}, ["a"])) == ["a"]
    assert list(graphopt.evaluate(model, {"x": X, "i": INDEX}, ["j", "large"])) == ["j", "large"]


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ({"x": X}, None, "input 'i' is missing: give an array for each input"),
        ({"x": X, "i": INDEX, "z": X}, None, "the model has no input 'z': choose one of x, i"),
        (
            {"x": X, "i": INDEX},
            ["b"],
            "the model's graph has no value 'b': choose one of its values",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    model: ir.Model, inputs: dict[str, np.ndarray], outputs: list[str] | None, message: str
) -> None:
    with pytest.raises(UsageError, match=f"^{message}$"):
        graphopt.evaluate(model, inputs, outputs)


def test_what_cannot_be_evaluated_is_named(model: ir.Model, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="absent"):
        graphopt.evaluate(tmp_path / "absent.onnx", {})
    with pytest.raises(ModelError, match="absent"):
        graphopt.generate_inputs(tmp_path / "absent.onnx")
    with pytest.raises(ModelError, match="'i'"):
        graphopt.evaluate(model, {"x": X}, ["j"])
    strange = ir.from_onnx_text(f"{HEAD} g (float[n] x) => (float[n] y) {{ y = Mystery (x) }}")
    with pytest.raises(ModelError, match="Mystery"):
        graphopt.evaluate(strange, {"x": X})
