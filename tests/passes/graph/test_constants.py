"""Folded constants: computed in float64, block by block, and rounded once."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from graphopt.passes.graph import constants
from graphopt.passes.graph.constants import FoldedTensor
from graphopt.passes.graph.edits import Centring, Scale
from tests.passes.graphs import graph, random_array

_FACTORS = np.array([0.3, -2.0, 0.0, 7.0, 1e-3, 11.0, 0.1, -0.7])


def _centred(array: np.ndarray, axis: int) -> np.ndarray:
    wide = array.astype(np.float64)
    return wide - wide.mean(axis=axis, keepdims=True)


# edits, and the same in float64 on all entries at once
EDITS = {
    "C on the last axis": ([Centring(1, 8)], lambda w: _centred(w, 1)),
    "C on the first axis": ([Centring(0, 6)], lambda w: _centred(w, 0)),
    "C on blocks of 4": (
        [Centring(1, 4)],
        lambda w: _centred(w.reshape(6, 2, 4), 2).reshape(6, 8),
    ),
    "C on blocks of 4 whose features lie 2 apart": (
        [Centring(1, 4, 2)],
        lambda w: _centred(w.reshape(6, 4, 2), 1).reshape(6, 8),
    ),
    "columns scaled": ([Scale(1, _FACTORS)], lambda w: w.astype(np.float64) * _FACTORS),
    "rows scaled": ([Scale(0, _FACTORS[:6])], lambda w: w * _FACTORS[:6, None]),
    "scaled, then C": (
        [Scale(1, _FACTORS), Centring(1, 8)],
        lambda w: _centred(w.astype(np.float64) * _FACTORS, 1),
    ),
    "C, then rows scaled": (
        [Centring(1, 8), Scale(0, _FACTORS[:6])],
        lambda w: _centred(w, 1) * _FACTORS[:6, None],
    ),
    "C on both axes": (
        [Centring(0, 6), Centring(1, 8)],
        lambda w: _centred(_centred(w, 0), 1),
    ),
}
DTYPES = [np.float64, np.float32, np.float16, ml_dtypes.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("chunk", [1 << 21, 12, 1])
@pytest.mark.parametrize(("edits", "truth"), EDITS.values(), ids=EDITS)
def test_an_edit_is_computed_in_float64_and_rounded_once(
    edits: list, truth: object, chunk: int, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "_CHUNK_ENTRIES", chunk)
    array = random_array("w", (6, 8)).astype(dtype)
    folded = constants.edited(ir.tensor(array), edits, "w")
    expected = truth(array)
    np.testing.assert_allclose(constants.exact(folded), expected, rtol=1e-13, atol=1e-14)
    assert folded.numpy().dtype == dtype
    assert (folded.numpy() == constants.exact(folded).astype(dtype)).all()


def test_edits_of_edits_are_not_rounded_in_between() -> None:
    array = random_array("w", (6, 8)).astype(np.float16)
    once = constants.edited(ir.tensor(array), [Scale(1, _FACTORS)], "w")
    twice = constants.edited(once, [Centring(1, 8)], "w")
    assert isinstance(twice, FoldedTensor)
    assert not isinstance(twice.base, FoldedTensor)
    expected = _centred(array.astype(np.float64) * _FACTORS, 1).astype(np.float16)
    assert (twice.numpy() == expected).all()


def test_nothing_is_computed_before_it_is_read() -> None:
    def read() -> ir.TensorProtocol:
        raise AssertionError("read")

    lazy = ir.LazyTensor(read, ir.DataType.FLOAT, ir.Shape([6, 8]))
    folded = constants.edited(lazy, [Centring(1, 8)], "w")
    assert folded.shape == [6, 8]
    assert folded.dtype == ir.DataType.FLOAT
    with pytest.raises(AssertionError, match="read"):
        folded.numpy()


def test_scalars_are_edited() -> None:
    folded = constants.edited(ir.tensor(np.array(3.0)), [], "s")
    assert folded.numpy() == 3.0


# Constant nodes by attribute: the array, or None where it is not constant
NODES = {
    "Constant<value_float = 2.5>()": np.array(2.5, np.float32),
    "Constant<value_floats = [1.0, 2.0]>()": np.array([1, 2], np.float32),
    "Constant<value_int = 3>()": np.array(3),
    "Constant<value_ints = [3, 4]>()": np.array([3, 4]),
    "Constant<value = float[2] {1.0, 3.0}>()": np.array([1, 3], np.float32),
    'Constant<value_string = "text">()': None,
    "Identity(w)": None,
}


@pytest.mark.parametrize(("text", "array"), NODES.items(), ids=NODES)
def test_constant_nodes_are_constants(text: str, array: np.ndarray | None) -> None:
    model = graph(f"y = {text}", "w[2]", outputs="float y", float64=False)
    found = constants.entries(model.graph[0].outputs[0])
    if array is None:
        assert found is None
        return
    assert found.dtype == array.dtype
    assert found.tolist() == array.tolist()


def test_what_a_caller_may_replace_is_no_constant() -> None:
    model = graph("y = Add(w, v)", "w[8] v[8]", inputs="float[8] w", outputs="float[8] y")
    values = {value.name: value for value in model.graph[0].inputs}
    assert constants.constant_tensor(values["w"]) is None
    assert constants.constant_tensor(values["v"]) is not None
    assert constants.constant_tensor(model.graph[0].outputs[0]) is None
    assert constants.constant_tensor(None) is None


def test_a_folded_constant_is_printed() -> None:
    tensor = constants.edited(ir.tensor(np.ones((6, 8), np.float32)), [Centring(1, 8)], "w")
    assert repr(tensor) == "FoldedTensor<FLOAT,[6,8]>(name='w')"


UNIFORM = {
    "one number": ([2.0, 2.0, 2.0], 2.0),
    "two numbers": ([2.0, 2.0, 3.0], None),
    "zeros": ([0.0, -0.0], 0.0),
    "NaN": ([np.nan, np.nan], None),
    "nothing": ([], None),
}


@pytest.mark.parametrize(("entries", "number"), UNIFORM.values(), ids=UNIFORM)
def test_uniform_value(entries: list[float], number: float | None) -> None:
    value = ir.Value(name="v", const_value=ir.tensor(np.array(entries, np.float32)))
    ir.Graph([], [], nodes=[], initializers=[value])
    assert constants.uniform_value(value) == number


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_one_bad_entry_is_found(dtype: type, bad: float) -> None:
    array = np.full((300, 8), 7, dtype)
    assert constants.is_finite(ir.tensor(array))
    array[299, 7] = bad
    assert not constants.is_finite(ir.tensor(array))
    array[0, 0] = -bad
    assert not constants.is_finite(ir.tensor(array))
