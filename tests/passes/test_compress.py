"""Streams of d - 1 features: what is compressed, and what stays whole."""

from __future__ import annotations

import numpy as np

from tests.passes.compression_cases import BASES, NORMS, Case, check, norms
from tests.passes.graphs import cases, graph, optimized

CASES = {
    "a linear map before a norm": Case(
        "x = MatMul(a, w) x2 = Add(x, b) n = LayerNormalization(x2, g, c) y = MatMul(n, v)",
        "w[4,8] b[8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x x2",
    ),
    "a residual stream": Case(
        """x = MatMul(a, w) n = LayerNormalization(x, g, c) p = MatMul(n, v) p2 = Add(p, e)
        r = Relu(p2) q = MatMul(r, u) q2 = Add(q, b) s = Add(x, q2)
        m = LayerNormalization(s, h, c) y = MatMul(m, v2)""",
        "w[4,8] g[8] c[8] v[8,6] e[6] u[6,8] b[8] h[8] v2[8,5]",
        compressed="n m",
        shrinks="x q q2 s",
    ),
    "a norm without beta": Case(
        "x = MatMul(a, w) n = LayerNormalization(x, g) y = MatMul(n, v)",
        "w[4,8] g[8] v[8,6]",
        compressed="n",
        shrinks="x",
    ),
    "a bias that beta brings to a stream": Case(
        """x = MatMul(a, w) n = LayerNormalization(x, g, c) q = MatMul(n, v) s = Add(x, q)
        m = LayerNormalization(s, h, c) y = MatMul(m, u)""",
        "w[4,8] g[8] c[8] v[8,8] h[8] u[8,6]",
        compressed="n m",
        shrinks="x s",
    ),
    "a Gemm that beta brings a bias": Case(
        """x = MatMul(a, w) n = LayerNormalization(x, g, c) f = Reshape(n, two) q = Gemm(f, v)
        o = LayerNormalization(q, h, c) y = MatMul(o, u)""",
        "w[4,8] g[8] c[8] v[8,8] h[8] u[8,6]",
        compressed="n o",
        shrinks="x q",
        sizes=1,
        given={"constants": {"two": np.array([-1, 8])}, "outputs": "float y"},
    ),
    "a Gemm whose bias was one number": Case(
        """x = MatMul(a, w) n = LayerNormalization(x, g, c) f = Reshape(n, two) q = Gemm(f, v, k)
        o = LayerNormalization(q, h, c) y = MatMul(o, u)""",
        "w[4,8] g[8] c[8] v[8,8] k[1] h[8] u[8,6]",
        compressed="n o",
        shrinks="x q",
        sizes=1,
        given={"constants": {"two": np.array([-1, 8])}, "outputs": "float y"},
    ),
    "twin norms": Case(
        "x = MatMul(a, w) " + norms("x"), NORMS + "w[4,8]", compressed="n m", shrinks="x"
    ),
    "an embedding": Case(
        "x = Gather(t, ids) n = LayerNormalization(x, g, c) y = MatMul(n, v)",
        "t[9,8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x",
        given={"inputs": "int64[B,S] ids", "outputs": "float[B,S,6] y"},
    ),
    "a tied head": Case(
        """x = Gather(t, ids) n = LayerNormalization(x, g) f = Reshape(n, two)
        y = Gemm<transB=1>(f, t)""",
        "t[9,8] g[8]",
        compressed="n",
        shrinks="x",
        sizes=1,
        given={
            "inputs": "int64[B,S] ids",
            "outputs": "float y",
            "constants": {"two": np.array([-1, 8])},
        },
    ),
    "a tied head that is transposed at run time": Case(
        """x = Gather(t, ids) n = LayerNormalization(x, g) tt = Transpose<perm=[1,0]>(t)
        y = MatMul(n, tt)""",
        "t[9,8] g[8]",
        whole={"n": "MatMul y reads it"},
        given={"inputs": "int64[B,S] ids", "outputs": "float[B,S,9] y"},
    ),
    "a shared reader": Case(
        """x = MatMul(a, w) n = LayerNormalization(x, g) p = MatMul(n, v)
        z = MatMul(a2, v) y = Add(p, z)""",
        "w[4,8] g[8] v[8,6]",
        compressed="n",
        shrinks="x",
        given={"inputs": "float[B,S,4] a, float[B,S,8] a2"},
    ),
    "ops on other axes": Case(
        """x = MatMul(a, w) i = Slice(x, zero, one1, one1) k = Pad(i, pads) l = Tile(k, times)
        o = Where(on, l, half) r = ReduceMean<keepdims=1>(o, one1)
        n = LayerNormalization(r, g, c) y = MatMul(n, v)""",
        "w[4,8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x i k l o r",
        given={
            "opset": 18,
            "inputs": "float[B,3,4] a, bool[1] on",
            "outputs": "float[B,1,6] y",
            "constants": {
                "zero": np.array([0]),
                "one1": np.array([1]),
                "pads": np.array([0, 1, 0, 0, 2, 0]),
                "times": np.array([1, 3, 1]),
                "half": np.array(0.5, np.float32),
            },
        },
    ),
    "two halves of other axes": Case(
        """x = MatMul(a, w) i, k = Split<axis=1>(x, parts) n = LayerNormalization(i, g, c)
        p = MatMul(n, v) m = LayerNormalization(k, h, c) q = MatMul(m, u) y = Add(p, q)""",
        "w[4,8] " + NORMS,
        compressed="n m",
        shrinks="x i k",
        given={
            "inputs": "float[B,2,4] a",
            "outputs": "float[B,1,6] y",
            "constants": {"parts": np.array([1, 1])},
        },
    ),
    "an image": Case(
        """x = Conv<kernel_shape=[2,2], strides=[2,2]>(a, w, b) p = GlobalAveragePool(x)
        k = Add(x, p) f = Reshape(k, s) t = Transpose<perm=[0,2,1]>(f)
        n = LayerNormalization(t, g, c) y = MatMul(n, v)""",
        "w[8,3,2,2] b[8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x p k f t",
        sizes=1,
        given={
            "inputs": "float[B,3,4,6] a",
            "outputs": "float[B,6,6] y",
            "constants": {"s": np.array([0, 8, 6])},
        },
    ),
    "a transposed convolution": Case(
        """x = ConvTranspose<kernel_shape=[2], strides=[2]>(a, w, b) t = Transpose<perm=[0,2,1]>(x)
        n = LayerNormalization(t, g, c) y = MatMul(n, v)""",
        "w[4,8,2] b[8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x t",
        given={"inputs": "float[B,4,S] a", "outputs": "float[B,T,6] y"},
    ),
    "an Einsum": Case(
        """x = Einsum<equation="bsi,id->bsd">(a, w) n = LayerNormalization(x, g, c)
        y = MatMul(n, v)""",
        "w[4,8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x",
    ),
    "a Conv that reads the norm": Case(
        """x = MatMul(a, w) n = LayerNormalization(x, g, c) t = Transpose<perm=[0,2,1]>(n)
        y = Conv(t, v, e)""",
        "w[4,8] g[8] c[8] v[6,8,1] e[6]",
        compressed="n",
        shrinks="x",
        given={"outputs": "float[B,6,S] y"},
    ),
    "one value normalized on two axes": Case(
        """x = MatMul(a, w) n = LayerNormalization(x, g) f = Reshape(n, three) p = MatMul(f, v)
        t = Transpose<perm=[0,2,1]>(p) m = LayerNormalization(t, h, k) y = MatMul(m, u)
        l = LayerNormalization(t, h2, k) z = MatMul(l, u)""",
        "w[4,5] g[5] v[5,40] h[8] h2[8] k[8] u[8,3]",
        compressed="m l",
        shrinks="f p t",
        whole={"n": "n is normalized on another axis, too"},
        encoders="n",
        sizes=1,
        given={
            "inputs": "float[B,8,4] a",
            "outputs": "float y, float z",
            "constants": {"three": np.array([-1, 8, 5])},
        },
    ),
    "no sizes are edited below opset 9": Case(
        "x = MatMul(a, w) n = Identity(x) r0 = ReduceMean<axes=[-1]>(n) d = Sub(n, r0)"
        " q = Mul(d, d) s = ReduceMean<axes=[-1]>(q) e2 = Add(s, eps) f = Sqrt(e2) k = Div(d, f)"
        " l = Mul(k, g) y = MatMul(l, v)",
        "w[4,8] g[8] v[8,6]",
        whole={"l": "compression needs opset 9"},
        given={"opset": 8, "constants": {"eps": np.array(1e-5, np.float32)}},
    ),
}


