"""Linear maps: which operands absorb the mean, and where a map can only read.

A body writes v, whose last axis has the 8 features, and a norm y reads v.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.passes.graphs import Case, assert_outcome, cases

INPUTS = "float[2,S,4] a, float[2,S,S] left, float[M,4] rows, float[B,4,S] turned"
WEIGHTS = """w[4,8] wt[8,4] w2[4,8] rank3[2,4,8] vector[4] b[8] s[] s1[1] row[1,8] column[2,1]
    square[8,8] qkv[4,24] qkv_bias[24] g[8] c[8]"""


def _case(
    body: str,
    inputs: str = INPUTS,
    outputs: str = "float y",
    declared: str = "",
    **expected: object,
) -> Case:
    given = {"inputs": inputs, "outputs": outputs, "declared": declared}
    return Case(f"{body} y = LayerNormalization(v, g, c)", WEIGHTS, given=given, **expected)


_TWO_ROWS = {"inputs": "float[2,4] rows"}

# body: (constants that absorb the mean, further arguments)
ABSORBS = {
    "v = MatMul(a, w)": ("w", {}),
    "v = MatMul(a, rank3)": ("rank3", {}),
    "x = MatMul(a, w) v = MatMul(left, x)": ("w", {}),
    "x = MatMul(a, w) q = Softmax(left) v = MatMul(q, x)": ("w", {}),
    "x = MatMul(wt, turned) v = Transpose<perm = [0, 2, 1]>(x)": ("wt", {}),
    "q = MatMul(rows, vector) e = MatMul(wt, vector) v = Add(e, b)": ("wt b", {}),
    "v = MatMul(vector, w)": ("w", {}),
    "v = Gemm(rows, w)": ("w", {}),
    "v = Gemm<transB = 1>(rows, wt)": ("wt", {}),
    "v = Gemm<transA = 1>(rows, w)": ("w", {"inputs": "float[4,M] rows"}),
    "x = Gemm(wt, rows) v = Transpose(x)": ("wt", {"inputs": "float[4,M] rows"}),
    "x = Gemm<transA = 1, alpha = 2.0>(w, rows) v = Transpose(x)": (
        "w",
        {"inputs": "float[4,M] rows"},
    ),
    "v = Gemm<alpha = 0.5, beta = 2.0>(rows, w, b)": ("w b", {}),
    "v = Gemm<beta = -1.5>(rows, w, row)": ("w row", {}),
    "v = Gemm<beta = 3.0>(rows, w, s)": ("w", {}),
    "v = Gemm<alpha = 3.0, transB = 1>(rows, wt, s1)": ("wt", {}),
    "v = Gemm(rows, w, column)": ("w", _TWO_ROWS),
    'v = Gemm(rows, w, "")': ("w", {}),
    "x = Gemm(rows, w2) v = Gemm<beta = 0.25>(rows, w, x)": ("w w2", {}),
    "v = com.microsoft.FusedMatMul<alpha = 0.5>(a, w)": ("w", {}),
    "v = com.microsoft.FusedMatMul<transB = 1>(a, wt)": ("wt", {}),
    "v = com.microsoft.FusedMatMul<transA = 1>(turned, w)": ("w", {}),
    "x = com.microsoft.FusedMatMul<transA = 1>(w, turned) v = Transpose<perm = [0, 2, 1]>(x)": (
        "w",
        {},
    ),
    "v = com.microsoft.FusedGemm<alpha = 0.5, beta = 2.0>(rows, w, b)": (
        "w b",
        {"declared": "float[M,8] v"},
    ),
    'v = Einsum<equation = "bsk,kd->bsd">(a, w)': ("w", {}),
    'v = Einsum<equation = "bsk, dk -> bsd">(a, wt)': ("wt", {}),
    'x = MatMul(a, w) v = Einsum<equation = "bts,bsd->btd">(left, x)': ("w", {}),
    'x = MatMul(a, w) h = MatMul(a, w2) v = Einsum<equation = "bsd,bsk->bkd">(x, a)': ("w", {}),
}

# body: (why y stays, further arguments)
WRITES_RAW = {
    'v = com.microsoft.FusedGemm<activation = "Relu">(rows, w, b)': (
        "FusedGemm v writes it",
        {"declared": "float[M,8] v"},
    ),
    "v = Gemm(rows, w, u)": ("Gemm v writes it", {"inputs": "float[M,4] rows, float[M,F] u"}),
    'x = MatMul(a, w) v = Einsum<equation = "bsd,d->bsd">(x, b)': ("Einsum v writes it", {}),
    'x = MatMul(a, w) v = Einsum<equation = "bsd,bsd->bsd">(x, x)': ("Einsum v writes it", {}),
    'x = MatMul(a, w) v = Einsum<equation = "...d,de->...e">(x, square)': (
        "Einsum v writes it",
        {},
    ),
    'x = MatMul(a, w) v = Einsum<equation = "bsd,du">(x, square)': ("Einsum v writes it", {}),
    "v = com.microsoft.Attention<num_heads = 2>(a, qkv, qkv_bias)": ("Attention v writes it", {}),
    "x = MatMul(a, w) v = com.microsoft.MultiHeadAttention<num_heads = 2>(x, x, x)": (
        "MultiHeadAttention v writes it",
        {},
    ),
}

# What reads x, a stream [2, 8, 8] that a norm z reads, too: what z says of it
READERS = {
    "v = MatMul(x, square)": "MatMul v needs the mean of x",
    "v = MatMul(x, x)": "MatMul v needs the mean of x",
    "v = com.microsoft.FusedMatMul<transB = 1>(x, square)": "FusedMatMul v needs the mean of x",
    "v = com.microsoft.FusedMatMul<transB = 1>(other, x)": "FusedMatMul v needs the mean of x",
    'v = Einsum<equation = "bsd,btd->bst">(x, x)': "Einsum v needs the mean of x",
    "x2 = Reshape(x, flat) q = Gemm(x2, square) v = Reshape(q, whole)": "Gemm q needs the mean",
    "x2 = Reshape(x, flat) q = Gemm<transB = 1>(square, x2) v = Transpose(q)": "Gemm q needs",
    "v = com.microsoft.Attention<num_heads = 2>(x, qkv8, qkv_bias)": "Attention v needs",
    "v = com.microsoft.MultiHeadAttention<num_heads = 2>(x, x, x)": "MultiHeadAttention v needs",
    "v = com.microsoft.MultiHeadAttention<num_heads = 2>(other, other, x)": "MultiHeadAttention v",
    "v = Conv(x, kernel)": "Conv v needs the mean of x",
    "v = MatMul(x, other)": "MatMul v needs the mean of x",
}


@cases({b: _case(b, absorbs=a, converts="y", **k) for b, (a, k) in ABSORBS.items()})
def test_the_weights_of_a_linear_map_absorb_the_mean(case: Case) -> None:
    assert_outcome(case)


def test_a_weight_that_is_an_input_is_recentred_at_run_time() -> None:
    assert_outcome(
        _case("v = MatMul(a, u)", "float[B,S,4] a, float[4,8] u", converts="y", recentres="u")
    )


@cases({b: _case(b, keeps={"y": y}, **k) for b, (y, k) in WRITES_RAW.items()})
def test_what_mixes_the_features_writes_raw(case: Case) -> None:
    assert_outcome(case)


@pytest.mark.parametrize(("reader", "reason"), READERS.items(), ids=READERS)
def test_a_map_that_contracts_the_features_reads_raw(reader: str, reason: str) -> None:
    body = f"x = MatMul(a, w8) z = LayerNormalization(x, g, c) {reader} q2 = Relu(v)"
    given = {
        "inputs": "float[2,8,4] a, float[2,8,8] other",
        "outputs": "float z, float q2",
        "constants": {"flat": np.array([-1, 8]), "whole": np.array([2, 8, 8])},
    }
    weights = "w8[4,8] square[8,8] qkv8[8,24] qkv_bias[24] kernel[8,8,3] g[8] c[8]"
    assert_outcome(Case(body, weights, keeps={"z": reason}, given=given))
