"""The optimizer converts as many norms as a search that tries each choice numerically."""

from __future__ import annotations

from unittest import mock

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import assume, given, settings

from graphopt.passes import pipeline
from graphopt.passes.planning import plan
from graphopt.passes.planning.costs import Costs
from tests.brute_force import Search, convertible_norms
from tests.flat_branches import every_condition, flattened
from tests.random_graphs import Profile, RandomGraph, random_graphs

# The search on graphs whose answer is known -------------------------------------------------------

_NORM = "LayerNormalization<axis = -1>"
_EMBEDDED = "x = Gather(table, ids)\n"

# name: (nodes, names of the convertible norms)
_KNOWN: dict[str, tuple[str, set[str]]] = {
    "Pre-LN: all": (
        f"""
        [n1] y1 = {_NORM}(x, g1, b1)
        m = MatMul(y1, w)
        biased = Add(m, bias)
        r = Add(x, biased)
        [n2] y = {_NORM}(r, g2, b2)
        """,
        {"n1", "n2"},
    ),
    "Post-LN: the embedding norm alone": (
        f"""
        [n1] y1 = {_NORM}(x, g1, b1)
        m = MatMul(y1, w)
        r = Add(y1, m)
        [n2] y = {_NORM}(r, g2, b2)
        """,
        {"n1"},
    ),
    "a raw reader of the last value": (
        f"""
        [n1] y1 = {_NORM}(x, g1, b1)
        m = MatMul(y1, w)
        r = Add(x, m)
        [n2] y2 = {_NORM}(r, g2, b2)
        positive = Sigmoid(r)
        y = Mul(y2, positive)
        """,
        set(),
    ),
    "a raw reader of another stream": (
        f"""
        [n1] y1 = {_NORM}(x, g1, b1)
        fresh = MatMul(y1, w)
        [n2] y2 = {_NORM}(fresh, g2, b2)
        positive = Sigmoid(x)
        y = Mul(y2, positive)
        """,
        {"n2"},
    ),
    "patch merging reads the differences of the token means": (
        f"""
        [n1] y1 = {_NORM}(x, g1, b1)
        m = MatMul(y1, w)
        r = Add(x, m)
        pairs = Reshape(r, wide_shape)
        [n2] y2 = {_NORM}(pairs, g_wide, b_wide)
        y = MatMul(y2, w_wide)
        """,
        set(),
    ),
    "a norm on one side of a Concat on the features": (
        f"""
        m = MatMul(x, w)
        joined = Concat<axis = -1>(x, m)
        [n1] y = {_NORM}(joined, g_wide, b_wide)
        """,
        set(),
    ),
    "an operand that is broadcast vanishes": (
        f"""
        shifted = Add(x, tokens)
        [n1] y = {_NORM}(shifted, g1, b1)
        """,
        {"n1"},
    ),
    "a constant that two uses share": (
        f"""
        raw = MatMul(x, w)
        tapped = Tanh(raw)
        z = MatMul(tapped, w)
        [n1] y = {_NORM}(z, g1, b1)
        """,
        {"n1"},
    ),
    "a mean that is subtracted already": (
        f"""
        noise = Sigmoid(x)
        mean = ReduceMean(noise, last)
        centred = Sub(noise, mean)
        [n1] y1 = {_NORM}(centred, g1, b1)
        y = Mul(y1, centred)
        """,
        {"n1"},
    ),
    "per-head norms": (
        f"""
        q = MatMul(x, w_wide_out)
        heads = Reshape(q, head_shape)
        [n1] y = {_NORM}(heads, g1, b1)
        """,
        {"n1"},
    ),
}

_SHAPES = {
    "table": (6, 4),
    "w": (4, 4),
    "w_wide": (8, 4),
    "w_wide_out": (4, 8),
    "bias": (4,),
    "tokens": (1, 1),
    **{name: (4,) for name in ("g1", "b1", "g2", "b2")},
    "g_wide": (8,),
    "b_wide": (8,),
}
_SHAPE_OPERANDS = {"wide_shape": [2, 3, 8], "head_shape": [2, 6, 2, 4], "last": [-1]}