@BASES
@cases(CASES)
def test_compresses(case: Case, basis: str) -> None:
    check(case, basis)


@BASES
def test_a_compressed_norm_has_no_layer_norm_left(basis: str) -> None:
    model = graph("x = MatMul(a, w) " + norms("x"), NORMS + "w[4,8]")
    after = optimized(model, variant="crms", basis=basis, skip=frozenset({"merge-twins"}))
    assert after.count("LayerNormalization") == 0
    assert after.counts["norms converted"] == 2
    assert after.counts["readers absorbed"] == 2
    assert after.counts["weights encoded"] == 1


@BASES
def test_twin_norms_are_one(basis: str) -> None:
    """gamma went into the readers, so nothing tells the norms of one value apart."""
    model = graph("x = MatMul(a, w) " + norms("x"), NORMS + "w[4,8]")
    assert optimized(model, variant="crms", basis=basis).counts["twins merged"] == 1


@BASES
def test_a_beta_of_zeros_vanishes_without_affine_folding(basis: str) -> None:
    body = "x = MatMul(a, w) n = LayerNormalization(x, g, c) y = MatMul(n, v)"
    zeros = {"c": np.zeros(8, np.float32)}
    model = graph(body, "w[4,8] g[8] v[8,6]", constants=zeros)
    outcome = optimized(model, variant="crms", basis=basis, skip=frozenset({"fold-affine"}))
    assert outcome.summary.compressed == 1
    assert outcome.counts["betas kept"] == 0


def test_the_variant_rms_compresses_nothing() -> None:
    model = graph("x = MatMul(a, w) " + norms("x"), NORMS + "w[4,8]")
    summary = optimized(model).summary
    assert (summary.basis, summary.compressed, summary.basis_changes) == (None, 0, ())
    assert not any(norm.uncompressed for norm in summary.norms)


def test_weights_lose_one_feature() -> None:
    body = "x = MatMul(a, w) x2 = Add(x, b) n = LayerNormalization(x2, g) y = MatMul(n, v)"
    outcome = optimized(graph(body, "w[4,8] b[8] g[8] v[8,6]"), variant="crms")
    weights = outcome.after.graph.initializers
    shapes = {name: list(weights[name].shape) for name in "wbv"}
    assert shapes == {"w": [4, 7], "b": [7], "v": [7, 6]}
