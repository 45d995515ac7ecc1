"""What is proved of sizes that are computed: numbers, symbols that are equal, or nothing."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.passes.graph.sizes import Entry, Sizes, broadcasts_into, same_shape
from graphopt.passes.infer_shapes import InferShapes
from tests.passes.graphs import graph

CONSTANTS = {
    "i0": np.array([0], np.int64),
    "i1": np.array([1], np.int64),
    "scalar": np.array(1, np.int64),
    "minus": np.array([-1], np.int64),
    "minuses": np.array([-1, -1, -1], np.int64),
    "ones": np.array([1, 1, 1], np.int64),
    "two": np.array([2], np.int64),
    "three": np.array([3], np.int64),
    "swapped": np.array([2, 0], np.int64),
    "end": np.array([2**63 - 1], np.int64),
    "table": np.array([[1, 2], [3, 4]], np.int64),
}

FOUND: dict[str, tuple[str, list[str | int | None] | None]] = {
    "Shape": ("y = Shape(a)", ["B", "S", 4]),
    "Shape of some axes": ("y = Shape<start=1, end=2>(a)", ["S"]),
    "Gather of one": ("t = Shape(a) y = Gather<axis=0>(t, scalar)", ["S"]),
    "Gather of several": ("t = Shape(a) y = Gather<axis=0>(t, swapped)", [4, "B"]),
    "Gather at run time": ("t = Shape(a) y = Gather<axis=0>(t, m)", None),
    "Slice": ("t = Shape(a) y = Slice(t, i1, end)", ["S", 4]),
    "Slice from behind": ("t = Shape(a) y = Slice(t, minus, end)", [4]),
    "Slice with steps": ("t = Shape(a) y = Slice(t, i0, end, i0, two)", None),
    "Concat": ("t = Shape(a) y = Concat<axis=0>(minus, t, two)", [-1, "B", "S", 4, 2]),
    "Concat with something unknown": ("t = Shape(a) y = Concat<axis=0>(t, m)", None),
    "Unsqueeze": ("t = Shape(a) s = Gather<axis=0>(t, scalar) y = Unsqueeze(s, i0)", ["S"]),
    "a cast": ("t = Shape(a) y = Cast<to=7>(t)", ["B", "S", 4]),
    "a cast that may wrap": ("t = Shape(a) y = Cast<to=6>(t)", None),
    "twice": ("t = Shape(a) y = Mul(t, two)", ["2*B", "2*S", 8]),
    "minus": ("t = Shape(a) y = Mul(t, minus)", [None, None, -4]),
    "a matrix of integers": ("y = Identity(table)", None),
    "an Expand by sizes with -1": (
        """t = Shape(a) u = Concat<axis=0>(minus, minus, three) n = Shape(u)
        o = ConstantOfShape<value = int64[1] {1}>(n) f = Mul(o, minus)
        e = Equal(u, f) y = Where(e, o, u)""",
        [1, 1, 3],
    ),
    "sizes are not negative": (
        "t = Shape(a) e = Equal(t, minuses) y = Where(e, ones, t)",
        ["B", "S", 4],
    ),
    "a size may be 1": (
        "t = Shape(a) e = Equal(t, ones) y = Where(e, minuses, t)",
        [None, None, 4],
    ),
    "an overridable constant": ("y = Identity(w)", None),
}


@pytest.mark.parametrize("case", FOUND)
def test_entries(case: str) -> None:
    body, expected = FOUND[case]
    model = graph(
        body,
        inputs="float[B,S,4] a, int64[1] m, int64[1] w",
        outputs="int64 y",
        constants={**CONSTANTS, "w": np.array([3], np.int64)},
        opset=20,
    )
    InferShapes()(model)
    entries = Sizes().entries(model.graph.outputs[0])
    assert (None if entries is None else list(map(_name, entries))) == expected


def _name(entry: Entry) -> str | int | None:
    return entry.value if isinstance(entry, ir.SymbolicDim) else entry


def test_a_longer_chain_than_any_sizes_have_proves_nothing() -> None:
    body = "t0 = Shape(a)" + " ".join(f"t{i + 1} = Identity(t{i})" for i in range(3000))
    model = graph(f"{body} y = Identity(t3000)", outputs="int64 y")
    for node in model.graph:
        node.outputs[0].shape = model.graph.node(0).outputs[0].shape = None
    assert Sizes().entries(model.graph.outputs[0]) is None


def test_two_shapes_are_the_same_only_where_each_dimension_is_proved_equal() -> None:
    model = graph("y = Add(a, b)", inputs="float[B,S,4] a, float[B,T,4] b, float[?,S,4] c")
    a, b, c = model.graph.inputs
    assert same_shape(a, a)
    assert not same_shape(a, b)
    assert not same_shape(c, c)
    a.shape = None
    assert not same_shape(a, a)


@pytest.mark.parametrize(
    ("kind", "fits"),
    [
        ("float", True),
        ("float[1]", True),
        ("float[4]", True),
        ("float[S,1]", True),
        ("float[1,S,4]", True),
        ("float[T,4]", False),
        ("float[1,1,1,4]", False),
        ("float[2,1,1]", False),
    ],
)
def test_what_broadcasts_into_another(kind: str, fits: bool) -> None:
    model = graph("y = Add(a, m)", inputs=f"float[B,S,4] a, {kind} m", outputs="float y")
    a, m = model.graph.inputs
    m.shape = m.shape if m.shape is not None else ir.Shape([])
    assert broadcasts_into(m, a) == fits
