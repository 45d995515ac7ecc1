"""Centring is pushed into the weights, into copies of them, or made at run time."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.passes.graph import constants
from tests.passes.graphs import Case, assert_outcome, cases, graph, optimized

_W = "w[4,8] w2[4,8] b[8] g[8] c[8] "
_NORM = "y = LayerNormalization(x, g, c) "
_TWO = {"outputs": "float y, float z"}


def _weight(model: ir.Model, name: str) -> np.ndarray:
    return constants.exact(model.graph.initializers[name].const_value)


def test_a_weight_is_recentred_in_place_and_keeps_its_name() -> None:
    outcome = optimized(graph("p = MatMul(a, w) x = Add(p, b) " + _NORM, _W))
    for name in ("w", "b"):
        raw = _weight(outcome.before, name)
        expected = raw - raw.mean(axis=-1, keepdims=True)
        np.testing.assert_allclose(_weight(outcome.after, name), expected, atol=1e-15)
    assert outcome.counts["weights recentred"] == 2
    assert outcome.counts["copies"] == outcome.counts["zeroed"] == 0


SHARED = {
    "two writers of two streams": Case(
        "x = MatMul(a, w) " + _NORM + "x2 = MatMul(d, w) z = LayerNormalization(x2, g, c)",
        _W,
        converts="y z",
        absorbs="w",
        given={"inputs": "float[B,S,4] a, float[B,S,4] d", **_TWO},
    ),
    "a bias of two linear maps of one stream": Case(
        """p = MatMul(a, w) q = Add(p, b) r = MatMul(a, w2) s = Add(r, b)
        x = Add(q, s) """
        + _NORM,
        _W,
        converts="y",
        absorbs="w w2 b",
    ),
    "a writer and a raw reader": Case(
        "x = MatMul(a, w) " + _NORM + "r = MatMul(a, w) z = Relu(r)",
        _W,
        converts="y",
        absorbs="w",
        copies="w",
        given=_TWO,
    ),
    "a bias and a norm's beta": Case(
        "p = MatMul(a, w) x = Add(p, c) " + _NORM, _W, converts="y", absorbs="w c", copies="c"
    ),
    "a position embedding and a gamma": Case(
        "p = MatMul(a, w) x = Add(p, g) " + _NORM, _W, converts="y", absorbs="w g", copies="g"
    ),
    "a weight that is a graph output": Case(
        "x = MatMul(a, w) " + _NORM,
        _W,
        converts="y",
        absorbs="w",
        copies="w",
        given={"outputs": "float y, float[4,8] w"},
    ),
    "one writer on two axes of a constant": Case(
        """x = MatMul(a, m) y = LayerNormalization(x, g, c)
        u = MatMul(m, d) v = Transpose<perm = [0, 2, 1]>(u) z = LayerNormalization(v, g, c)
        r = MatMul(a, m) o = Relu(r)""",
        "m[8,8] g[8] c[8]",
        converts="y z",
        absorbs="m",
        copies="m",
        given={
            "inputs": "float[B,S,8] a, float[B,8,S] d",
            "outputs": "float y, float z, float o",
        },
    ),
    "an encoder and a decoder that share a table": Case(
        """e = Gather(t, ids) y = LayerNormalization(e, g, c) k = MatMul(y, m)
        f = Gather(t, ids2) q = Softmax(f) h = Add(f, k) z = LayerNormalization(h, g, c)
        o = Relu(z)""",
        "t[11,8] m[8,8] g[8] c[8]",
        converts="y z",
        absorbs="t m",
        given={"inputs": "int64[B,S] ids, int64[B,S] ids2", "outputs": "float o, float q"},
    ),
    "two streams, of which one is read raw": Case(
        """x = MatMul(a, w) y = LayerNormalization(x, g, c) k = Relu(y) e = MatMul(k, m)
        r = MatMul(d, w2) h = Add(r, e) z = LayerNormalization(h, g, c) o = Relu(h)""",
        _W + "m[8,8]",
        converts="y",
        absorbs="w",
        keeps={"z": "Relu o needs the mean of h"},
        given={
            "inputs": "float[B,S,4] a, float[B,S,4] d",
            "outputs": "float y, float z, float o",
        },
    ),
}


@cases(SHARED)
def test_shared_constants_are_recentred_once_or_copied(case: Case) -> None:
    outcome = assert_outcome(case)
    for name, size in outcome.copied.items():
        assert size == outcome.before.graph.initializers[name].const_value.nbytes
        assert (_weight(outcome.after, name) == _weight(outcome.before, name)).all()
        assert f"{name}.centred" in outcome.after.graph.initializers


_TIED = """e = Gather(t, ids) u = Gather(places, ids) x = Add(e, u) y = LayerNormalization(x, g, c)
    r = MatMul(y, m) x2 = Add(x, r) y2 = LayerNormalization(x2, g, c)
    back = Transpose(t) z = MatMul(y2, back)"""

# rows of a table that is embedding and head, options: copies, recentrings
TIED = {
    "a small table is copied": (20, {}, "t", ""),
    "a table is not copied where that is too much growth": (20, {"max_growth": 0.1}, "", "e"),
    "no table is copied without growth": (20, {"max_growth": 0.0}, "", "e"),
    "a table is copied within the growth": (20, {"max_growth": 0.9}, "t", ""),
    "a large table costs more than a recentring": (40000, {}, "", "e"),
}


@pytest.mark.parametrize(("rows", "options", "copies", "recentres"), TIED.values(), ids=TIED)
def test_a_tied_table_is_copied_or_recentred_at_run_time_by_cost(
    rows: int, options: dict[str, float], copies: str, recentres: str
) -> None:
    outcome = assert_outcome(
        Case(
            _TIED,
            f"t[{rows},8] places[9,8] m[8,8] g[8] c[8]",
            converts="y y2",
            absorbs="m places " + copies,
            copies=copies,
            recentres=recentres,
            given={"inputs": "int64[B,S] ids", "outputs": "float z"},
            options=options,
        )
    )
    for copy in outcome.summary.copies:
        assert copy.reason == "Transpose back needs its mean"
        assert copy.bytes == rows * 8 * 8
    for recentring in outcome.summary.recentrings:
        assert set(recentring.unlocks) == {"y", "y2"}
        assert (recentring.axis, recentring.size) == (2, 8)


_EXPLICIT = Case(
    """x = Relu(a) y = LayerNormalization(x, g, c) z = LayerNormalization(x, g2, c2)
    o = Tanh(x)""",
    "g[8] c[8] g2[8] c2[8]",
    converts="y z",
    recentres="x",
    given={"inputs": "float[B,S,8] a", "outputs": "float y, float z, float o"},
)


@pytest.mark.parametrize("opset", [13, 17, 18, 20, 23])
def test_a_value_is_recentred_at_run_time_for_its_norms_alone(opset: int) -> None:
    case = Case(**{**vars(_EXPLICIT), "given": {**_EXPLICIT.given, "opset": opset}})
    outcome = assert_outcome(case)
    (centre,) = [node for node in outcome.after.graph if node.op_type == "Sub"]
    (mean,) = [n for n in outcome.after.graph if n.outputs[0] is centre.inputs[1]]
    assert mean.op_type == "ReduceMean"
    assert len(mean.inputs) == (2 if opset >= 18 else 1)
    (tanh,) = [node for node in outcome.after.graph if node.op_type == "Tanh"]
    assert tanh.inputs[0].name == "x"
    assert outcome.after.opset_imports[""] == opset


def test_a_half_is_recentred_in_float32() -> None:
    given = {**_EXPLICIT.given, "float64": False}
    given = {
        key: value.replace("float", "float16") if isinstance(value, str) else value
        for key, value in given.items()
    }
    weights = {n: np.ones(8, np.float16) for n in ("g", "c", "g2", "c2")}
    model = graph(_EXPLICIT.body, "", constants=weights, **given)
    outcome = optimized(model, bindings=())
    (centre,) = [node for node in outcome.after.graph if node.op_type == "Sub"]
    assert centre.inputs[0].producer().op_type == "Cast"
    (cast,) = [use.node for use in centre.outputs[0].uses()]
    assert (cast.op_type, cast.attributes.get_int("to")) == ("Cast", ir.DataType.FLOAT16.value)


_T = "float[B,S,4] a, float[B,T,1] t, bool[B,T,1] m"
_STATIC = "float[2,3,4] a, float[2,3,1] t, float[2,1,1] t1, bool[2,3,1] m"
_LONE = "float[1,1,4] a, float[2,3,1] t"

# How an operand vanishes: (inputs, Expand nodes that keep its shape)
VANISHES = {
    "x = Add(p, t)": (_STATIC, 0),
    "x = Add(p, t1)": (_STATIC, 0),
    "x = Where(m, t, p)": (_STATIC, 0),
    "x = Sum(p, t, t1)": (_STATIC, 0),
    "x = Add(s, p)": (_STATIC, 0),
    "x = Add(p, lead)": (_STATIC, 1),
    "x = Add(p, t)  ": (_T, 1),
    "x = Where(m, p, t)": (_T, 0),  # the condition has the sizes of t
    "u = Add(t, s) x = Sub(u, p)": (_T, 1),
    "x = Add(t, p)": (_LONE, 1),
    "x = Sum(t, p, t)": (_LONE, 1),
    "x = Add(b, t)": (_LONE, 1),
}
_WIDENED = ({"B": 2, "S": 1, "T": 5}, {"B": 2, "S": 5, "T": 1}, {"B": 1, "S": 3, "T": 3})


@pytest.mark.parametrize(("body", "inputs", "expands"), [(b, *v) for b, v in VANISHES.items()])
def test_a_vanished_operand_leaves_its_shape(body: str, inputs: str, expands: int) -> None:
    weights = _W + "s[] lead[1,1,1,1]"
    model = graph(f"p = MatMul(a, w) {body} {_NORM}", weights, inputs=inputs, outputs="float y")
    outcome = optimized(model, bindings=_WIDENED)
    assert outcome.converted == {"y"}, outcome.reasons
    assert outcome.counts["zeroed"] >= 1
    assert outcome.count("Expand") == expands


def test_a_gemm_takes_its_shape_from_its_matrices() -> None:
    body = "x = Gemm<transB = 1>(rows, wt, column) y = LayerNormalization(x, g, c)"
    inputs = "float[M,4] rows, float[M,1] column"
    outcome = optimized(graph(body, "wt[8,4] g[8] c[8]", inputs=inputs, outputs="float y"))
    assert outcome.counts["zeroed"] == 1
    assert outcome.count("Expand") == 0


def test_a_sum_of_two_symbols_keeps_both() -> None:
    """[B, S, 1] + [B, T, 1] is inferred to be [B, S, 1], which it is not where S is 1."""
    model = graph(
        "p = MatMul(a, w) e = Add(s, t) x = Add(p, e) " + _NORM,
        _W,
        inputs="float[B,S,4] a, float[B,S,1] s, float[B,T,1] t",
        outputs="float y",
    )
    assert optimized(model, bindings=_WIDENED).converted == {"y"}


def test_a_graph_input_is_recentred_before_everything_else() -> None:
    case = Case(
        "y = LayerNormalization(a, g, c) z = LayerNormalization(a, g2, c)",
        "g[8] c[8] g2[8]",
        converts="y z",
        recentres="a",
        given={"inputs": "float[B,S,8] a", **_TWO},
    )
    assert_outcome(case)
