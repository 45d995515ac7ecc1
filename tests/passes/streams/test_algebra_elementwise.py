"""Rows of the op algebra that work entry by entry, and what only looks like them.

x [B, S, 8] is a linear map's result, and a norm z reads it. A fragment computes v from x, and a
norm y reads v. Where the fragment commutes with centring both norms convert, and the constants
named absorb the mean; else both stay.
"""

from __future__ import annotations

import numpy as np

from tests.passes.graphs import Case, assert_outcome, cases

INPUTS = """float[B,S,4] a, float[B,S,1] t, bool[B,S,1] m, float[B,S,F] u, bool[B,S,F] n, bool on,
    int64 place"""
WEIGHTS = "w[4,8] w2[4,8] b[8] b3[1,1,8] s[] s1[1] k[8] g[8] c[8]"
CONSTANTS = {
    "features": np.array([True, False] * 4),
    "all": np.array([True]),
    "zero": np.array(0, np.float32),
    "half": np.array(0.5, np.float32),
    "false": np.array(False),
    "true": np.array(True),
    "one": np.array(1, np.int64),
    "two": np.array(2, np.int32),
    "before": np.array(-2, np.int64),
    "last": np.array(-1, np.int64),
}


def fragment_case(fragment: str, **expected: object) -> Case:
    body = f"""x = MatMul(a, w)
        z = LayerNormalization(x, g, c)
        {fragment}
        y = LayerNormalization(v, g, c)"""
    given = {"inputs": INPUTS, "outputs": "float y, float z", "constants": CONSTANTS}
    return Case(body, WEIGHTS, given=given, **expected)


# fragment: constants that absorb the mean beside w
COMMUTES = {
    "v = Add(x, b)": "b",
    "v = Add(b, x)": "b",
    "v = Add(x, b3)": "b3",
    "x2 = MatMul(a, w2) v = Add(x, x2)": "w2",
    "v = Add(x, x)": "",
    "v = Sub(x, b)": "b",
    "v = Sub(b, x)": "b",
    "v = Sum(x)": "",
    "x2 = MatMul(a, w2) v = Sum(x, x2, b)": "w2 b",
    "v = Add(x, t)": "",
    "v = Add(s, x)": "",
    "v = Add(x, s1)": "",
    "v = Sub(t, x)": "",
    "v = Sum(b, t, x, s)": "b",
    "v = Mul(x, s)": "",
    "v = Mul(s1, x)": "",
    "v = Mul(x, t)": "",
    "v = Div(x, s)": "",
    "v = Div(x, t)": "",
    "mask = Cast<to=1>(m) v = Mul(x, mask)": "",
    "x2 = MatMul(a, w2) v = Where(m, x, x2)": "w2",
    "v = Where(m, x, s)": "",
    "v = Where(m, t, x)": "",
    "v = Where(all, x, b)": "b",
    "v = Identity(x)": "",
    "v = Neg(x)": "",
    "v = Dropout(x)": "",
    "v = Dropout(x, half, false)": "",
    "v, mask = Dropout(x, half)": "",
    "low = Cast<to=10>(x) v = Cast<to=1>(low)": "",
    "v = Mean(x)": "",
    "x2 = MatMul(a, w2) v = Mean(x, x2, b, t)": "w2 b",
    "v = CastLike(x, s)": "",
    "low = Cast<to=10>(x) v = CastLike(low, u)": "",
    "low = Cast<to=16>(x) v = Cast<to=1>(low)": "",
    "v = com.microsoft.BiasAdd(x, b, x)": "b",
    "v = CumSum(x, one)": "",
    "v = CumSum<exclusive = 1, reverse = 1>(x, before)": "",
}

# fragment: why y stays, why z stays
READS_RAW = {
    "v = Add(x, u)": ("Add v writes it", "Add v needs the mean of x"),
    "v = Mul(x, k)": ("Mul v writes it", "Mul v needs the mean of x"),
    "v = Mul(k, x)": ("Mul v writes it", "Mul v needs the mean of x"),
    "v = Mul(x, x)": ("Mul v writes it", "Mul v needs the mean of x"),
    "v = Mul(x, u)": ("Mul v writes it", "Mul v needs the mean of x"),
    "v = Div(x, k)": ("Div v writes it", "Div v needs the mean of x"),
    "v = Div(s, x)": ("Div v writes it", "Div v needs the mean of x"),
    "v = Div(t, x)": ("Div v writes it", "Div v needs the mean of x"),
    "v = Where(features, x, b)": ("Where v writes it", "Where v needs the mean of x"),
    "v = Where(n, x, b)": ("Where v writes it", "Where v needs the mean of x"),
    "big = Greater(x, s) v = Where(big, b, s)": (
        "Where v writes it",
        "Greater big needs the mean of x",
    ),
    "i = Cast<to=7>(x) v = Cast<to=1>(i)": ("Cast v writes it", "Cast i needs the mean of x"),
    "i = Cast<to=9>(x) v = Cast<to=1>(i)": ("Cast v writes it", "Cast i needs the mean of x"),
    "i = CastLike(x, one) v = Cast<to=1>(i)": (
        "Cast v writes it",
        "CastLike i needs the mean of x",
    ),
    "short = Cast<to=17>(x) v = Cast<to=1>(short)": (
        "Cast v writes it",
        "Cast short needs the mean of x",
    ),
    "short = Cast<to=19>(x) v = Cast<to=1>(short)": (
        "Cast v writes it",
        "Cast short needs the mean of x",
    ),
    "v = Mean(x, u)": ("Mean v writes it", "Mean v needs the mean of x"),
    "v = Dropout(x, zero, on)": ("Dropout v writes it", "Dropout v needs the mean of x"),
    "v = Dropout(x, zero, true)": ("Dropout v writes it", "Dropout v needs the mean of x"),
    "e, mask = Dropout(x) r = Cast<to=1>(mask) v = Add(e, r)": (
        "Cast r writes it",
        "Cast r needs the mean of mask",
    ),
    "v = Relu(x)": ("Relu v writes it", "Relu v needs the mean of x"),
    "v = Tanh(x)": ("Tanh v writes it", "Tanh v needs the mean of x"),
    "v = com.microsoft.Gelu(x)": ("Gelu v writes it", "Gelu v needs the mean of x"),
    "v = Abs(x)": ("Abs v writes it", "Abs v needs the mean of x"),
    "v = Max(x, s)": ("Max v writes it", "Max v needs the mean of x"),
    "v = CumSum(x, last)": ("CumSum v writes it", "CumSum v needs the mean of x"),
    "v = CumSum(x, two)": ("CumSum v writes it", "CumSum v needs the mean of x"),
    "v = CumSum(x, place)": ("CumSum v writes it", "CumSum v needs the mean of x"),
}


@cases({f: fragment_case(f, converts="y z", absorbs="w " + more) for f, more in COMMUTES.items()})
def test_what_commutes_is_centred(case: Case) -> None:
    assert_outcome(case)


@cases({f: fragment_case(f, keeps={"y": y, "z": z}) for f, (y, z) in READS_RAW.items()})
def test_what_does_not_commute_reads_raw(case: Case) -> None:
    assert_outcome(case)
