"""Guards that may act zero the rows that see no key, behind the heads instead of the scores."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.passes import pipeline
from graphopt.passes.move_nan_guards import MoveNanGuards
from graphopt.passes.settle_sizes import SettleSizes
from tests.onnx_runtime import OptimizedSession
from tests.passes.attention import (
    MASKS,
    PADDING,
    assert_same,
    block,
    changed,
    feeds,
    records,
)
from tests.passes.graphs import graph, random_array

MOVED = {"infinite", "constant true"}
"""Of MASKS those of -Inf in one Where; idle ones are dropped by another pass."""


@pytest.mark.parametrize("mask", MASKS)
def test_a_guard_that_may_act_is_moved_and_no_padding_shows(mask: str) -> None:
    original, model = block(mask, float64=False), block(mask, float64=False)
    found = records(model, SettleSizes(), MoveNanGuards())
    assert found.get("NaN guards moved", 0) == (mask in MOVED)
    operators = [node.op_type for node in model.graph]
    assert ("IsNaN" in operators) != (mask in MOVED)
    for padding in PADDING:
        assert_same(original, model, feeds(padding, np.float32))


@pytest.mark.parametrize("ops", ["standard", "ort", "custom"])
def test_the_whole_pipeline_moves_it(ops: str) -> None:
    original, model = block("infinite", float64=False), block("infinite", float64=False)
    _, found = pipeline.run(model, pipeline.Options(ops=ops))
    counts = {name: count for record in found for name, count in record.detail.items()}
    assert counts["NaN guards moved"] == 1
    chosen = [node.inputs[1] for node in model.graph if node.op_type == "Where"]
    makers = {node.op_type for value in chosen if (node := value.producer()) is not None}
    assert makers == {"Reshape" if ops == "standard" else "MultiHeadAttention"}
    sessions = [OptimizedSession(each) for each in (original, model)]
    for padding in PADDING:
        given = feeds(padding, np.float32)
        before, after = (session.run(given)["y"] for session in sessions)
        assert np.abs(after - before).max() <= 1e-6 * np.abs(before).max()


def test_no_fuse_leaves_it() -> None:
    model = block("infinite", float64=False)
    pipeline.run(model, pipeline.Options(fuse=False))
    assert "IsNaN" in {node.op_type for node in model.graph}


# Attention of t [B, N, S, T], c, e and the values v, and what is written instead of what.
_BODY = """
    t = MatMul(q, k) m = Where(c, zero, infinite) s = Add(t, m) p = Softmax<axis=-1>(s)
    n = IsNaN(p) g = Where(n, zero, p) o = MatMul(g, v) y = Neg(o)
