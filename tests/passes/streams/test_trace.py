"""What is proved of a stream before it may be centred: sizes, constants, sources, readers."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.passes.graph.axes import Stream
from graphopt.passes.infer_shapes import InferShapes
from graphopt.passes.streams.trace import StreamFacts, trace
from tests.passes.graphs import Case, assert_outcome, cases, graph

_W = "w[4,8] b[8] g[8] c[8] "
_NORM = "y = LayerNormalization(x, g, c)"

SIZES = {
    "d is symbolic": Case(
        "x = MatMul(a, u) y = LayerNormalization(x, s)",
        "s[1]",
        keeps={"y": "static size 3 or more"},
        given={"inputs": "float[B,S,4] a, float[4,F] u", "outputs": "float y"},
    ),
    "d is 2": Case(
        "x = MatMul(a, w2) y = LayerNormalization(x, g2, c2)",
        "w2[4,2] g2[2] c2[2]",
        keeps={"y": "static size 3 or more"},
        given={"outputs": "float y"},
    ),
    "d is 3": Case(
        "x = MatMul(a, w3) y = LayerNormalization(x, g3, c3)",
        "w3[4,3] g3[3] c3[3]",
        converts="y",
        absorbs="w3",
        given={"outputs": "float y"},
    ),
    "an addend's width is unknown": Case(
        "p = MatMul(a, w) x = Add(p, u) " + _NORM,
        _W,
        keeps={"y": "Add x writes it"},
        given={"inputs": "float[B,S,4] a, float[B,S,F] u"},
    ),
    "an addend's rank is unknown": Case(
        "p = MatMul(a, w) q = Squeeze(u) x = Add(p, q) " + _NORM,
        _W,
        keeps={"y": "static size"},
        given={"inputs": "float[B,S,4] a, float[K,F] u", "declared": "float[B,S,8] x"},
    ),
    "the axis is not the last": Case(
        "x = MatMul(a, w) y = LayerNormalization<axis = 1>(x, g38)",
        "w[4,8] g38[3,8]",
        keeps={"y": "does not normalize one last axis"},
        given={"inputs": "float[B,3,4] a", "outputs": "float y"},
    ),
    "the norm is wider than the stream": Case(
        "p = MatMul(a, w) x = Reshape(p, wide) y = LayerNormalization(x, g16)",
        "w[4,8] g16[16]",
        keeps={"y": "Reshape x writes it"},
        given={
            "inputs": "float[B,2,4] a",
            "outputs": "float y",
            "constants": {"wide": np.array([0, 16])},
        },
    ),
    "four tokens are merged into one, as in Swin": Case(
        """p = MatMul(a, w) s = Add(p, b) o = LayerNormalization(s, g, c)
        q = Slice(s, i0, big, i1, i2) r = Slice(s, i1, big, i1, i2)
        x = Concat<axis = -1>(q, r) y = LayerNormalization(x, g16)""",
        _W + "g16[16]",
        keeps={"o": "Concat x needs the mean of q", "y": "Concat x writes it"},
        given={
            "inputs": "float[B,4,4] a",
            "outputs": "float o, float y",
            "constants": {
                n: np.array([v]) for n, v in {"i0": 0, "i1": 1, "i2": 2, "big": 9}.items()
            },
        },
    ),
}

SOURCES = {
    "a graph input": Case(
        _NORM, _W, keeps={"y": "graph input x"}, given={"inputs": "float[B,S,8] x"}
    ),
    "a weight that a caller may replace": Case(
        "x = MatMul(a, w) r = Relu(w) " + _NORM + " z = MatMul(a, w)",
        _W,
        converts="y",
        recentres="w",
        given={"inputs": "float[B,32,4] a, float[4,8] w", "outputs": "float y, float r, float z"},
    ),
    "a bias that a caller may replace": Case(
        "p = MatMul(a, w) x = Add(p, b) " + _NORM,
        _W,
        converts="y",
        absorbs="w",
        recentres="b",
        given={"inputs": "float[B,S,4] a, float[8] b"},
    ),
    "an activation": Case(
        "q = MatMul(a, w) x = Relu(q) " + _NORM, _W, keeps={"y": "Relu x writes it"}
    ),
    "an earlier norm, as in a Post-LN block": Case(
        """s = MatMul(a, w) o = LayerNormalization(s, g, c)
        q = MatMul(o, m) r = Add(q, b) x = Add(o, r) """
        + _NORM,
        _W + "m[8,8]",
        converts="o",
        absorbs="w",
        keeps={"y": "LayerNormalization o writes it: the mean of o"},
    ),
    "a value of a loop body": Case(
        """z = Loop ("", on, a) <body = turn (int64 i, bool more, float[B,S,8] v)
        => (bool go, float[B,S,8] n) { go = Not(more) n = LayerNormalization(v, g, c) }>""",
        _W,
        keeps={"n": "graph input v"},
        given={"inputs": "float[B,S,8] a, bool on", "outputs": "float z"},
    ),
}
_INFINITE = np.array([1, 2, np.inf, 0, 0, 0, 0, 3], np.float32)
_CONSTANTS = {
    "nan": np.array([np.nan] + [1] * 7, np.float32),
    "infinite": _INFINITE,
    "both": np.array([np.inf, -np.inf] * 4, np.float32),
    "low": np.array(-np.inf, np.float32),
    "holes": np.array([[1, -np.inf]] * 4, np.float32),
    "table": np.concatenate([np.ones((2, 8)), [_INFINITE]]).astype(np.float32),
}

INFINITIES = {
    "a bias with NaN": ("x = Add(p, nan)", "constant nan is not finite"),
    "a bias with an infinity": ("x = Add(p, infinite)", "constant infinite is not finite"),
    "a bias whose sum would be NaN": ("x = Add(p, both)", "constant both is not finite"),
    "a table with one bad row": (
        "e = Gather(table, ids) x = Add(e, p)",
        "constant table is not finite",
    ),
    "an infinite number that would vanish": ("x = Add(p, low)", "Add x writes it"),
    "a mask of minus infinity": ("x = Where(m, p, low)", "Where x writes it"),
    "an infinite factor": ("x = Mul(p, low)", "Mul x writes it"),
}


@cases(SIZES)
def test_sizes_are_proved(case: Case) -> None:
    assert_outcome(case)


@cases(SOURCES)
def test_a_source_is_named(case: Case) -> None:
    assert_outcome(case)


@pytest.mark.parametrize(("body", "reason"), INFINITIES.values(), ids=INFINITIES)
def test_what_is_not_finite_stays(body: str, reason: str) -> None:
    given = {
        "inputs": "float[B,S,4] a, int64[B,S] ids, bool[B,S,1] m",
        "constants": _CONSTANTS,
    }
    with np.errstate(invalid="ignore"):
        assert_outcome(
            Case(f"p = MatMul(a, w) {body} {_NORM}", _W, keeps={"y": reason}, given=given)
        )


def test_a_constant_node_is_a_weight() -> None:
    bias = "k = Constant<value_floats = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 9.0]>() "
    body = "p = MatMul(a, w) x = Add(p, k) " + _NORM
    assert_outcome(Case(bias + body, _W, converts="y", absorbs="w k"))
    shared = Case(
        bias + body + " z = Relu(k)",
        _W,
        converts="y",
        absorbs="w k",
        copies="k",
        given={"outputs": "float y, float z"},
    )
    assert_outcome(shared)


def test_a_chain_of_what_is_centred_is_walked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    operands = StreamFacts.operands.fget
    assert operands is not None

    def counted(facts: StreamFacts) -> list[Stream]:
        asked.append(facts)
        return list(operands(facts))

    monkeypatch.setattr(StreamFacts, "operands", property(counted))
    length = 60
    chain = " ".join(f"c{i + 1} = Neg(c{i})" for i in range(length))
    model = graph(
        f"m = ReduceMean<axes=[-1]>(x) c0 = Sub(x, m) {chain} y = LayerNormalization(c{length}, s)",
        inputs="float[B,8] x",
        outputs="float[B,8] y",
        constants={"s": np.ones(8, np.float32)},
    )
    InferShapes()(model)
    found = trace(model)
    assert sum(stream.value.name.startswith("c") for stream in found.centred) == length + 1
    assert len(asked) <= 3 * length
