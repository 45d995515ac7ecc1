"""Attention becomes one operator where its heads are proved, and what masks them."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes import pipeline
from graphopt.passes.attention.masks import mask_of
from graphopt.passes.attention.padding import PaddingMasks
from graphopt.passes.fuse_attention import FuseAttention
from graphopt.passes.graph.naming import Names
from tests.onnx_runtime import OptimizedSession
from tests.passes.attention import (
    MASKS,
    assert_fused,
    assert_same,
    changed,
    records,
)
from tests.passes.graphs import graph
from tests.passes.unmasked_attention import (
    BLOCK,
    NUMBERS,
    WEIGHTS,
    heads_of,
    in_half,
    inputs_of,
    model_of,
)

# What is written instead of what, and whether that is fused.
CASES: dict[str, tuple[dict[str, str], int]] = {
    "as it stands": ({}, 1),
    "the last axis by its number": ({"axis=-1": "axis=3"}, 1),
    "keys in two steps": (
        {
            "kt = Transpose<perm=[0,2,3,1]>(k1)": "k2 = Transpose<perm=[0,2,1,3]>(k1) "
            "kt = Transpose<perm=[0,1,3,2]>(k2)"
        },
        1,
    ),
    "a factor behind the product": (
        {"Softmax<axis=-1>(s)": "Softmax<axis=-1>(f) f = Mul(s, half)"},
        1,
    ),
    "a divisor behind the product": (
        {"Softmax<axis=-1>(s)": "Softmax<axis=-1>(f) f = Div(s, root)"},
        1,
    ),
    "tokens and samples in one axis": (
        {"Reshape(o1, join)": "Reshape(o1, flat)", "y =": "y0 ="},
        1,
    ),
    "values of fewer features": (
        {
            "MatMul(x, wv)": "MatMul(x, wn)",
            "Reshape(v0, split)": "Reshape(v0, narrow)",
            "Reshape(o1, join)": "Reshape(o1, thin)",
            "MatMul(o2, wo)": "MatMul(o2, wl)",
        },
        1,
    ),
    "values that a caller also gets": ({"o = MatMul": "extra = Identity(v) o = MatMul"}, 1),
    "heads of a matrix": (
        {
            "q0 = MatMul(x, wq)": "m = Reshape(x, flat) q0 = MatMul(m, wq)",
            "MatMul(x, wk)": "MatMul(m, wk)",
            "MatMul(x, wv)": "MatMul(m, wv)",
            "Reshape(q0, split)": "Reshape(q0, tokens)",
            "Reshape(k0, split)": "Reshape(k0, tokens)",
            "Reshape(v0, split)": "Reshape(v0, tokens)",
        },
        1,
    ),
    "the keys of another sequence": (
        {"MatMul(x, wk)": "MatMul(z, wk)", "MatMul(x, wv)": "MatMul(z, wv)"},
        0,
    ),
    "another softmax": ({"axis=-1": "axis=2"}, 0),
    "values transposed otherwise": (
        {"v = Transpose<perm=[0,2,1,3]>": "v = Transpose<perm=[0,2,3,1]>"},
        0,
    ),
    "queries that are not transposed": (
        {"q = Transpose<perm=[0,2,1,3]>": "q = Transpose<perm=[0,1,2,3]>"},
        0,
    ),
    "keys scaled by feature": (
        {
            "kt = Transpose<perm=[0,2,3,1]>(k1)": "kf = Mul(k1, half_of_each) "
            "kt = Transpose<perm=[0,2,3,1]>(kf)"
        },
        0,
    ),
    "queries scaled by feature": ({"MatMul(q, kt)": "MatMul(qf, kt) qf = Mul(q, half_of_each)"}, 0),
    "scores scaled by key": ({"Softmax<axis=-1>(s)": "Softmax<axis=-1>(f) f = Mul(s, row)"}, 0),
    "a factor whose reciprocal is rounded": (
        {"Softmax<axis=-1>(s)": "Softmax<axis=-1>(f) f = Div(s, three)"},
        0,
    ),
    "a factor of zero": ({"Softmax<axis=-1>(s)": "Softmax<axis=-1>(f) f = Mul(s, zero)"}, 0),
    "an infinite factor": ({"Softmax<axis=-1>(s)": "Softmax<axis=-1>(f) f = Div(s, infinite)"}, 0),
    "a mask": ({"Softmax<axis=-1>(s)": "Softmax<axis=-1>(f) f = Add(s, bias)"}, 0),
    "a mask behind softmax": ({"MatMul(p, v)": "MatMul(m, v) m = Add(p, bias)"}, 0),
    "scores that something else reads": ({"o = MatMul": "extra = Identity(s) o = MatMul"}, 0),
    "scores that are an output": (
        {"o = MatMul": "o = MatMul", "s = ": "extra = ", "(s)": "(extra)"},
        0,
    ),
    "weights that something else reads": ({"o = MatMul": "extra = Identity(p) o = MatMul"}, 0),
    "results that something else reads": ({"o1 =": "extra = Identity(o) o1 ="}, 0),
    "heads in another order": (
        {"o1 = Transpose<perm=[0,2,1,3]>": "o1 = Transpose<perm=[0,2,3,1]>"},
        0,
    ),
    "heads that stay apart": (
        {"Reshape(o1, join) y = MatMul(o2, wo)": "Reshape(o1, kept) y0 = Neg(o2)"},
        0,
    ),
    "values first": (
        {
            "MatMul(p, v)": "MatMul(vt, pt) vt = Transpose<perm=[0,1,3,2]>(v) "
            "pt = Transpose<perm=[0,1,3,2]>(p)",
            "o1 = Transpose<perm=[0,2,1,3]>": "o1 = Transpose<perm=[0,3,1,2]>",
        },
        0,
    ),
    "one head of the values": (
        {
            "Reshape(v0, split)": "Reshape(v0, one_head)",
            "Reshape(o1, join) y = MatMul(o2, wo)": "Identity(o1) y0 = Neg(o2)",
        },
        0,
    ),
}

TAKEN = {"finite", "infinite", "constant true", "true and finite"} | {
    "numbers that are hidden where they are not zero"
}
"""Of MASKS those that the kernel adds as the graph does, or that mask nothing."""

_LENGTHS = {
    "heads of a matrix": 3,
    "a mask": 3,
    "a mask behind softmax": 3,
    "scores scaled by key": 3,
    "values transposed otherwise": 4,
    "queries that are not transposed": 2,
}
"""Where the graph is one for a single number of tokens only."""


@pytest.mark.parametrize("case", CASES)
def test_attention_without_a_mask_is_one_operator(case: str) -> None:
    changes, fused = CASES[case]
    length = _LENGTHS.get(case, 3)
    model, original = (model_of(changes, "B", str(_LENGTHS.get(case, "S"))) for _ in range(2))
    assert records(model, FuseAttention()) == ({"attentions fused": 1} if fused else {})
    operators = [node.op_type for node in model.graph]
    assert operators.count("MultiHeadAttention") == fused
    if fused:
        assert "Softmax" not in operators
        extra = any(value.name == "extra" for value in model.graph.outputs)
        assert operators.count("Transpose") == int(extra)
    given = inputs_of(2, length, 3)
    assert_same(original, model, given)


@pytest.mark.parametrize(("queries", "fused"), [("32", 1), ("31", 0), ("N", 0)])
def test_other_keys_are_attended_to_where_queries_are_many(queries: str, fused: int) -> None:
    changes, _ = CASES["the keys of another sequence"]
    model = model_of(changes, "B", queries)
    assert records(model, FuseAttention()) == ({"attentions fused": 1} if fused else {})
    given = inputs_of(2, 32 if queries == "N" else int(queries), 5)
    before, after = (OptimizedSession(m).run(given)["y"] for m in (model_of(changes), model))
    assert np.abs(after - before).max() <= 2e-6 * np.abs(before).max()


def test_sequences_that_may_differ_in_number_stay() -> None:
    """A MatMul broadcasts one sample of keys to all queries; the operator does not."""
    changes, _ = CASES["the keys of another sequence"]
    model = graph(
        changed(BLOCK, changes),
        WEIGHTS,
        inputs="float[B,40,8] x, float[C,40,8] z",
        outputs="float y",
        constants=NUMBERS,
        float64=False,
    )
    assert records(model, FuseAttention()) == {}


@pytest.mark.parametrize("dtype", ["DOUBLE", "FLOAT16"])
def test_types_that_the_kernel_does_not_have_stay(dtype: str) -> None:
    model = cast_to_float64(model_of({}))
    assert records(in_half(model) if dtype == "FLOAT16" else model, FuseAttention()) == {}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("ops", ["ort", "custom"])
def test_attention_takes_one_mask_and_no_padding_shows(mask: str, ops: str) -> None:
    assert_fused(mask, pipeline.Options(ops=ops), fused=mask in TAKEN)


def test_what_layers_share_stands_before_all_of_them() -> None:
    """The layer whose weights are first meets its values last: the pass leaves the nodes sorted."""
    body = """
        m = Where(c, zero, low) h = Reshape(x, split) v = Transpose<perm=[0,2,1,3]>(h)
        kt = Transpose<perm=[0,2,3,1]>(h)
        s = MatMul(v, kt) a = Add(s, m) r = MatMul(v, kt) b = Add(r, m)
        p = Softmax<axis=-1>(a) w = Softmax<axis=-1>(b) o2 = MatMul(w, v) o = MatMul(p, v)
        t2 = Transpose<perm=[0,2,1,3]>(o2) t = Transpose<perm=[0,2,1,3]>(o)
        z2 = Reshape(t2, join) z = Reshape(t, join) y = Add(z, z2)
    """
    model = graph(
        body,
        inputs="float[B,S,8] x, bool[B,1,S,S] c",
        outputs="float y",
        constants=NUMBERS | {"low": np.array(-1e4, np.float32)},
        float64=False,
    )
    assert records(model, FuseAttention()) == {"attentions fused": 2}
    order = list(model.graph)
    for node in order:
        makers = [value.producer() for value in node.inputs if value is not None]
        assert all(order.index(maker) < order.index(node) for maker in makers if maker)


@pytest.mark.parametrize("one", [1, ir.SymbolicDim("1")])
def test_a_mask_for_all_queries_is_one_of_keys(one: int | ir.SymbolicDim) -> None:
    """However its dimension of one is written: inference divides sizes as symbols."""
    found = ir.from_onnx_text(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (bool[B,1,Q,T] c) => (float[B,1,Q,T] m) <float zero = {0}, float low = {-9}> {
            m = Where (c, zero, low)
        }"""
    )
    found.graph.inputs[0].shape = ir.Shape(["B", 1, one, "T"])
    mask = mask_of(found.graph.outputs[0])
    assert mask is not None
    written = PaddingMasks(Names(found), 17).write(mask, found.graph)
    assert written.shape == ir.Shape(["B", "T"])


