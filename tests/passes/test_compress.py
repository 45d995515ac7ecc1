"""Streams of d - 1 features: what is compressed, what is decoded for whom, and what stays whole.

Every case is checked in float64, in both bases, for two sets of sizes, and by shape inference of
the result: ONNX Runtime reads [8, 3, 7] as [21, 8] where a Reshape to [-1, 8] was forgotten, and
says nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.passes import pipeline
from graphopt.passes.infer_shapes import InferShapes
from graphopt.precision import cast_to_float64
from tests.passes.graphs import Outcome, cases, graph, optimized

BASES = pytest.mark.parametrize("basis", ["orthonormal", "drop"])


@dataclasses.dataclass(frozen=True)
class Case:
    """One graph and what is compressed in it.

    Attributes:
        body: The graph as text.
        weights: Its random constants.
        compressed: Names of the norms that are compressed, separated by blanks.
        shrinks: Names of values that hold one feature less in the result.
        whole: For each converted norm that is not compressed a part of the reason.
        encoders: Names of the values that an encoder stands behind.
        decoders: Names of the values that a decoder stands behind.
        sizes: Number of sizes that are edited.
        given: Further arguments of ``graph``.
        options: Options of the pipeline.
    """

    body: str
    weights: str = ""
    compressed: str = ""
    shrinks: str = ""
    whole: Mapping[str, str] = dataclasses.field(default_factory=dict)
    encoders: str = ""
    decoders: str = ""
    sizes: int = 0
    given: Mapping[str, object] = dataclasses.field(default_factory=dict)
    options: Mapping[str, object] = dataclasses.field(default_factory=dict)


def _norms(stream: str) -> str:
    """Two norms of one stream, each read by a linear map: together they are worth a decoder."""
    return f"""n = LayerNormalization<axis=-1>({stream}, g, c) p = MatMul(n, v) p2 = Add(p, e)
        m = LayerNormalization<axis=-1>({stream}, h, c) q = MatMul(m, u) y = Add(p2, q)"""


def _chain(readers: str) -> str:
    """A residual stream x, s, t with a norm on each, and readers of t, the last."""
    return f"""x = MatMul(a, w) n = LayerNormalization<axis=-1>(x, g, c) p = MatMul(n, w8)
        p2 = Add(p, b) s = Add(x, p2) m = LayerNormalization<axis=-1>(s, h, c) q = MatMul(m, u8)
        q2 = Add(q, b) t = Add(s, q2) {readers}"""


CHAIN = "w[4,8] g[8] c[8] w8[8,8] b[8] h[8] u8[8,8] k[8] v[8,6] "
ALL = "x p p2 s q q2 t"
"""What shrinks in a chain that is compressed to its end."""

NORMS = "g[8] c[8] h[8] v[8,6] e[6] u[8,6] "


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
        "x = MatMul(a, w) " + _norms("x"), NORMS + "w[4,8]", compressed="n m", shrinks="x"
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
    # Sizes ----------------------------------------------------------------------------------------
    "a Reshape to [-1, d]": Case(
        "x = MatMul(a, w) f = Reshape(x, two) n = LayerNormalization(f, g, c) y = MatMul(n, v)",
        "w[4,8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x f",
        sizes=1,
        given={"constants": {"two": np.array([-1, 8])}, "outputs": "float y"},
    ),
    "a Reshape to [rows, -1]": Case(
        """s = Shape(a) r = Gather(s, zero) t = Gather(s, one) k = Mul(r, t)
        k1 = Reshape(k, minus) j = Concat<axis=0>(k1, minus) x = MatMul(a, w)
        f = Reshape(x, j) n = LayerNormalization(f, g, c) y = MatMul(n, v)""",
        "w[4,8] g[8] c[8] v[8,6]",
        given={
            "constants": {
                "zero": np.array([0]),
                "one": np.array([1]),
                "minus": np.array([-1]),
            },
            "outputs": "float y",
            "declared": "float[M,8] f",
        },
        compressed="n",
        shrinks="x f",
    ),
    "a Reshape to [0, 0, d]": Case(
        "x = MatMul(a, w) f = Reshape(x, s) n = LayerNormalization(f, g, c) y = MatMul(n, v)",
        "w[4,8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x f",
        sizes=1,
        given={"constants": {"s": np.array([0, 0, 8])}},
    ),
    "a Reshape that copies every size": Case(
        "x = MatMul(a, w) f = Reshape(x, s) n = LayerNormalization(f, g, c) y = MatMul(n, v)",
        "w[4,8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x f",
        given={"constants": {"s": np.array([0, 0, 0])}},
    ),
    "a Reshape to sizes joined at run time": Case(
        """s = Shape<end=2>(a) j = Concat<axis=0>(s, d) x = MatMul(a, w) f = Reshape(x, two)
        r = Reshape(f, j) n = LayerNormalization(r, g, c) y = MatMul(n, v)""",
        "w[4,8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x f r",
        sizes=2,
        given={"constants": {"two": np.array([-1, 8]), "d": np.array([8])}},
    ),
    "a Reshape to the shape of another value": Case(
        """x = MatMul(a, w) f = Reshape(x, two) s = Shape(o) r = Reshape(f, s)
        n = LayerNormalization(r, g, c) y = MatMul(n, v)""",
        "w[4,8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x f",  # inference does not follow a Where
        sizes=2,
        given={
            "constants": {"two": np.array([-1, 8])},
            "inputs": "float[B,S,4] a, float[B,S,8] o",
        },
    ),
    "a Reshape behind the norm": Case(
        """x = MatMul(a, w) n = LayerNormalization(x, g, c) f = Reshape(n, two) p = Gemm(f, v, e)
        y = Reshape(p, back)""",
        "w[4,8] g[8] c[8] v[8,6] e[6]",
        compressed="n",
        shrinks="x",
        sizes=1,
        given={
            "constants": {"two": np.array([-1, 8]), "back": np.array([-1, 3, 6])},
            "inputs": "float[B,3,4] a",
            "outputs": "float[B,3,6] y",
        },
    ),
    "a class token that is expanded": Case(
        """x = MatMul(a, w) s = Shape<end=1>(a) j = Concat<axis=0>(s, rest) k = Expand(t, j)
        z = Concat<axis=1>(k, x) n = LayerNormalization(z, g, c) y = MatMul(n, v)""",
        "w[4,8] t[1,1,8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x k z",
        sizes=1,
        given={"constants": {"rest": np.array([1, 8])}, "outputs": "float[B,M,6] y"},
    ),
    "an Expand by ones": Case(
        """s = Shape<end=1>(a) j = Concat<axis=0>(s, rest) x = MatMul(a, w) k = Expand(x, j)
        n = LayerNormalization(k, g, c) y = MatMul(n, v)""",
        "w[4,8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x k",
        given={"constants": {"rest": np.array([1, 1])}},
    ),
    "an image that is resized": Case(
        """x = Conv(a, w) r = Resize<mode="linear">(x, , , s) t = Transpose<perm=[0,2,3,1]>(r)
        n = LayerNormalization(t, g, c) y = MatMul(n, v)""",
        "w[8,4,1,1] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x r t",
        sizes=1,
        given={
            "constants": {"s": np.array([2, 8, 6, 5])},
            "inputs": "float[2,4,3,5] a",
            "outputs": "float[2,6,5,6] y",
        },
    ),
    "sizes that may copy the features to another axis": Case(
        """x = MatMul(a, w) f = Reshape(x, s) n = LayerNormalization(f, g, c) y = MatMul(n, v)""",
        "w[4,8] g[8] c[8] v[8,6]",
        whole={"n": "the sizes of Reshape f may copy the features to another axis"},
        given={
            "constants": {"s": np.array([2, 0, 8])},
            "inputs": "float[16,4] a",
            "outputs": "float[2,8,6] y",
        },
    ),
    # The shape of a compressed value --------------------------------------------------------------
    "arithmetic on the number of features": Case(
        """x = MatMul(a, w) s = Shape(x) d = Gather(s, last) f = Cast<to=1>(d) r = Sqrt(f)
        n = LayerNormalization(x, g, c) p = MatMul(n, v) y = Div(p, r)""",
        "w[4,8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x",
        sizes=1,
        given={"constants": {"last": np.array(-1)}},
    ),
    "arithmetic on all sizes": Case(
        """x = MatMul(a, w) s = Shape(x) d = ReduceProd<keepdims=0>(s) f = Cast<to=1>(d)
        n = LayerNormalization(x, g, c) p = MatMul(n, v) y = Div(p, f)""",
        "w[4,8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x",
        sizes=1,
    ),
    "a Shape with bounds beyond the rank": Case(
        """x = MatMul(a, w) s = Shape<start=-9, end=9>(x) f = Cast<to=1>(s) k = ReduceSum(f)
        n = LayerNormalization(x, g, c) p = MatMul(n, v) y = Div(p, k)""",
        "w[4,8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x",
        sizes=1,
    ),
    "arithmetic on other sizes": Case(
        """x = MatMul(a, w) s = Shape(x) d = Gather(s, one) i = Slice(s, zero, one1) k = Add(d, i)
        f = Cast<to=1>(k) n = LayerNormalization(x, g, c) p = MatMul(n, v) y = Div(p, f)""",
        "w[4,8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x",
        given={
            "constants": {
                "one": np.array(1),
                "zero": np.array([0]),
                "one1": np.array([1]),
            }
        },
    ),
    "the shape of a compressed norm": Case(
        """x = MatMul(a, w) n = LayerNormalization(x, g, c) s = Shape<start=2>(n)
        f = Cast<to=1>(s) p = MatMul(n, v) y = Div(p, f)""",
        "w[4,8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x",
        sizes=1,
    ),
    "a shape that is a graph output": Case(
        "x = MatMul(a, w) s = Shape(x) n = LayerNormalization(x, g, c) y = MatMul(n, v)",
        "w[4,8] g[8] c[8] v[8,6]",
        compressed="n",
        shrinks="x",
        sizes=1,
        given={"outputs": "float[B,S,6] y, int64[3] s"},
    ),
    # Ops between ----------------------------------------------------------------------------------
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
    # Encoders and decoders ------------------------------------------------------------------------
    "a raw input of two norms": Case(
        "r = Relu(a) " + _norms("r"),
        NORMS,
        compressed="n m",
        encoders="r",
        given={"inputs": "float[B,S,8] a"},
    ),
    "a graph input of two norms": Case(
        _norms("a"), NORMS, compressed="n m", encoders="a", given={"inputs": "float[B,S,8] a"}
    ),
    "a centred input of two norms": Case(
        "r = ReduceMean<axes=[-1]>(a) s = Sub(a, r) " + _norms("s"),
        NORMS,
        compressed="n m",
        encoders="s",
        given={"inputs": "float[B,S,8] a"},
    ),
    "a Softmax over a stream of two norms": Case(
        "x = MatMul(a, w) z = Softmax(x) " + _norms("x"),
        NORMS + "w[4,8]",
        compressed="n m",
        encoders="x",
        given={"outputs": "float[B,S,6] y, float z"},
    ),
    "a Softmax at the end of a stream": Case(
        _chain("y = Softmax(t)"),
        CHAIN,
        compressed="n m",
        shrinks=ALL,
        decoders="t",
        given={"outputs": "float y"},
    ),
    "a mean that is subtracted": Case(
        _chain("r = ReduceMean<axes=[-1]>(t) d = Sub(t, r) y = Relu(d)"),
        CHAIN,
        compressed="n m",
        shrinks=ALL,
        decoders="t",
        given={"outputs": "float y"},
    ),
    "the number of entries": Case(
        _chain("l = LayerNormalization(t, k) y = MatMul(l, v) z = Size(t)"),
        CHAIN,
        compressed="n m l",
        shrinks=ALL,
        decoders="t",
        given={"outputs": "float[B,S,6] y, int64 z"},
    ),
    "a norm that is a graph output": Case(
        _chain("y = LayerNormalization(t, k, c)"),
        CHAIN,
        compressed="n m",
        shrinks=ALL,
        decoders="t",
        whole={"y": "graph output y reads it"},
    ),
    "a norm that computes its gamma": Case(
        _chain("i2 = Relu(i) l = LayerNormalization(t, i2) y = MatMul(l, v)"),
        CHAIN,
        compressed="n m",
        shrinks=ALL,
        decoders="t",
        whole={"l": "its gamma is not constant"},
        given={"inputs": "float[B,S,4] a, float[8] i"},
    ),
    "a wide head without a bias": Case(
        _chain("l = LayerNormalization(t, k, c) y = MatMul(l, o)"),
        CHAIN + "o[8,90]",
        compressed="n m",
        shrinks=ALL,
        decoders="t",
        whole={"l": "its beta stays"},
        given={"outputs": "float[B,S,90] y"},
    ),
    "a norm that stays": Case(
        _chain("l = LayerNormalization(t, k, c) y = Relu(l)"),
        CHAIN,
        compressed="n m",
        shrinks=ALL,
        decoders="t",
        options={"provider": "cuda"},
    ),
    "one norm does not pay for a decoder": Case(
        "x = MatMul(a, w) z = Softmax(x) n = LayerNormalization(x, g, c) y = MatMul(n, v)",
        "w[4,8] g[8] c[8] v[8,6]",
        whole={"n": "Softmax z reads x whole"},
        given={"outputs": "float[B,S,6] y, float z"},
    ),
    "no decoder below opset 13": Case(
        "x = MatMul(a, w) z = Softmax<axis=-1>(x) " + _norms("x"),
        NORMS + "w[4,8]",
        whole={"n": "Softmax z reads x whole", "m": "Softmax z reads x whole"},
        given={"outputs": "float[B,S,6] y, float z", "opset": 12},
    ),
    "heads": Case(
        """q = MatMul(a, w) s = Reshape(q, four) n = LayerNormalization(s, g, c)
        r = MatMul(n, v) y = Reshape(r, back)""",
        "w[4,24] g[8] c[8] v[8,6]",
        whole={"n": "q holds its features in blocks"},
        given={
            "constants": {"four": np.array([0, 0, 3, 8]), "back": np.array([0, 0, 18])},
            "outputs": "float[B,S,18] y",
        },
    ),
    "nothing reads it": Case(
        "x = MatMul(a, w) n = LayerNormalization(x, g) s = Shape(n) y = Cast<to=1>(s)",
        "w[4,8] g[8]",
        whole={"n": "nothing reads it"},
        given={"outputs": "float[3] y"},
    ),
}


@BASES
@cases(CASES)
def test_compresses(case: Case, basis: str) -> None:
    outcome = _assert_outcome(case, basis)
    _assert_shapes(outcome, set(case.shrinks.split()))


def _assert_outcome(case: Case, basis: str) -> Outcome:
    model = graph(case.body, case.weights, **case.given)
    outcome = optimized(model, variant="crms", basis=basis, **case.options)
    norms = outcome.summary.norms
    reasons = {norm.name: norm.uncompressed for norm in norms if norm.uncompressed}
    assert {norm.name for norm in norms if norm.compressed} == set(case.compressed.split()), reasons
    assert reasons.keys() == case.whole.keys(), reasons
    for norm, part in case.whole.items():
        assert part in reasons[norm]
    changes = outcome.summary.basis_changes
    for kind, names in (("encoder", case.encoders), ("decoder", case.decoders)):
        assert {c.value for c in changes if c.kind == kind} == set(names.split())
        assert outcome.counts[f"{kind}s"] == len(names.split())
    assert outcome.counts["sizes edited"] == case.sizes
    return outcome


def _assert_shapes(outcome: Outcome, shrinks: set[str]) -> None:
    """Shape inference of the result sees 7 features where 8 were, and everywhere else what was."""
    InferShapes()(before := outcome.before.clone())
    InferShapes()(after := outcome.after)
    sizes = {v.name: v.shape for n in before.graph.all_nodes() for v in n.outputs}
    seen = set()
    for node in after.graph.all_nodes():
        for value in node.outputs:
            if value.name in shrinks:
                was, now = list(sizes[value.name]), list(value.shape)
                assert now == [7 if dim == 8 else dim for dim in was], value.name
                seen.add(value.name)
    assert seen == shrinks


@BASES
def test_a_compressed_norm_has_no_layer_norm_left(basis: str) -> None:
    model = graph("x = MatMul(a, w) " + _norms("x"), NORMS + "w[4,8]")
    after = optimized(model, variant="crms", basis=basis, skip=frozenset({"merge-twins"}))
    assert after.count("LayerNormalization") == 0
    assert after.counts["norms converted"] == 2
    assert after.counts["readers absorbed"] == 2
    assert after.counts["weights encoded"] == 1


@BASES
def test_twin_norms_are_one(basis: str) -> None:
    """gamma went into the readers, so nothing tells the norms of one value apart."""
    model = graph("x = MatMul(a, w) " + _norms("x"), NORMS + "w[4,8]")
    assert optimized(model, variant="crms", basis=basis).counts["twins merged"] == 1


@BASES
def test_a_weight_that_others_read_is_copied_once(basis: str) -> None:
    """Shared layers share their copy, too."""
    body = """x = MatMul(a, w) n = LayerNormalization(x, g) p = MatMul(n, v) r = MatMul(n, v)
        z = MatMul(a2, v) y0 = Add(p, r) y = Add(y0, z)"""
    inputs = "float[B,S,4] a, float[B,S,8] a2"
    model = graph(body, "w[4,8] g[8] v[8,6]", inputs=inputs)
    outcome = optimized(model, variant="crms", basis=basis)
    shapes = sorted(tuple(v.shape) for v in outcome.after.graph.initializers.values())
    assert shapes.count((8, 6)) == 1
    assert shapes.count((7, 6)) == 1


@BASES
@pytest.mark.parametrize("dtype", ["float16", "float"])
def test_encoders_and_decoders_keep_the_type(basis: str, dtype: str) -> None:
    body = "r = Relu(a) x = MatMul(r, w) z = Softmax(x) " + _norms("x")
    inputs, outputs = f"{dtype}[B,S,8] a", f"{dtype}[B,S,6] y, {dtype}[B,S,8] z"
    random = np.random.default_rng(1)
    shapes = {"w": (8, 8), "g": 8, "c": 8, "h": 8, "v": (8, 6), "e": 6, "u": (8, 6)}
    kind = np.float16 if dtype == "float16" else np.float32
    weights = {name: random.normal(0.2, 0.5, shape).astype(kind) for name, shape in shapes.items()}
    model = graph(body, inputs=inputs, outputs=outputs, constants=weights, float64=False)
    truth = cast_to_float64(model.clone())
    pipeline.run(model, pipeline.Options(variant="crms", basis=basis))
    for node in model.graph.all_nodes():
        assert "LayerNorm" not in node.op_type
    feed = random.normal(0.3, 1.0, (2, 3, 8)).astype(kind)
    found, exact = evaluate(model, {"a": feed}), evaluate(truth, {"a": feed.astype(np.float64)})
    tolerance = 2e-2 if dtype == "float16" else 1e-5
    for name, value in exact.items():
        assert found[name].dtype == kind
        np.testing.assert_allclose(found[name], value, rtol=0, atol=tolerance * abs(value).max())


def test_copies_of_readers_count_against_the_growth() -> None:
    """A tied weight is copied for the norm, or, where no byte may be, the norm stays whole."""
    body = """x = MatMul(a, w) n = LayerNormalization(x, g) p = MatMul(n, v)
        z = MatMul(a2, v) y = Add(p, z)"""
    inputs = "float[B,S,4] a, float[B,S,8] a2"
    model = graph(body, "w[4,8] g[8] v[8,6]", inputs=inputs)
    outcome = optimized(model, variant="crms")
    assert outcome.summary.compressed == 1
    assert outcome.copied == {"v": 8 * 8 * 6}
    bounded = optimized(model, variant="crms", max_growth=0.0)
    assert bounded.summary.compressed == 0
    assert bounded.summary.converted == 1
    reasons = [norm.uncompressed for norm in bounded.summary.norms]
    assert reasons == ["the copies of its readers' weights would cost more than it gains"]


@pytest.mark.parametrize(("gammas", "copies"), [("gg", 0), ("gh", 1)])
def test_norms_with_one_gamma_share_the_new_weight(gammas: str, copies: int) -> None:
    """As the layers of a model that repeats one: copies are made, reported and bounded alike."""
    body = f"""x = MatMul(a, w) n = LayerNormalization(x, {gammas[0]}) p = MatMul(n, v)
        z = MatMul(a, u) o = LayerNormalization(z, {gammas[1]}) q = MatMul(o, v) y = Add(p, q)"""
    made = {"w": "w[4,8]", "u": "u[4,8]", "v": "v[8,6]", "g": "g[8]", "h": "h[8]"}
    model = graph(body, " ".join(made[name] for name in sorted({"w", "u", "v", *gammas})))
    outcome = optimized(model, variant="crms")
    weights = [v for v in outcome.after.graph.initializers.values() if len(v.shape) == 2]
    assert outcome.summary.compressed == 2
    assert len(weights) == 3 + copies
    assert list(outcome.copied.values()) == [8 * 8 * 6] * copies
    bounded = optimized(model, variant="crms", max_growth=0.0)
    assert bounded.summary.compressed == 2 - 2 * copies


def test_a_constant_in_two_forms_counts_against_the_growth() -> None:
    """One map writes a compressed stream, and by the same weight one that stays whole."""
    body = """x = MatMul(a, w) n = LayerNormalization(x, g) y = Relu(n)
        x2 = MatMul(a2, w) o = LayerNormalization(x2, g) q = MatMul(o, m)"""
    inputs, outputs = "float[B,S,64] a, float[B,S,64] a2", "float y, float q"
    model = graph(body, "w[64,8] g[8] m[8,5]", inputs=inputs, outputs=outputs)
    outcome = optimized(model, variant="crms")
    assert (outcome.summary.compressed, outcome.copied) == (1, {"w": 8 * 64 * 8})
    bounded = optimized(model, variant="crms", max_growth=0.0)
    assert (bounded.summary.compressed, bounded.copied) == (0, {})
    assert bounded.summary.converted == 2


def test_a_result_that_nobody_reads_shrinks_too() -> None:
    """Its declared shape is saved, and checked."""
    body = """d, e = Split<axis=1>(x0) n = LayerNormalization(e, g) y = MatMul(n, m)"""
    model = graph(
        "x0 = MatMul(a, w) " + body,
        "w[4,8] g[8] m[8,5]",
        inputs="float[B,6,4] a",
        outputs="float y",
        declared="float[B,3,8] d, float[B,3,8] e",
    )
    outcome = optimized(model, variant="crms")
    assert outcome.summary.compressed == 1
    shapes = {v.name: v.shape for node in outcome.after.graph for v in node.outputs}
    assert [list(shapes[name]) for name in "de"] == [["B", 3, 7]] * 2


def test_a_weight_that_one_norm_reads_twice_is_not_copied() -> None:
    body = """x = MatMul(a, w) n = LayerNormalization(x, g) p = MatMul(n, v) r = MatMul(n, v)
        y = Add(p, r)"""
    outcome = optimized(graph(body, "w[4,8] g[8] v[8,6]"), variant="crms")
    assert outcome.counts["readers absorbed"] == 2
    assert _shape_of(outcome.after, "v") == [7, 6]


@BASES
def test_a_beta_of_zeros_vanishes_without_affine_folding(basis: str) -> None:
    body = "x = MatMul(a, w) n = LayerNormalization(x, g, c) y = MatMul(n, v)"
    zeros = {"c": np.zeros(8, np.float32)}
    model = graph(body, "w[4,8] g[8] v[8,6]", constants=zeros)
    outcome = optimized(model, variant="crms", basis=basis, skip=frozenset({"fold-affine"}))
    assert outcome.summary.compressed == 1
    assert outcome.counts["betas kept"] == 0


def test_the_variant_rms_compresses_nothing() -> None:
    model = graph("x = MatMul(a, w) " + _norms("x"), NORMS + "w[4,8]")
    summary = optimized(model).summary
    assert (summary.basis, summary.compressed, summary.basis_changes) == (None, 0, ())
    assert not any(norm.uncompressed for norm in summary.norms)


def test_the_plan_has_one_order() -> None:
    """Encoders of values that are centred already come in one order, run after run."""
    names = [f"s{i}" for i in range(8)]
    body = "r = ReduceMean<axes=[-1]>(a) " + " ".join(
        f"{s} = Sub(a, r) n{s} = LayerNormalization({s}, g, c) p{s} = MatMul(n{s}, v) "
        f"m{s} = LayerNormalization<epsilon=0.1>({s}, g, c) q{s} = MatMul(m{s}, v) "
        f"y{s} = Add(p{s}, q{s})"
        for s in names
    )
    outputs = ", ".join(f"float[B,S,6] y{s}" for s in names)
    model = graph(body, "g[8] c[8] v[8,6]", inputs="float[B,S,8] a", outputs=outputs)
    summary = optimized(model, variant="crms").summary
    assert [change.value for change in summary.basis_changes] == names


def _shape_of(model: ir.Model, name: str) -> list[object]:
    return list(model.graph.initializers[name].shape)


def test_weights_lose_one_feature() -> None:
    body = "x = MatMul(a, w) x2 = Add(x, b) n = LayerNormalization(x2, g) y = MatMul(n, v)"
    outcome = optimized(graph(body, "w[4,8] b[8] g[8] v[8,6]"), variant="crms")
    shapes = {name: _shape_of(outcome.after, name) for name in "wbv"}
    assert shapes == {"w": [4, 7], "b": [7], "v": [7, 6]}
