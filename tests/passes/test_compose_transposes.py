from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.passes.compose_transposes import ComposeTransposes
from tests.passes.attention import records
from tests.passes.graphs import graph

CONSTANTS = {
    "folded": np.array([-1, 5, 4], np.int64),
    "folded_anew": np.array([-1, 4, 5], np.int64),
    "unfolded": np.array([2, 3, 4, 5], np.int64),
    "unfolded_anew": np.array([3, 2, 4, 5], np.int64),
    "half": np.array([-1, 3, 4, 5], np.int64),
    "flat": np.array([6, 20], np.int64),
}
_FOLDED = "f = Reshape(x, folded)"

# What computes t from float[2,3,5,4] x; what is counted; the orders that are left.
CASES: dict[str, tuple[str, dict[str, int], list[list[int]]]] = {
    "keys as exporters transpose them": (
        f"{_FOLDED} s = Transpose<perm=[0,2,1]>(f) t = Reshape(s, unfolded)",
        {"reshaped transposes": 1},
        [[0, 1, 3, 2]],
    ),
    "with a size that is not written": (
        f"{_FOLDED} s = Transpose<perm=[0,2,1]>(f) t = Reshape(s, half)",
        {"reshaped transposes": 1},
        [[0, 1, 3, 2]],
    ),
    "other leading axes": (
        f"{_FOLDED} s = Transpose<perm=[0,2,1]>(f) t = Reshape(s, unfolded_anew)",
        {},
        [[0, 2, 1]],
    ),
    "axes folded anew": (
        "f = Reshape(x, folded_anew) s = Transpose<perm=[0,2,1]>(f) t = Reshape(s, unfolded)",
        {},
        [[0, 2, 1]],
    ),
    "another order": (
        f"{_FOLDED} s = Transpose<perm=[1,2,0]>(f) t = Reshape(s, unfolded)",
        {},
        [[1, 2, 0]],
    ),
    "the folded keys are read": (
        f"""{_FOLDED} s = Transpose<perm=[0,2,1]>(f) t0 = Reshape(s, unfolded)
        g = Reshape(s, unfolded) t = Add(t0, g)""",
        {"reshaped transposes": 2},
        [[0, 1, 3, 2], [0, 1, 3, 2]],
    ),
    "two": (
        "s = Transpose<perm=[0,2,1,3]>(x) t = Transpose<perm=[0,1,3,2]>(s)",
        {"transposes composed": 1},
        [[0, 2, 3, 1]],
    ),
    "three": (
        """s = Transpose<perm=[1,2,3,0]>(x) u = Transpose<perm=[0,3,1,2]>(s)
        t = Transpose<perm=[3,0,1,2]>(u)""",
        {"transposes composed": 2},
        [[3, 1, 0, 2]],
    ),
    "reversed twice": (
        "s = Transpose(x) t = Transpose(s)",
        {"transposes composed": 1, "transposes dropped": 1},
        [],
    ),
    "back and forth": (
        "s = Transpose<perm=[0,2,1,3]>(x) t = Transpose<perm=[0,2,1,3]>(s)",
        {"transposes composed": 1, "transposes dropped": 1},
        [],
    ),
    "the first is read by others": (
        """s = Transpose<perm=[0,2,1,3]>(x) u = Transpose<perm=[0,1,3,2]>(s) v = Shape(s)
        w = Reshape(u, flat) t0 = MatMul(s, u) t = Neg(t0) r = Neg(v)""",
        {},
        [[0, 2, 1, 3], [0, 1, 3, 2]],
    ),
    "a key and its size, which nothing reads": (
        """s = Transpose<perm=[0,2,1,3]>(x) t = Transpose<perm=[0,1,3,2]>(s)""",
        {"transposes composed": 1},
        [[0, 2, 3, 1]],
    ),
    "in order": ("t = Transpose<perm=[0,1,2,3]>(x)", {"transposes dropped": 1}, []),
}


@pytest.mark.parametrize("case", CASES)
def test_keys_are_transposed_once(case: str) -> None:
    body, counted, orders = CASES[case]
    model, original = _model(body), _model(body)
    assert records(model, ComposeTransposes()) == counted
    left = [node for node in model.graph if node.op_type == "Transpose"]
    assert [list(node.attributes.get_ints("perm", ())) for node in left] == orders
    given = {"x": np.random.default_rng(0).normal(size=(2, 3, 5, 4))}
    assert np.array_equal(evaluate(model, given)["y"], evaluate(original, given)["y"])


def _model(body: str) -> ir.Model:
    outputs = "float y, int64 r" if "r = " in body else "float y"
    return graph(
        f"{body} y = Exp(t)", inputs="float[2,3,5,4] x", outputs=outputs, constants=CONSTANTS
    )


def test_symbols_must_be_proved_equal() -> None:
    body = """other = Shape(z) f = Reshape(x, folded) s = Transpose<perm=[0,2,1]>(f)
    h = Slice(other, zero, two) sizes = Concat<axis=0>(h, last) t = Reshape(s, sizes) y = Exp(t)"""
    numbers = {
        "folded": np.array([-1, 5, 4], np.int64),
        "zero": np.array([0], np.int64),
        "two": np.array([2], np.int64),
        "last": np.array([4, 5], np.int64),
    }
    for other, count in (("float[B,H,1] z", 1), ("float[H,B,1] z", 0), ("float[C,H,1] z", 0)):
        model = graph(
            body, inputs=f"float[B,H,5,4] x, {other}", outputs="float y", constants=numbers
        )
        assert records(model, ComposeTransposes()).get("reshaped transposes", 0) == count


def test_a_graph_output_keeps_its_transpose() -> None:
    model = graph(
        "s = Transpose<perm=[0,2,1]>(x) y = Transpose<perm=[0,2,1]>(s)",
        inputs="float[2,3,4] x",
        outputs="float[2,3,4] y",
    )
    assert records(model, ComposeTransposes()) == {}
    assert [node.op_type for node in model.graph] == ["Transpose", "Transpose"]


@pytest.mark.parametrize(
    "body",
    [
        "s = Transpose<perm=[1]>(r) t = Transpose<perm=[1]>(s)",
        "s = Transpose<perm=[2,1,0]>(r) t = Transpose<perm=[1,0]>(s)",
        "s = Transpose<perm=[1,0]>(r) t = Transpose<perm=[1,2,0]>(s)",
        "s = Transpose<perm=[0,1,2]>(r) t = Transpose<perm=[2,2,0]>(r)",
    ],
)
def test_an_order_of_other_axes_than_a_value_of_unknown_rank_has_stays(body: str) -> None:
    inputs = "float[2,3,5] x, int64[N] sizes"
    model = graph(f"r = Reshape(x, sizes) {body} y = Exp(t)", inputs=inputs, outputs="float y")
    records(model, ComposeTransposes())
    assert model.graph.node(-1).inputs[0].producer().attributes["perm"] is not None
