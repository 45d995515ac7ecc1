from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from graphopt.passes.merge_equal_nodes import MergeEqualNodes
from tests.passes.attention import records
from tests.passes.graphs import graph

CONSTANTS = {
    "one": np.array(1, np.float32),
    "one_again": np.array(1, np.float32),
    "ones": np.ones(1, np.float32),
    "two": np.array(2, np.float32),
    "long": np.ones(65, np.float32),
    "long_again": np.ones(65, np.float32),
    "g": np.arange(4, dtype=np.float32),
    "split": np.array([2, 2], np.int64),
}

# What computes y from the inputs; how many nodes are merged.
CASES: dict[str, tuple[str, int]] = {
    "the same": ("s = Exp(a) t = Exp(a) y = Add(s, t)", 1),
    "three": ("s = Exp(a) t = Exp(a) u = Exp(a) y = Sum(s, t, u)", 2),
    "chains": ("s = Exp(a) t = Exp(a) u = Neg(s) v = Neg(t) y = Add(u, v)", 2),
    "equal constants": ("s = Add(a, one) t = Add(a, one_again) y = Mul(s, t)", 1),
    "another constant": ("s = Add(a, one) t = Add(a, two) y = Mul(s, t)", 0),
    "a constant of another shape": ("s = Add(a, one) t = Add(a, ones) y = Mul(s, t)", 0),
    "long constants": (
        "s = Add(e, long) t = Add(e, long_again) y = Mul(s, t)",
        0,
    ),
    "another operand": ("s = Exp(a) t = Exp(b) y = Add(s, t)", 0),
    "operands in another order": ("s = Sub(a, b) t = Sub(b, a) y = Add(s, t)", 0),
    "equal attributes": ("s = Softmax<axis=0>(a) t = Softmax<axis=0>(a) y = Add(s, t)", 1),
    "another attribute": ("s = Softmax<axis=0>(a) t = Softmax<axis=1>(a) y = Add(s, t)", 0),
    "equal tensors": (
        """d = Shape(a) s = ConstantOfShape<value = float[1] {1}>(d)
        t = ConstantOfShape<value = float[1] {1}>(d) y = Add(s, t)""",
        1,
    ),
    "other tensors": (
        """d = Shape(a) s = ConstantOfShape<value = float[1] {1}>(d)
        t = ConstantOfShape<value = float[1] {2}>(d) y = Add(s, t)""",
        0,
    ),
    "several results": (
        "s, u = Split<axis=1>(a, split) t, v = Split<axis=1>(a, split) y = Sum(s, t, u, v)",
        1,
    ),
    "equal parts": ("s, u = Split(a) t, v = Split(a) y = Sum(s, t, u, v)", 1),
    "fewer parts": ("s, u, v, w = Split(a) t, r = Split(a) y = Concat<axis=0>(s, t)", 0),
    "a result that the first lacks": (
        "s = Dropout(a) s1, i1 = MaxPool<kernel_shape=[1]>(c) s2 = MaxPool<kernel_shape=[1]>(c)"
        " y = Add(s, s)",
        1,
    ),
    "a result that only the second has": (
        "s1 = MaxPool<kernel_shape=[1]>(c) s2, i2 = MaxPool<kernel_shape=[1]>(c) u = Cast<to=1>(i2)"
        " y = Sum(s1, s2, u)",
        0,
    ),
    "random numbers": ("s = RandomNormalLike(a) t = RandomNormalLike(a) y = Add(s, t)", 0),
    "draws": ("s = Bernoulli(a) t = Bernoulli(a) y = Add(s, t)", 0),
    "norms": ("s = LayerNormalization(a, g) t = LayerNormalization(a, g) y = Add(s, t)", 0),
    "another domain": (
        "s = com.microsoft.Gelu(a) t = com.microsoft.Gelu(a) y = Add(s, t)",
        0,
    ),
    "a graph output": ("s = Exp(a) y = Exp(a) z = Neg(s)", 0),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_computed_twice_is_computed_once(case: str) -> None:
    body, merged = CASES[case]
    model = graph(
        body,
        inputs="float[B,4] a, float[B,4] b, float[B,1,4] c, float[65] e",
        constants=CONSTANTS,
        outputs="float y" if "z = " not in body else "float y, float z",
        opset=17,
    )
    before = model.graph.num_nodes()
    assert records(model, MergeEqualNodes()) == ({"equal nodes merged": merged} if merged else {})
    assert model.graph.num_nodes() == before - merged


def test_a_branch_that_may_not_run_keeps_its_node() -> None:
    model = graph(
        """s = Exp(a) y = If(c) <then_branch = then () => (float[B,4] t) { t = Exp(a) },
        else_branch = other () => (float[B,4] e) { e = Neg(s) }>""",
        inputs="float[B,4] a, bool c",
        outputs="float[B,4] y",
    )
    assert records(model, MergeEqualNodes()) == {}


def test_before_opset_14_the_number_of_results_tells_training() -> None:
    model = graph(
        """s, m, v, m1, v1 = BatchNormalization(a, one4, one4, m0, v0)
        t = BatchNormalization(a, one4, one4, m0, v0) y = Add(s, t)""",
        inputs="float[B,4] a, float[4] one4, float[4] m0, float[4] v0",
        outputs="float[B,4] y",
        opset=13,
    )
    assert records(model, MergeEqualNodes()) == {}


def test_a_node_that_went_with_a_merged_one_is_no_twin() -> None:
    model = graph(
        """d = Cast<to=11>(a) d0 = Cast<to=11>(c0) s = Add(d, d0)
        f1 = Cast<to=1>(c1) d1 = Cast<to=11>(f1) t = Add(d, d1)
        f2 = Cast<to=1>(c2) u = Add(a, f2) f3 = Cast<to=1>(c3) v = Mul(a, f3)
        w = Add(s, t) r = Cast<to=1>(w) y = Sum(r, u, v)""",
        inputs="float[B,4] a",
        outputs="float[B,4] y",
        constants={f"c{i}": np.arange(4, dtype=np.float16) for i in range(4)},
        float64=False,
    )
    assert records(model, MergeEqualNodes()) == {"equal nodes merged": 2}
    onnx.checker.check_model(ir.to_proto(model))
