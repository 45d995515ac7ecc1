"""Sizes that name the features of a compressed stream, and its shape where it is computed with."""

from __future__ import annotations

import numpy as np

from graphopt.passes import pipeline
from graphopt.passes.graph import constants
from tests.onnx_runtime import OptimizedSession
from tests.passes.compression_cases import BASES, Case, check
from tests.passes.graphs import cases, graph, optimized

CASES = {
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
    # The shape of a compressed value
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
}


@BASES
@cases(CASES)
def test_edits_sizes(case: Case, basis: str) -> None:
    check(case, basis)


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


def test_sizes_that_are_known_become_a_constant() -> None:
    """As for a table of positions: ONNX Runtime folds such a Resize, and cannot run each other."""
    body = """x = MatMul(a, w) q = Reshape(p, grid) t = Transpose<perm=[0, 3, 1, 2]>(q)
        s = Shape(t) nc = Slice(s, zero, two, zero) sizes = Concat<axis = 0>(nc, places)
        r = Resize<mode = "linear">(t, , , sizes) u = Transpose<perm = [0, 2, 3, 1]>(r)
        f = Reshape(u, flat) o = Add(x, f) n = LayerNormalization(o, g, c) y = MatMul(n, v)"""
    numbers = {"grid": [1, 3, 3, 8], "flat": [1, 16, 8], "zero": [0], "two": [2], "places": [4, 4]}
    model = graph(
        body,
        "w[4,8] p[1,9,8] g[8] c[8] v[8,6]",
        inputs="float[B,16,4] a",
        outputs="float y",
        constants={name: np.array(entries) for name, entries in numbers.items()},
    )
    outcome = optimized(model, variant="crms")
    assert all(norm.compressed for norm in outcome.summary.norms)
    resize = next(node for node in outcome.after.graph if node.op_type == "Resize")
    assert constants.entries(resize.inputs[3]).tolist() == [1, 7, 4, 4]


_RESIZED = """e = Conv<kernel_shape=[2,2], strides=[2,2]>(image, k) r = Reshape(e, flat)
    x = Transpose<perm=[0,2,1]>(r) h = Shape(x) d = Gather(h, two)
    q = Concat<axis=0>(one, three, three, d) p = Reshape(pos, q)
    f = Transpose<perm=[0,3,1,2]>(p) s = Shape(f) t = Slice(s, zero, two, zero)
    i = Shape(image) l = Slice(i, two, four, zero) m = Div(l, two)
    z = Concat<axis=0>(t, m) o = Resize<mode="cubic", coordinate_transformation_mode="half_pixel",
    cubic_coeff_a=-0.75>(f, "", "", z) j = Transpose<perm=[0,2,3,1]>(o)
    b = Concat<axis=0>(one, minus, d) u = Reshape(j, b) v = Add(x, u)
    n = LayerNormalization(v, g, c) y = MatMul(n, w)"""
"""A table of positions in the sizes of an image, which are computed from its own."""


@BASES
def test_sizes_of_a_table_are_written_down(basis: str) -> None:
    """Behind a Where ONNX Runtime folds no constants: it runs a cubic Resize that cannot shrink."""
    numbers = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "minus": -1}
    known = {name: np.array([number]) for name, number in numbers.items()}
    model = graph(
        _RESIZED,
        "k[8,3,2,2] pos[1,9,8] g[8] c[8] w[8,6]",
        inputs="float[B,3,4,4] image",
        outputs="float y",
        constants={**known, "flat": np.array([0, 8, -1])},
        float64=False,
    )
    image = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    expected = OptimizedSession(model).run({"image": image})["y"]
    summary, _ = pipeline.run(model, pipeline.Options(variant="crms", basis=basis))
    assert summary.compressed == 1
    assert not [node for node in model.graph if node.op_type == "Where"]
    found = OptimizedSession(model).run({"image": image})["y"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