@pytest.mark.parametrize(
    ("options", "fused"),
    [
        ({"ops": "ort"}, True),
        ({"ops": "custom"}, True),
        ({"ops": "standard"}, False),
        ({"ops": "ort", "provider": "cuda"}, True),
        ({"ops": "custom", "provider": "cuda"}, True),
        ({"ops": "standard", "provider": "cuda"}, False),
        ({"ops": "ort", "fuse": False}, False),
        ({"ops": "ort", "skip": {"fuse-attention"}}, False),
    ],
)
def test_only_results_for_onnx_runtime_have_it(options: dict[str, object], fused: bool) -> None:
    model = heads_of(8, 8)
    pipeline.run(model, pipeline.Options(**options))
    assert ("MultiHeadAttention" in {node.op_type for node in model.graph}) == fused


def test_a_result_is_read_again() -> None:
    """Shapes are proved through the operator, and the file declares none that is wrong."""
    body = (
        BLOCK.replace("y = MatMul(o2, wo)", "")
        + """
        stream = MatMul(x, wm) o3 = MatMul(o2, wo) r = Add(o3, stream)
        n = LayerNormalization(r, gamma) y = MatMul(n, wm)
    """
    )
    weights = f"{WEIGHTS} gamma[8]"
    model = graph(
        body,
        weights,
        inputs="float[B,S,8] x",
        outputs="float y",
        constants=NUMBERS,
        float64=False,
    )
    assert records(model, FuseAttention()) == {"attentions fused": 1}
    again = ir.from_proto(ir.to_proto(model))
    summary, _ = pipeline.run(again, pipeline.Options(ops="standard"))
    assert [norm.converted for norm in summary.norms] == [True]
    onnx.checker.check_model(ir.to_proto(again))