def _known_model(nodes: str) -> ir.Model:
    random = np.random.default_rng(7)
    constants = {name: random.standard_normal(shape) for name, shape in _SHAPES.items()}
    constants |= {name: np.asarray(entries) for name, entries in _SHAPE_OPERANDS.items()}
    body = _EMBEDDED + nodes
    declared = ", ".join(_declared(n, a) for n, a in constants.items() if n in body)
    rank = 4 if "head_shape" in body else 3
    return ir.from_onnx_text(
        f"""<ir_version: 10, opset_import: ["" : 18]>
        known (int64[2, 6] ids) => (double[{", ".join("ABCD"[:rank])}] y)
        <{declared}> {{ {body} }}"""
    )


def _declared(name: str, array: np.ndarray) -> str:
    kind = "double" if array.dtype == np.float64 else "int64"
    entries = ", ".join(map(repr, array.reshape(-1).tolist()))
    return f"{kind}[{', '.join(map(str, array.shape))}] {name} = {{{entries}}}"


@pytest.fixture
def ids() -> dict[str, np.ndarray]:
    return {"ids": np.random.default_rng(3).integers(0, 6, (2, 6))}


@pytest.mark.parametrize(("nodes", "convertible"), _KNOWN.values(), ids=_KNOWN)
def test_search_finds_the_known_answer(
    nodes: str, convertible: set[str], ids: dict[str, np.ndarray]
) -> None:
    assert convertible_norms(_known_model(nodes), [ids]) == convertible


@pytest.mark.parametrize(
    "name", ["a raw reader of another stream", "Post-LN: the embedding norm alone"]
)
def test_search_equals_a_search_of_all_subsets(name: str, ids: dict[str, np.ndarray]) -> None:
    search = Search(_known_model(_KNOWN[name][0]), [ids])
    assert len(search.zero_mean_norms(search.best())) == search.best_of_all_subsets()


@pytest.mark.parametrize(("nodes", "convertible"), _KNOWN.values(), ids=_KNOWN)
def test_optimizer_finds_the_known_answer(nodes: str, convertible: set[str]) -> None:
    summary = pipeline.analyse(_known_model(nodes), pipeline.Options())
    assert {norm.name for norm in summary.norms if norm.converted} == convertible


# The optimizer against the search -----------------------------------------------------------------

_SMALL = Profile(steps=3, opsets=(18, 17, 20), smooth=True)
_FREE = Costs(
    layer_norm=1e6,
    rms_norm=0.0,
    add=0.0,
    recentring=float("inf"),
    launch=0.0,
    nanoseconds_per_byte=0.0,
    encoding=float("inf"),
    decoding=float("inf"),
)
"""Every conversion pays, a copy costs nothing, and no recentring node may be inserted."""


def _check_as_many(graph: RandomGraph) -> None:
    feeds = list(every_condition(graph.model(), graph.inputs))
    assume(len(feeds) <= 16)
    possible = convertible_norms(flattened(graph.model()), feeds if feeds[1:] else graph.inputs)
    with mock.patch.object(plan, "provider_costs", lambda provider: _FREE):
        summary = pipeline.analyse(graph.model(), pipeline.Options())
    assert not summary.recentrings
    kept = {norm.name: norm.reason for norm in summary.norms if not norm.converted}
    missed = {name: kept[name] for name in possible & kept.keys()}
    assert summary.converted >= len(possible), f"the search converts, too: {missed}"


@given(random_graphs(_SMALL))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_optimizer_converts_as_many_norms_as_the_search(graph: RandomGraph) -> None:
    _check_as_many(graph)


@pytest.mark.slow
@given(random_graphs(_SMALL))
@settings(max_examples=5000, deadline=None, derandomize=True)
def test_optimizer_converts_as_many_norms_as_the_search_in_the_long_run(graph: RandomGraph) -> None:
    _check_as_many(graph)
