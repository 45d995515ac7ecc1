"""Rows of the op algebra that move entries: what keeps the features together, and what does not.

x is a linear map's result whose last axis has the 8 features, and a norm z reads it. A fragment
computes v from x, and a norm y reads v.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.passes.graphs import Case, assert_outcome, cases

WEIGHTS = """w[4,8] w2[4,8] cls[1,1,8] p[1,1,8] p1[2,2,8] p2[2,8] p7[2,2,7] t2[2] table[11,8]
    g[8] c[8]"""
INTS = {
    "i0": [0],
    "i1": [1],
    "i2": [2],
    "i3": [3],
    "i4": [4],
    "i8": [8],
    "last": [-1],
    "end": [1 << 40],
    "i11": [1, 1],
    "i22": [2, 2],
    "halves": [4, 4],
    "rows": [-1, 8],
    "whole": [-1, 4, 8],
    "heads": [0, 0, 2, 4],
    "turned": [0, 8, 4],
    "grown": [1, 1, 8],
    "by2": [1, 2, 1],
    "twice": [1, 1, 2],
    "around": [0, 1, 0, 0, 1, 0],
    "crop": [0, -1, 0, 0, 0, 0],
    "shift": [0, 0, 1, 0, 0, -1],
    "places": [[0], [1]],
    "deep": [[0, 0], [1, 1]],
    "single": 1,
    "far": [-(1 << 40)],
    "i00": [1, 0],
    "i18": [3, 8],
    "i12": [1, 2],
    "shorter": [0, 0, 1, 0, 0, 0],
    "lengths": [2, 4],
    "by4": [1, 2, 1, 2],
    "by8": [1, 2, 1, 2, 2, 1, 2, 1],
    "pairs": [[0, 1], [1, 3]],
    "triples": [[0, 1, 2], [1, 3, 5]],
    "column": [[[0], [3]], [[2], [1]]],
    "spread": [2, 2, 8],
    "columns": [[[0] * 8, [3] * 8], [[2] * 8, [1] * 8]],
    "uneven": [[[0] * 8, [3] * 8], [[2] * 8, [1] * 7 + [0]]],
    "across": [[list(range(8)), [0] * 8], [[2] * 8, list(range(8))]],
    "narrow": [[[0] * 7, [3] * 7], [[2] * 7, [1] * 7]],
    "ones8": [-1, 1, 8],
    "back": [7, 6, 5, 4, 3, 2, 1, 0],
    "entries": [[[[0, 0, 7 - i] for i in range(8)]]],
}
CONSTANTS = {
    **{name: np.array(entries, np.int64) for name, entries in INTS.items()},
    "zero": np.array(0, np.float32),
    "fill": np.array(0.5, np.float32),
    "kept": np.array([True, False, True, True]),
    "ranks": np.array([True] * 8),
}
_STATIC = {"inputs": "float[2,4,4] a"}
_ONE = {"inputs": "float[2,1,4] a"}
_LONG = {"inputs": "float[B,S,4] a"}
_WHOLE = "float[B,4,8] v"
_ADD = " v = Add(first, second)"


def fragment_case(
    fragment: str,
    opset: int = 17,
    inputs: str = "float[B,4,4] a",
    declared: str = "",
    feeds: Mapping[str, np.ndarray] | None = None,
    **expected: object,
) -> Case:
    body = f"""x = MatMul(a, w)
        z = LayerNormalization(x, g, c)
        {fragment}
        y = LayerNormalization(v, g, c)"""
    inputs += """, float[B,4,1] t, int64[2] ids, int64[1] n, float level, bool[4] some,
        int64[2,2,8] given"""
    given = {"inputs": inputs, "outputs": "float y, float z", "constants": CONSTANTS}
    given = {**given, "opset": opset, "declared": declared}
    return Case(body, WEIGHTS, given=given, options={"feeds": feeds}, **expected)


# fragment: (constants that absorb the mean beside w, further arguments)
COMMUTES = {
    "u = Transpose<perm = [0, 2, 1]>(x) v = Transpose<perm = [0, 2, 1]>(u)": ("", {}),
    "v = Transpose<perm = [1, 0, 2]>(x)": ("", {}),
    "u = Transpose(x) v = Transpose(u)": ("", {}),
    "v = Reshape(x, rows)": ("", _LONG),
    "r = Reshape(x, rows) shape = Shape(x) v = Reshape(r, shape)": ("", _LONG),
    "v = Flatten<axis = 2>(x)": ("", {}),
    "v = Flatten<axis = -1>(x)": ("", {}),
    "u = Unsqueeze(x, i1) v = Squeeze(u, i1)": ("", {}),
    "u = Unsqueeze(x, last) v = Squeeze(u, i3)": ("", {}),
    "u = Unsqueeze<axes = [0, 2]>(x) v = Squeeze<axes = [2]>(u)": ("", {"opset": 11}),
    "v = Squeeze(x)": ("", _ONE),
    "e = Expand(p, grown) v = Add(x, e)": ("p", {}),
    "shape = Shape(x) e = Expand(cls, shape) v = Add(x, e)": ("cls", _LONG),
    "v = Slice(x, i0, i2, i1)": ("", {}),
    "v = Slice(x, i1, end, i1, i2)": ("", {}),
    "v = Slice(x, i11, i22)": ("", _STATIC),
    "v = Slice(x, i0, i8, i2)": ("", {}),
    "v = Slice(x, i0, end, last, i1)": ("", {}),
    "v = Slice(x, far, end, last)": ("", {}),
    "v = Slice(x, i00, i18, i12)": ("", {}),
    "v = Compress<axis = 1>(x, kept)": ("", {}),
    "v = Compress<axis = -2>(x, some)": ("", {}),
    "v = ReverseSequence<batch_axis = 0, time_axis = 1>(x, lengths)": ("", _STATIC),
    "v = ReverseSequence(x, by4)": ("", _STATIC),
    "v = ScatterND(x, pairs, p2)": ("p2", _STATIC),
    'v = ScatterND<reduction = "add">(x, pairs, p2)': ("p2", _STATIC),
    "u = Gather<axis = 0>(table, ids) v = ScatterND(x, pairs, u)": ("table", _STATIC),
    "v = ScatterElements<axis = 1>(x, columns, p1)": ("p1", _STATIC),
    'v = ScatterElements<axis = -2, reduction = "add">(x, columns, p1)': (
        "p1",
        {**_STATIC, "opset": 18},
    ),
    "e = Expand(column, spread) v = ScatterElements<axis = 1>(x, e, p1)": ("p1", _STATIC),
    "v = Gather<axis = 1>(x, single)": ("", {}),
    "v = Gather<axis = -2>(x, ids)": ("", {}),
    "v = Gather<axis = 1>(x, places)": ("", {}),
    "e = Gather(table, ids) r = Reshape(x, rows) v = Concat<axis = 0>(e, r)": ("table", {}),
    "v = GatherND(x, places)": ("", _STATIC),
    "v = GatherND(x, deep)": ("", _STATIC),
    "v = GatherND<batch_dims = 1>(x, places)": ("", _STATIC),
    "first, second = Split<axis = 1>(x)" + _ADD: ("", {}),
    "first, second = Split<axis = -2>(x, i22)" + _ADD: ("", {}),
    "v, second = Split<axis = 1>(x, i22)": ("", {}),
    "v = Concat<axis = 1>(x, x)": ("", {}),
    "v = Concat<axis = -2>(cls, x)": ("cls", {"inputs": "float[1,S,4] a"}),
    "v = Pad(x, around)": ("", {}),
    "v = Pad(x, around, zero)": ("", {}),
    "v = Pad(x, crop)": ("", {}),
    "v = Pad(x, i11, zero, i1)": ("", {"opset": 18}),
    'v = Pad<mode = "reflect">(x, around)': ("", {}),
    'v = Pad<mode = "edge">(x, around)': ("", {}),
    "v = Pad<pads = [0, 1, 0, 0, 1, 0]>(x)": ("", {"opset": 10}),
    "v = Tile(x, by2)": ("", {}),
    "v = ReduceMean<axes = [1]>(x)": ("", {}),
    "v = ReduceMean<axes = [-2], keepdims = 0>(x)": ("", {}),
    "v = ReduceMean(x, i1)": ("", {"opset": 18}),
    "v = ReduceSum<keepdims = 0>(x, i1)": ("", {}),
    "v = ReduceSum<axes = [0], keepdims = 0>(x)": ("", {"opset": 11}),
}

# fragment: (why y stays, why z stays, further arguments)
READS_RAW = {
    "u = Transpose<perm = [2, 1, 0]>(x) v = Reshape(u, whole)": (
        "Reshape v writes it",
        "Reshape v needs the mean of u",
        {},
    ),
    "u = Reshape(x, turned) v = Transpose<perm = [0, 2, 1]>(u)": (
        "Reshape u writes it",
        "Reshape u needs the mean of x",
        {},
    ),
    "h = Reshape(x, heads) v = Flatten<axis = 2>(h)": (
        "Flatten v writes it",
        "Reshape h needs the mean of x",
        {},
    ),
    "v = Squeeze(x)": ("static size", "Squeeze v needs the mean of x", _LONG),
    "left = Slice(x, i4, end, last) right = Slice(x, i0, i4, last) "
    "v = Concat<axis = -1>(left, right)": (
        "Concat v writes it",
        "Slice left needs the mean of x",
        {},
    ),
    "v = Slice(x, i0, i8, n)": ("Slice v writes it", "Slice v needs the mean of x", {}),
    "left = Slice(x, i1, end, last) v = Pad(left, shorter)": (
        "Pad v writes it",
        "Slice left needs the mean of x",
        {},
    ),
    "v = Slice(x, last, far, last, last)": ("Slice v writes it", "Slice v needs the mean of x", {}),
    "v = Slice(x, n, end, last)": (
        "Slice v writes it",
        "Slice v needs the mean of x",
        {"declared": _WHOLE, "feeds": {"n": np.array([0])}},
    ),
    "v = Slice(x, i0, n, i2)": (
        "Slice v writes it",
        "Slice v needs the mean of x",
        {"declared": _WHOLE, "feeds": {"n": np.array([8])}},
    ),
    "v = Slice(x, i0, i8, i2, n)": (
        "Slice v writes it",
        "Slice v needs the mean of x",
        {"declared": _WHOLE, "feeds": {"n": np.array([1])}},
    ),
    "v = Compress<axis = 2>(x, ranks)": (
        "Compress v writes it",
        "Compress v needs the mean of x",
        {"declared": _WHOLE},
    ),
    "u = Compress(x, ranks) v = Reshape(u, ones8)": (
        "Compress u writes it",
        "Compress u needs the mean of x",
        {},
    ),
    "v = ReverseSequence<batch_axis = 0, time_axis = 2>(x, lengths)": (
        "ReverseSequence v writes it",
        "ReverseSequence v needs the mean of x",
        _STATIC,
    ),
    "u = Transpose<perm = [2, 0, 1]>(x) q = ReverseSequence<batch_axis = 0, time_axis = 1>(u, by8) "
    "v = Transpose<perm = [1, 2, 0]>(q)": (
        "ReverseSequence q writes it",
        "ReverseSequence q needs the mean of u",
        _STATIC,
    ),
    'v = ScatterND<reduction = "mul">(x, pairs, p2)': (
        "ScatterND v writes it",
        "ScatterND v needs the mean of x",
        _STATIC,
    ),
    "v = ScatterND(x, triples, t2)": (
        "ScatterND v writes it",
        "ScatterND v needs the mean of x",
        _STATIC,
    ),
    "v = ScatterElements<axis = 2>(x, across, p1)": (
        "ScatterElements v writes it",
        "ScatterElements v needs the mean of x",
        _STATIC,
    ),
    "v = ScatterElements<axis = 1>(x, uneven, p1)": (
        "ScatterElements v writes it",
        "ScatterElements v needs the mean of x",
        _STATIC,
    ),
    "v = ScatterElements<axis = 1>(x, narrow, p7)": (
        "ScatterElements v writes it",
        "ScatterElements v needs the mean of x",
        _STATIC,
    ),
    'v = ScatterElements<axis = 1, reduction = "mul">(x, columns, p1)': (
        "ScatterElements v writes it",
        "ScatterElements v needs the mean of x",
        _STATIC,
    ),
    "v = ScatterElements<axis = 1>(x, given, p1)": (
        "ScatterElements v writes it",
        "ScatterElements v needs the mean of x",
        _STATIC,
    ),
    "v = Gather<axis = 2>(x, back)": ("Gather v writes it", "Gather v needs the mean of x", {}),
    "v = Gather<axis = -1>(x, back)": ("Gather v writes it", "Gather v needs the mean of x", {}),
    "v = GatherND(x, entries)": ("GatherND v writes it", "GatherND v needs the mean of x", {}),
    "l, r = Split<axis = 2>(x) v = Concat<axis = 2>(r, l)": (
        "Concat v writes it",
        "Split l needs the mean of x",
        {},
    ),
    "u = Concat<axis = -1>(x, x) v, r = Split<axis = -1>(u)": (
        "Split v writes it",
        "Concat u needs the mean of x",
        {},
    ),
    "f = Relu(x) v = Concat<axis = 1>(x, f)": (
        "Relu f needs the mean of x",
        "Relu f needs the mean of x",
        {},
    ),
    "v = Pad(x, around, fill)": ("Pad v writes it", "Pad v needs the mean of x", {}),
    "v = Pad(x, around, level)": ("Pad v writes it", "Pad v needs the mean of x", {}),
    "v = Pad(x, shift)": ("Pad v writes it", "Pad v needs the mean of x", {}),
    "v = Pad<pads = [0, 1, 0, 0, 1, 0], value = 0.5>(x)": (
        "Pad v writes it",
        "Pad v needs the mean of x",
        {"opset": 10},
    ),
    "u = Tile(x, twice) v, r = Split<axis = -1>(u)": (
        "Split v writes it",
        "Tile u needs the mean of x",
        {},
    ),
    "m = ReduceMean<axes = [2]>(x) v = Mul(x, m)": (
        "ReduceMean m needs the mean of x",
        "ReduceMean m needs the mean of x",
        {},
    ),
    "m = ReduceMean<axes = [2], keepdims = 0>(x) q = MatMul(m, w2) v = Relu(q)": (
        "Relu v writes it",
        "ReduceMean m needs the mean of x",
        {},
    ),
    "m = ReduceSum(x) v = Add(x, m)": (
        "ReduceSum m needs the mean of x",
        "ReduceSum m needs the mean of x",
        {},
    ),
    "v = ReduceMax<axes = [1]>(x)": (
        "ReduceMax v writes it",
        "ReduceMax v needs the mean of x",
        {},
    ),
}


@cases(
    {f: fragment_case(f, converts="y z", absorbs="w " + c, **k) for f, (c, k) in COMMUTES.items()}
)
def test_what_keeps_the_features_together_is_centred(case: Case) -> None:
    assert_outcome(case)


@cases({f: fragment_case(f, keeps={"y": y, "z": z}, **k) for f, (y, z, k) in READS_RAW.items()})
def test_what_takes_the_features_apart_reads_raw(case: Case) -> None:
    assert_outcome(case)


_MOVING = {
    "a sum with what is not centred": fragment_case(
        "e = Expand(t, grown) v = Add(x, e)",
        converts="z",
        absorbs="w",
        keeps={"y": "Expand e writes it"},
    )
}


@cases(_MOVING)
def test_a_mean_that_nobody_reads_may_move(case: Case) -> None:
    """v is not centred, but the norm that stays behind it does not see that its mean changed."""
    assert_outcome(case)


def test_every_second_feature_is_not_a_block_of_features() -> None:
    """8 entries could be two blocks of 4 features, which a step of 2 takes apart."""
    body = "x = MatMul(a, w) v = Slice(x, i0, i8, i2, i2) y = LayerNormalization(v, g4)"
    given = {"inputs": "float[B,4,4] a", "outputs": "float y", "constants": CONSTANTS}
    assert_outcome(Case(body, "w[4,8] g4[4]", keeps={"y": "Slice v writes it"}, given=given))
