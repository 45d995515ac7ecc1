"""Rows of the op algebra that move entries: what keeps the features together, and what does not."""

from __future__ import annotations

import numpy as np

from tests.passes.graphs import Case, assert_outcome, cases
from tests.passes.streams.moving_fragments import COMMUTES, CONSTANTS, LONG, STATIC, fragment_case

_WHOLE = "float[B,4,8] v"

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
    "v = Squeeze(x)": ("static size", "Squeeze v needs the mean of x", LONG),
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
        STATIC,
    ),
    "u = Transpose<perm = [2, 0, 1]>(x) q = ReverseSequence<batch_axis = 0, time_axis = 1>(u, by8) "
    "v = Transpose<perm = [1, 2, 0]>(q)": (
        "ReverseSequence q writes it",
        "ReverseSequence q needs the mean of u",
        STATIC,
    ),
    'v = ScatterND<reduction = "mul">(x, pairs, p2)': (
        "ScatterND v writes it",
        "ScatterND v needs the mean of x",
        STATIC,
    ),
    "v = ScatterND(x, triples, t2)": (
        "ScatterND v writes it",
        "ScatterND v needs the mean of x",
        STATIC,
    ),
    "v = ScatterElements<axis = 2>(x, across, p1)": (
        "ScatterElements v writes it",
        "ScatterElements v needs the mean of x",
        STATIC,
    ),
    "v = ScatterElements<axis = 1>(x, uneven, p1)": (
        "ScatterElements v writes it",
        "ScatterElements v needs the mean of x",
        STATIC,
    ),
    "v = ScatterElements<axis = 1>(x, narrow, p7)": (
        "ScatterElements v writes it",
        "ScatterElements v needs the mean of x",
        STATIC,
    ),
    'v = ScatterElements<axis = 1, reduction = "mul">(x, columns, p1)': (
        "ScatterElements v writes it",
        "ScatterElements v needs the mean of x",
        STATIC,
    ),
    "v = ScatterElements<axis = 1>(x, given, p1)": (
        "ScatterElements v writes it",
        "ScatterElements v needs the mean of x",
        STATIC,
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
