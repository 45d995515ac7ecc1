"""Sizes that look known and are not: the result is exact at every size, whatever is declared."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.inputs import generate_inputs
from graphopt.passes import pipeline
from graphopt.passes.infer_shapes import InferShapes
from tests.passes.facts.runs import Run
from tests.passes.graphs import Case, assert_outcome, cases, graph, optimized

_W = "w[4,8] u[4,8] g[8] c[8] k[8,3,1] col[4,1] one[1,1,1]"
_NORM = " y = LayerNormalization(v, g, c)"
_CHANNELS = " v = Transpose<perm = [0, 2, 1]>(r)" + _NORM
_NUMBERS = {
    "zero": np.array([0]),
    "first": np.array([1]),
    "four": np.array([4]),
    "eight": np.array([8]),
    "minus": np.array([-1]),
    "last": np.array([(1 << 63) - 1]),
    "ones": np.array([1, 1, 1]),
    "blocks": np.array([-1, 8, 4]),
    "yes": np.array(True),
}


def _case(
    body: str,
    inputs: str,
    sizes: list[dict[str, int]],
    feeds: dict[str, np.ndarray] | None = None,
    **outcome: object,
) -> Case:
    given = {"inputs": inputs, "outputs": "float y", "constants": _NUMBERS, "opset": 18}
    given |= outcome.pop("given", {})
    options = {"bindings": sizes, "feeds": feeds or {}}
    return Case(body, _W, given=given, options=options, **outcome)


UNKNOWN = {
    "two symbols are broadcast, and one of them is asked for": _case(
        """x = Conv(a, k) s = Add(x, z) h = Shape<start = 0, end = 1>(a)
        q = Concat<axis = 0>(h, eight, minus) r = Reshape(s, q)""" + _CHANNELS,
        "float[N,3,4] a, float[M,1,4] z",
        [{"N": 1, "M": 3}, {"N": 3, "M": 1}, {"N": 2, "M": 2}],
        keeps={"y": "Reshape r writes it"},
    ),
    "two symbols are broadcast in front of a third": _case(
        "p = MatMul(a, w) q = MatMul(z, u) s = Add(p, q) r = MatMul(b, w) v = Add(s, r)" + _NORM,
        "float[N,3,4] a, float[M,3,4] z, float[N,3,4] b",
        [{"N": 1, "M": 3}, {"N": 3, "M": 1}],
        converts="y",
        absorbs="w u",
    ),
    "a Slice ends behind an axis that may be shorter, and its result vanishes": _case(
        "x = MatMul(a, w) s = Slice(x, zero, four, zero) v = Add(s, col)" + _NORM,
        "float[N,4] a",
        [{"N": 1}, {"N": 6}],
        converts="y",
        absorbs="w",
    ),
    "a Slice ends behind an axis that may be shorter, in front of a Reshape": _case(
        """x = Conv(a, k) two = Constant<value = int64[1] {2}>() s = Slice(x, zero, four, two)
        r = Reshape(s, blocks)""" + _CHANNELS,
        "float[2,3,L] a",
        [{"L": 2}, {"L": 6}],
        keeps={"y": "Reshape r writes it"},
    ),
    "sizes that a caller may replace": _case(
        "x = Conv(a, k) r = Reshape(x, sizes)" + _CHANNELS,
        "float[2,3,4] a, int64[3] sizes",
        [{}],
        {"sizes": np.array([1, 8, 8])},
        given={"constants": {**_NUMBERS, "sizes": np.array([2, 8, 4])}},
        keeps={"y": "Transpose v writes it"},
    ),
    "what a Loop carries grows": _case(
        """t = Loop(trip, yes, st) <body = b (int64 i, bool on, float[] p) => (bool go, float[] q)
        { go = Identity(on) q = Concat<axis = 0>(p, p) }> x = MatMul(a, w) v = Add(x, t)""" + _NORM,
        "float[K,4] a, float[1,1] st, int64 trip",
        [{"K": 1}],
        {"trip": np.array(2)},
        converts="y",
        absorbs="w",
    ),
    "an Expand of a value of unknown rank": _case(
        "x = MatMul(a, w) e = Expand(n, ones) v = Add(e, x)" + _NORM,
        "float[B,4,4] a, float[] n",
        [{"B": 1}],
        {"n": np.full((3, 1, 8), 0.5)},
        keeps={"y": "static size"},
    ),
    "a branch of unknown rank": _case(
        """e = If (on) <then_branch = p () => (float[] t) { t = Squeeze(n) },
        else_branch = q () => (float[] f) { f = Identity(n) }> x = MatMul(a, w) v = Add(x, e)"""
        + _NORM,
        "float[1,4] a, float[F,1] n, bool on",
        [{"F": 8}],
        {"on": np.array(True)},
        keeps={"y": "static size"},
    ),
    "a symbol that an output declares": _case(
        """f = Compress<axis = 0>(a, m) x = Conv(f, k) h = Shape<start = 0, end = 1>(a)
        q = Concat<axis = 0>(h, eight, minus) r = Reshape(x, q)""" + _CHANNELS,
        "float[N,3,4] a, bool[N] m",
        [{"N": 4}],
        {"m": np.array([True, False, True, False])},
        given={"outputs": "float y, float[N,8,4] x"},
        keeps={"y": "Reshape r writes it"},
    ),
    "a declared size of 1 that is 8": _case(
        "x = MatMul(a, w) t = MatMul(a, u) q = Tanh(t) v = Add(x, q)" + _NORM,
        "float[B,4] a",
        [{"B": 2}],
        given={"declared": "float[B,1] q"},
        keeps={"y": "Tanh q"},
    ),
    "a declared size that no MatMul can have": _case(
        "x = MatMul(a, w)  q = Identity(x) v = Add(x, q)" + _NORM,
        "float[B,4] a",
        [{"B": 2}],
        given={"declared": "float[B,12] x"},
        converts="y",
        absorbs="w",
    ),
    "an axis that run-time bounds do not cut": _case(
        "x = MatMul(a, w) v = Slice(x, start, last, first)" + _NORM,
        "float[B,S,4] a, int64[1] start",
        [{"B": 2, "S": 3}],
        {"start": np.array([1])},
        converts="y",
        absorbs="w",
    ),
    "both branches keep the features": _case(
        """x = MatMul(a, w) s = If (on) <then_branch = p () => (float[] t) { t = Neg(h) },
        else_branch = q () => (float[] f) { f = Concat<axis = 0>(h, h) }> v = Add(x, s)"""
        + _NORM,
        "float[1,4] a, float[B,8] h, bool on",
        [{"B": 2}],
        converts="y",
        absorbs="w",
        recentres="h",
    ),
}  # fmt: skip


@cases(UNKNOWN)
def test_what_is_not_proved_is_unknown(case: Case) -> None:
    assert_outcome(case)


def test_two_symbols_are_not_fused_as_one() -> None:
    """graphopt.SkipRMSNorm takes operands of one size."""
    case = UNKNOWN["two symbols are broadcast in front of a third"]
    outcome = optimized(graph(case.body, case.weights, **case.given), **case.options, ops="custom")
    assert outcome.count("RMSNorm") == 1
    assert outcome.count("SkipRMSNorm") == 0


def test_an_empty_name_is_no_name() -> None:
    case = UNKNOWN["two symbols are broadcast in front of a third"]
    model = graph(case.body, case.weights, **case.given)
    for value in model.graph.inputs:
        value.shape = ir.Shape(["", 3, 4])
    InferShapes()(model)
    sizes = [value.shape[0].value for value in model.graph.inputs]
    assert all(sizes)
    assert len(set(sizes)) == 3


def test_one_name_on_two_inputs_is_one_size() -> None:
    model = graph("v = Add(a, b) y = Neg(v)", inputs="float[N,S,4] a, float[N,S,4] b")
    InferShapes()(model)
    (y,) = model.graph.outputs
    assert y.shape == ir.Shape(["N", "S", 4])


@pytest.mark.parametrize("name", ["N + 1", "2**10**9", "0", "N - N"])
def test_a_name_that_looks_like_an_expression_means_itself_alone(name: str) -> None:
    model = graph("y = Concat<axis = 0>(a, b)", inputs="float[N,4] a, float[T,4] b")
    b = model.graph.inputs[1]
    b.shape = ir.Shape([name, 4])
    InferShapes()(model)
    assert b.shape[0].free_symbols() == {b.shape[0].value}
    assert str(b.shape[0]) not in (name, "N")
    assert model.graph.outputs[0].shape[0].free_symbols() == {"N", b.shape[0].value}


def test_a_negative_size_is_unknown() -> None:
    model = graph("x = MatMul(a, w)" + _NORM.replace("v", "x"), _W)
    (a,) = model.graph.inputs
    a.shape = ir.Shape([-1, -1, 4])
    generated = generate_inputs(model, dims={"a[0]": 5})
    assert generated.arrays["a"].shape[0] == 5
    assert generate_inputs(model, input_shapes={"a": [3, 2, 4]}).arrays["a"].shape == (3, 2, 4)
    summary, _ = pipeline.run(model, pipeline.Options())
    assert summary.converted == 1
    assert a.shape == ir.Shape([-1, -1, 4])


def test_a_size_that_no_memory_holds_is_unknown() -> None:
    body = "x = MatMul(a, w) q = Concat<axis = 0>(minus, eight) v = Reshape(x, q)"
    model = graph(body + _NORM, _W, outputs="float y", constants=_NUMBERS)
    (a,) = model.graph.inputs
    a.shape = ir.Shape([1 << 62, 2, 4])  # 2^63 rows are no int64
    summary, _ = pipeline.run(model, pipeline.Options())
    assert summary.converted == 1
    assert a.shape == ir.Shape([1 << 62, 2, 4])


def test_a_contradicted_declaration_is_counted_and_not_saved() -> None:
    case = UNKNOWN["a declared size that no MatMul can have"]
    model = graph(case.body, case.weights, **case.given)
    _, records = pipeline.run(model, pipeline.Options(skip=frozenset({"merge-twins"})))
    (record,) = [record for record in records if record.name == "infer-shapes"]
    assert record.detail == {"contradicted declarations": 1}
    shapes = {v.name: v.shape for node in model.graph for v in node.outputs}
    assert shapes["x"] is None


def test_eight_bits_round() -> None:
    model = graph(
        "x = MatMul(a, w) e = Cast<to = 17>(x) v = Cast<to = 1>(e)" + _NORM,
        _W,
        opset=19,
        float64=False,
    )
    summary = pipeline.analyse(model, pipeline.Options())
    assert not summary.converted
    assert "Cast v" in summary.norms[0].reason


@pytest.mark.parametrize(("dtype", "factor"), [(6, 1 << 32), (7, (1 << 62) + 1)])
def test_what_wraps_around_is_no_multiple(dtype: int, factor: int) -> None:
    """In int32 (1 + 2^32) S is S, in int64 4 (2^62 + 1) S is 4 S."""
    model = ir.from_onnx_text(
        f"""<ir_version: 10, opset_import: ["" : 18]> g (float[S] x) => () {{
            h = Shape(x) f = Constant<value = int64[1] {{{factor}}}>() four = Add(i, i)
            o = Constant<value = int64[1] {{2}}>() i = Add(o, z) z = Sub(o, o)
            m = Mul(h, f) n = Mul(m, four) c = Cast<to = {dtype}>(n) d = Cast<to = 7>(c)
            e = Add(d, h) y = ConstantOfShape(e) }}"""
    )
    model.graph.sort()
    run = Run(model)
    found = run.check({"x": np.zeros(3, np.float32)})
    assert found is not None
    assert found.wrong == []


def test_a_number_that_wraps_around_beside_a_size_is_unknown() -> None:
    """In int32 65537 * 65537 is 131073."""
    model = ir.from_onnx_text(
        """<ir_version: 10, opset_import: ["" : 18]> g (float[S] x) => () {
            h = Shape(x) i = Cast<to = 6>(h) n = Constant<value = int32[1] {65537}>()
            v = Concat<axis = 0>(i, n) w = Mul(v, v) e = Cast<to = 7>(w)
            one = Constant<value = int64[1] {1}>() r = Gather(e, one) y = ConstantOfShape(r) }"""
    )
    found = Run(model).check({"x": np.zeros(3, np.float32)})
    assert found is not None
    assert found.wrong == []


def test_names_of_sizes_inside_a_function_are_not_saved() -> None:
    """They would be names of the graph, and ONNX Runtime plans memory by those."""
    model = ir.from_onnx_text(
        """<ir_version: 10, opset_import: ["" : 18, "own" : 1]>
        g (float[P, 4] a, float[Q, 4] b) => (float[P, 4] y, float[] z)
        { y = own.F(a) z = own.F(b) }
        <domain: "own", opset_import: ["" : 18]> F (x) => (r) { t = Relu(x) r = Neg(t) }"""
    )
    for function in model.functions.values():
        for node in function:
            node.outputs[0].shape = ir.Shape(["N", 4])
            node.outputs[0].dtype = ir.DataType.FLOAT
    pipeline.run(model, pipeline.Options())
    shapes = {v.name: v.shape for node in model.graph for v in node.outputs}
    assert shapes.pop("y") == ir.Shape(["P", 4])
    assert set(shapes.values()) == {None}


def test_the_type_behind_an_unknown_op_is_that_of_the_sum() -> None:
    model = ir.from_onnx_text(
        """<ir_version: 10, opset_import: ["" : 18, "own" : 1]>
        g (float[B, 4] a) => (float[B, 3] y)
        <float[4, 3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 4}, float[3] g = {1, 2, 3},
         float[3] c = {0, 1, 2}, int64[1] one = {1}>
        { x = MatMul(a, w) u = own.F(a) r = Reshape(u, one) v = Add(x, r)
          y = LayerNormalization(v, g, c) }"""
    )
    summary, _ = pipeline.run(model, pipeline.Options())
    assert summary.converted == 1
    zeros = [v for name, v in model.graph.initializers.items() if "zero" in name]
    assert [value.dtype for value in zeros] == [ir.DataType.FLOAT]
