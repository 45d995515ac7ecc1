from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.passes.settle_sizes import SettleSizes
from tests.passes.attention import records
from tests.passes.graphs import graph

CONSTANTS = {
    "i0": np.array([0], np.int64),
    "i1": np.array([1], np.int64),
    "i2": np.array([2], np.int64),
    "last": np.array([-1], np.int64),
    "two": np.array([2], np.int64),
    "three": np.array([3], np.int64),
    "six": np.array([6], np.int64),
    "ones": np.array([1, 1, 1], np.int64),
    "as_it_is": np.array([0, 0, 6], np.int64),
}
_DIMS = "d = Shape(x) b = Gather<axis=0>(d, i0) s = Gather<axis=0>(d, i1) f = Gather<axis=0>(d, i2)"
_REPEATED = """n = Shape(u) o = ConstantOfShape<value = int64[1] {1}>(n) g = Mul(o, last)
    e = Equal(u, g) v = Where(e, o, u) t = Expand(x, v)"""

# What computes t from float[B,S,6] x and float[B,S,6] z; what is counted; the sizes that are left.
CASES: dict[str, tuple[str, dict[str, int], list[int] | None]] = {
    "heads": (
        f"{_DIMS} u = Concat<axis=0>(b, s, last, three) t = Reshape(x, u)",
        {"sizes made constant": 1},
        [0, 0, 2, 3],
    ),
    "heads, with zeros that are zeros": (
        f"{_DIMS} u = Concat<axis=0>(b, s, last, three) t = Reshape<allowzero=1>(x, u)",
        {"sizes made constant": 1},
        [0, 0, 2, 3],
    ),
    "features": (
        f"{_DIMS} u = Concat<axis=0>(last, f) t = Reshape(x, u)",
        {"sizes made constant": 1},
        [-1, 6],
    ),
    "features that move": (
        f"""{_DIMS} w = Concat<axis=0>(b, s, two, three) r0 = Reshape(x, w)
        r1 = Transpose<perm=[0,2,1,3]>(r0) k = Concat<axis=0>(b, two, last, three)
        t = Reshape(r1, k)""",
        {"sizes made constant": 1, "reshapes dropped": 1},
        [0, 0, 2, 3],
    ),
    "two sizes that the operand does not have": (
        f"{_DIMS} u = Concat<axis=0>(s, b, last) t = Reshape(x, u)",
        {},
        None,
    ),
    "a size to infer beside one to copy": (
        f"{_DIMS} q = Mul(s, two) u = Concat<axis=0>(b, q, three) t = Reshape(x, u)",
        {},
        None,
    ),
    "the same shape": (
        f"{_DIMS} u = Concat<axis=0>(b, last, f) t = Reshape(x, u)",
        {"reshapes dropped": 1},
        None,
    ),
    "the same shape, said by a constant": (
        "t = Reshape(x, as_it_is)",
        {"reshapes dropped": 1},
        None,
    ),
    "an Expand to no more": ("t = Expand(x, ones)", {"reshapes dropped": 1}, None),
    "an Expand that keeps sizes by -1": (
        f"{_DIMS} u = Concat<axis=0>(last, s, f) {_REPEATED}",
        {"reshapes dropped": 1},
        None,
    ),
    "an Expand that asks for more": (
        f"{_DIMS} u = Concat<axis=0>(two, b, s, last) {_REPEATED}",
        {},
        None,
    ),
    "a cast to its own type": ("t = Cast<to=11>(x)", {"reshapes dropped": 1}, None),
    "a cast": ("t = Cast<to=7>(x)", {}, None),
    "sizes at run time": ("t = Reshape(x, r)", {}, None),
}


@pytest.mark.parametrize("case", CASES)
def test_sizes_become_constant(case: str) -> None:
    body, counted, sizes = CASES[case]
    model, original = _model(body), _model(body)
    assert records(model, SettleSizes()) == counted
    if sizes is not None:
        reshape = next(node for node in model.graph if node.op_type == "Reshape")
        assert "allowzero" not in reshape.attributes
        constant = reshape.inputs[1]
        assert constant is not None and constant.const_value is not None
        assert constant.const_value.numpy().tolist() == sizes
        assert "Concat" not in [node.op_type for node in model.graph]
    for shape in ((2, 5, 6), (3, 1, 6)):
        x = np.random.default_rng(0).normal(size=shape)
        given = {"x": x, "r": np.array([-1])}
        before, after = (evaluate(each, given)["y"] for each in (original, model))
        assert np.array_equal(before, after)
        assert before.shape == after.shape


def _model(body: str) -> ir.Model:
    result = "y = Neg(t)"
    return graph(
        f"{body} {result}",
        inputs="float[B,S,6] x, int64[K] r",
        outputs="double y",
        constants=CONSTANTS,
        opset=18,
    )


def test_a_graph_output_keeps_its_reshape() -> None:
    model = graph(
        "y = Reshape(x, sizes)",
        inputs="float[B,6] x",
        outputs="float[B,6] y",
        constants={"sizes": np.array([-1, 6], np.int64)},
    )
    assert records(model, SettleSizes()) == {}
