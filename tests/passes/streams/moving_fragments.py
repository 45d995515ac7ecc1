"""Fragments that move the entries of a stream and keep its features together.

x is a linear map's result whose last axis has the 8 features, and a norm z reads it. A fragment
computes v from x, and a norm y reads v.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.passes.graphs import Case

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
STATIC = {"inputs": "float[2,4,4] a"}
_ONE = {"inputs": "float[2,1,4] a"}
LONG = {"inputs": "float[B,S,4] a"}
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
    "v = Reshape(x, rows)": ("", LONG),
    "r = Reshape(x, rows) shape = Shape(x) v = Reshape(r, shape)": ("", LONG),
    "v = Flatten<axis = 2>(x)": ("", {}),
    "v = Flatten<axis = -1>(x)": ("", {}),
    "u = Unsqueeze(x, i1) v = Squeeze(u, i1)": ("", {}),
    "u = Unsqueeze(x, last) v = Squeeze(u, i3)": ("", {}),
    "u = Unsqueeze<axes = [0, 2]>(x) v = Squeeze<axes = [2]>(u)": ("", {"opset": 11}),
    "v = Squeeze(x)": ("", _ONE),
    "e = Expand(p, grown) v = Add(x, e)": ("p", {}),
    "shape = Shape(x) e = Expand(cls, shape) v = Add(x, e)": ("cls", LONG),
    "v = Slice(x, i0, i2, i1)": ("", {}),
    "v = Slice(x, i1, end, i1, i2)": ("", {}),
    "v = Slice(x, i11, i22)": ("", STATIC),
    "v = Slice(x, i0, i8, i2)": ("", {}),
    "v = Slice(x, i0, end, last, i1)": ("", {}),
    "v = Slice(x, far, end, last)": ("", {}),
    "v = Slice(x, i00, i18, i12)": ("", {}),
    "v = Compress<axis = 1>(x, kept)": ("", {}),
    "v = Compress<axis = -2>(x, some)": ("", {}),
    "v = ReverseSequence<batch_axis = 0, time_axis = 1>(x, lengths)": ("", STATIC),
    "v = ReverseSequence(x, by4)": ("", STATIC),
    "v = ScatterND(x, pairs, p2)": ("p2", STATIC),
    'v = ScatterND<reduction = "add">(x, pairs, p2)': ("p2", STATIC),
    "u = Gather<axis = 0>(table, ids) v = ScatterND(x, pairs, u)": ("table", STATIC),
    "v = ScatterElements<axis = 1>(x, columns, p1)": ("p1", STATIC),
    'v = ScatterElements<axis = -2, reduction = "add">(x, columns, p1)': (
        "p1",
        {**STATIC, "opset": 18},
    ),
    "e = Expand(column, spread) v = ScatterElements<axis = 1>(x, e, p1)": ("p1", STATIC),
    "v = Gather<axis = 1>(x, single)": ("", {}),
    "v = Gather<axis = -2>(x, ids)": ("", {}),
    "v = Gather<axis = 1>(x, places)": ("", {}),
    "e = Gather(table, ids) r = Reshape(x, rows) v = Concat<axis = 0>(e, r)": ("table", {}),
    "v = GatherND(x, places)": ("", STATIC),
    "v = GatherND(x, deep)": ("", STATIC),
    "v = GatherND<batch_dims = 1>(x, places)": ("", STATIC),
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
