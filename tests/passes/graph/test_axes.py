"""Where a Reshape takes the features: compared with the features of every single entry."""

from __future__ import annotations

import itertools

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.passes.graph.axes import FeatureAxis, broadcast_axis, move_through_reshape
from tests.passes.graphs import Case, assert_outcome, cases

_SHAPES = [
    dims
    for count in (1, 2, 3, 4)
    for dims in itertools.product((1, 2, 3, 4, 6, 8, 12, 24), repeat=count)
    if np.prod(dims) == 24
]


def _value(*dims: int | str | None) -> ir.Value:
    return ir.Value(name="v", shape=ir.Shape(dims), type=ir.TensorType(ir.DataType.FLOAT))


def _features(shape: tuple[int, ...], axis: FeatureAxis) -> np.ndarray:
    """The feature of each entry, in row-major order."""
    index = np.arange(shape[axis.axis]) // axis.inner % axis.size
    return np.broadcast_to(
        index.reshape([-1 if i == axis.axis else 1 for i in range(len(shape))]), shape
    ).reshape(-1)


def _all_axes(shape: tuple[int, ...], size: int) -> list[FeatureAxis]:
    return [
        FeatureAxis(axis, size, inner)
        for axis, dim in enumerate(shape)
        for inner in range(1, dim // size + 1)
        if dim % (size * inner) == 0
    ]


@pytest.mark.parametrize("size", [3, 4, 6])
def test_a_reshape_moves_the_features_where_they_really_are(size: int) -> None:
    values = {shape: _value(*shape) for shape in _SHAPES}
    features = {
        shape: [(axis, _features(shape, axis).tobytes()) for axis in _all_axes(shape, size)]
        for shape in _SHAPES
    }
    for source, target in itertools.product(_SHAPES, repeat=2):
        for axis, wanted in features[source]:
            moved = move_through_reshape(axis, values[source], values[target])
            right = [other for other, found in features[target] if found == wanted]
            assert moved in right if right else moved is None, (source, target, axis)


# source, axis of it, target: where the features of size 8 are, if that is proved
SYMBOLIC = {
    "tokens are merged": (("B", "S", 8), (2, 1), ("BS", 8), (1, 1)),
    "tokens are split": (("N", 8), (1, 1), ("B", "S", 8), (2, 1)),
    "heads are split": (("B", "S", 16), (2, 1), ("B", "S", 2, 8), (3, 1)),
    "heads are merged": (("B", "S", 2, 8), (3, 1), ("B", "S", 16), (2, 1)),
    "places are merged": (("B", 8, "H", "W"), (1, 1), ("B", 8, "P"), (1, 1)),
    "places are unknown": (("B", 8, "H", "W"), (1, 1), ("B", 8, None), (1, 1)),
    "batch and places are unknown": (("B", 8, "H", "W"), (1, 1), (None, 8, None), None),
    "another batch": (("B", 8, "S"), (1, 1), ("A", 8, "S"), (1, 1)),
    "another batch and other places": (("B", 8, "S"), (1, 1), ("A", 8, "T"), None),
    "features and tokens change places": (("B", "S", 8), (2, 1), ("B", 8, "S"), None),
    "features are merged with tokens": (("B", "S", 8), (2, 1), ("B", "SD"), None),
    "features are spread": (("B", "S", 8), (2, 1), ("B", "S", 2, 4), None),
    "features of unknown number": (("B", "S", 8), (2, 1), ("B", "S", "F"), None),
}


@pytest.mark.parametrize(("source", "axis", "target", "moved"), SYMBOLIC.values(), ids=SYMBOLIC)
def test_symbols_are_equal_only_to_themselves(
    source: tuple, axis: tuple[int, int], target: tuple, moved: tuple[int, int] | None
) -> None:
    found = move_through_reshape(FeatureAxis(axis[0], 8, axis[1]), _value(*source), _value(*target))
    assert found == (None if moved is None else FeatureAxis(moved[0], 8, moved[1]))


def test_an_operand_of_lower_rank_lacks_the_leading_axes() -> None:
    value = _value("S", 8)
    assert [broadcast_axis(value, 3, axis) for axis in range(3)] == [-1, 0, 1]
    assert broadcast_axis(ir.Value(name="unknown"), 3, 2) is None


_HEADS = {"heads": np.array([0, 0, 2, 4]), "apart": np.array([0, 0, 4, 2])}
_PROJECT = "q = MatMul(a, w) "

# Per-head norms of queries and keys, before rotary embedding
BLOCKS = {
    "heads x features": Case(
        _PROJECT + "x = Reshape(q, heads) y = LayerNormalization(x, g, c)",
        "w[4,8] g[4] c[4]",
        converts="y",
        absorbs="w",
        given={"constants": _HEADS, "outputs": "float y"},
    ),
    "heads x features, with a bias, turned": Case(
        """p = MatMul(a, w) q = Add(p, b) h = Reshape(q, heads)
        x = Transpose<perm = [0, 2, 1, 3]>(h) y = LayerNormalization(x, g, c)""",
        "w[4,8] b[8] g[4] c[4]",
        converts="y",
        absorbs="w b",
        given={"constants": _HEADS, "outputs": "float y"},
    ),
    "features x heads": Case(
        _PROJECT
        + """h = Reshape(q, apart) x = Transpose<perm = [0, 1, 3, 2]>(h)
        y = LayerNormalization(x, g, c)""",
        "w[4,8] g[4] c[4]",
        converts="y",
        absorbs="w",
        given={"constants": _HEADS, "outputs": "float y"},
    ),
    "a bias that is one head wide": Case(
        _PROJECT + "h = Reshape(q, heads) x = Add(h, b) y = LayerNormalization(x, g, c)",
        "w[4,8] b[4] g[4] c[4]",
        converts="y",
        absorbs="w b",
        given={"constants": _HEADS, "outputs": "float y"},
    ),
    "a whole axis is recentred at run time": Case(
        """q = Relu(a) x = Reshape(q, heads)
        y = LayerNormalization(x, g, c) z = LayerNormalization(x, g, c2)""",
        "g[4] c[4] c2[4]",
        converts="y z",
        recentres="x",
        given={
            "inputs": "float[B,S,8] a",
            "constants": _HEADS,
            "outputs": "float y, float z",
        },
    ),
    "a block is not, even where it would pay": Case(
        """q = Relu(a) x = Reshape(q, heads) x2 = Reshape(q, heads)
        y = LayerNormalization(x, g, c) z = LayerNormalization(x2, g, c2)""",
        "g[4] c[4] c2[4]",
        keeps={"y": "Relu q writes it", "z": "Relu q writes it"},
        given={
            "inputs": "float[B,S,8] a",
            "constants": _HEADS,
            "outputs": "float y, float z",
        },
    ),
    "one weight is centred on blocks for one norm and on the whole axis for another": Case(
        _PROJECT
        + """x = Reshape(q, heads) y = LayerNormalization(x, g, c)
        k = MatMul(d, w) z = LayerNormalization(k, g8, c8)""",
        "w[4,8] g[4] c[4] g8[8] c8[8]",
        converts="y z",
        absorbs="w",
        copies="w",
        given={
            "inputs": "float[B,S,4] a, float[B,S,4] d",
            "constants": _HEADS,
            "outputs": "float y, float z",
        },
    ),
}


@cases(BLOCKS)
def test_a_block_of_an_axis_is_a_feature_axis(case: Case) -> None:
    assert_outcome(case)