"""
CASES: dict[str, tuple[dict[str, str], bool]] = {
    "as it stands": ({}, True),
    "what is hidden": ({"Where(c, zero, infinite)": "Where(c, infinite, zero)"}, True),
    "the mask first": ({"Add(t, m)": "Add(m, t)"}, True),
    "a negated test": (
        {"g = Where(n, zero, p)": "not = Not(n) g = Where(not, p, zero)"},
        True,
    ),
    "the last axis by its number": ({"axis=-1": "axis=3"}, True),
    "scores that are scaled": (
        {"m = Where": "u = Mul(t, half) m = Where", "Add(t, m)": "Add(u, m)"},
        True,
    ),
    "a mask for each head": ({"Where(c,": "Where(e,"}, True),
    "a mask for all rows": ({"Where(c,": "Where(r,"}, True),
    "a vector of keys": ({"Where(c,": "Where(l,"}, True),
    "one for all keys": ({"Where(c,": "Where(w,"}, True),
    "numbers of one entry": ({"zero, infinite": "one_zero, one_infinite"}, True),
    "a finite mask": ({"zero, infinite": "zero, low"}, False),
    "a mask above zero": ({"zero, infinite": "zero, plus"}, False),
    "a mask that raises": ({"zero, infinite": "half, infinite"}, False),
    "a vector of numbers": ({"zero, infinite": "zero, numbers"}, False),
    "another filler": ({"Where(n, zero, p)": "Where(n, half, p)"}, False),
    "a negative zero": ({"Where(n, zero, p)": "Where(n, minus, p)"}, True),
    "scores of anything": ({"Add(t, m)": "Add(f, m)"}, False),
    "two masks": (
        {"m = Where": "x = Where(e, zero, infinite) u = Add(t, x) m = Where", "(t, m)": "(u, m)"},
        False,
    ),
    "a huge factor": ({"m = Where": "u = Mul(t, huge) m = Where", "Add(t, m)": "Add(u, m)"}, False),
    "another softmax": ({"axis=-1": "axis=2"}, False),
    "values first": ({"MatMul(g, v)": "MatMul(v, g)"}, False),
    "weights that something else reads": ({"y = Neg(o)": "z = Neg(p) y = Add(o, z)"}, False),
    "guarded weights that something else reads": (
        {"y = Neg(o)": "z = Neg(g) y = Add(o, z)"},
        False,
    ),
    "scores that something else reads": ({"y = Neg(o)": "z = Neg(s) y = Add(o, z)"}, False),
    "a mask that something else reads": (
        {"y = Neg(o)": "z = Sign(m) j = Add(z, half) y = Add(o, j)"},
        True,
    ),
    "a test that something else reads": (
        {"y = Neg(o)": "i = Cast<to=1>(n) z = Neg(i) y = Add(o, z)"},
        False,
    ),
    "a result that is an output": ({"y = Neg(o)": "", "o = ": "y = "}, False),
    "one vector of values": ({"MatMul(g, v)": "MatMul(g, row)"}, False),
}
_NUMBERS = {
    "zero": np.array(0),
    "minus": np.array(-0.0),
    "half": np.array(0.5),
    "infinite": np.array(-np.inf),
    "low": np.array(-1e4),
    "plus": np.array(1e4),
    "huge": np.array(1e10),
    "one_zero": np.zeros(1),
    "one_infinite": np.full(1, -np.inf),
    "row": np.array([1, 2, -1, 0.5]),
    "numbers": np.array([0, -np.inf, -1, 0]),
}


def _model(changes: dict[str, str], opset: int = 17) -> ir.Model:
    return graph(
        changed(_BODY, changes),
        inputs="float[B,2,4,3] q, float[B,2,3,4] k, float[B,2,4,4] v, float[B,2,4,4] f, "
        "bool[B,1,4,4] c, bool[B,2,4,4] e, bool[B,1,1,4] r, bool[4] l, bool[B,1,4,1] w",
        outputs="float y",
        constants={name: array.astype(np.float32) for name, array in _NUMBERS.items()},
        opset=opset,
        float64=False,
    )


def _given() -> dict[str, np.ndarray]:
    floats = {"q": (3, 2, 4, 3), "k": (3, 2, 3, 4), "v": (3, 2, 4, 4), "f": (3, 2, 4, 4)}
    bools = {"c": (3, 1, 4, 4), "e": (3, 2, 4, 4), "r": (3, 1, 1, 4), "l": (4,), "w": (3, 1, 4, 1)}
    given = {name: random_array(name, shape) for name, shape in floats.items()}
    seen = {name: random_array(name, shape) > 0 for name, shape in bools.items()}
    for name, array in seen.items():
        if name != "l":
            array[1] = name in "c"  # whole samples that see nothing, or everything
            array[2, :, :2] = False
    return given | seen


@pytest.mark.parametrize("case", CASES)
def test_what_is_moved(case: str) -> None:
    changes, moved = CASES[case]
    model, original = _model(changes), _model(changes)
    assert records(model, MoveNanGuards()) == ({"NaN guards moved": 1} if moved else {})
    assert ("IsNaN" in {node.op_type for node in model.graph}) != moved
    before, after = (OptimizedSession(each).run(_given())["y"] for each in (original, model))
    np.testing.assert_array_equal(np.isnan(after), np.isnan(before))
    assert np.nanmax(np.abs(after - before)) <= 2e-6 * np.nanmax(np.abs(before))


@pytest.mark.parametrize("opset", [10, 12, 13, 18, 21])
def test_in_every_opset(opset: int) -> None:
    model, original = _model({"axis=-1": "axis=3"}, opset), _model({"axis=-1": "axis=3"}, opset)
    assert records(model, MoveNanGuards()) == {"NaN guards moved": 1}
    before, after = (OptimizedSession(each).run(_given())["y"] for each in (original, model))
    assert np.abs(after - before).max() <= 2e-6 * np.abs(before).max()


def test_what_layers_share_is_computed_once() -> None:
    """Both read one mask; the rows that see a key, and the finite mask, are made once."""
    second = """
        t2 = MatMul(o, v) s2 = Add(t2, m) p2 = Softmax<axis=-1>(s2)
        n2 = IsNaN(p2) g2 = Where(n2, zero, p2) o2 = MatMul(g2, v) y = Neg(o2)
    """
    body = {"y = Neg(o)": second}
    model, original = _model(body), _model(body)
    assert records(model, MoveNanGuards())["NaN guards moved"] == 2
    operators = [node.op_type for node in model.graph]
    assert operators.count("ConstantOfShape") == operators.count("Greater") == 1
    assert operators.count("Where") == 3
    before, after = (OptimizedSession(each).run(_given())["y"] for each in (original, model))
    assert np.abs(after - before).max() <= 2e-6 * np.abs(before).max()


def test_what_layers_share_stands_before_all_of_them() -> None:
    """The layer that is done second adds its mask first: the pass leaves the nodes sorted."""
    body = """
        t = MatMul(q, k) t2 = MatMul(q, k) m = Where(c, zero, infinite)
        s2 = Add(t2, m) s = Add(t, m) p = Softmax<axis=-1>(s) p2 = Softmax<axis=-1>(s2)
        n = IsNaN(p) g = Where(n, zero, p) n2 = IsNaN(p2) g2 = Where(n2, zero, p2)
        o = MatMul(g, v) o2 = MatMul(g2, v) y = Add(o, o2)
    """
    model = _model({_BODY: body})
    assert records(model, MoveNanGuards())["NaN guards moved"] == 2
    order = list(model.graph)
    for node in order:
        makers = [value.producer() for value in node.inputs if value is not None]
        assert all(order.index(maker) < order.index(node) for maker in makers if maker)


def test_no_reduction_meets_an_empty_mask() -> None:
    """ReduceSum of ONNX Runtime up to 1.31 gives [B, 1, S, 0] of [B, 1, S, 0], not [B, 1, S, 1]."""
    model = _model({})
    records(model, MoveNanGuards())
    assert not [node for node in model.graph if node.op_type.startswith("Reduce")]


def test_without_keys_there_are_zeros() -> None:
    """No key is seen, because there is none."""
    inputs = "float[2,N,3] q, float[2,3,T] k, float[2,T,3] v, bool[N,T] c"
    models = [
        graph(
            _BODY,
            inputs=inputs,
            outputs="float y",
            constants={name: array.astype(np.float32) for name, array in _NUMBERS.items()},
            float64=False,
        )
        for _ in range(2)
    ]
    assert records(models[1], MoveNanGuards()) == {"NaN guards moved": 1}
    given = {
        "q": random_array("q", (2, 4, 3)),
        "k": np.zeros((2, 3, 0), np.float32),
        "v": np.zeros((2, 0, 3), np.float32),
        "c": np.zeros((4, 0), bool),
    }
    before, after = (OptimizedSession(each).run(given)["y"] for each in models)
    assert before.shape == after.shape
    np.testing.assert_array_equal(after, before)
