"""Every fact is true of what ONNX Runtime computes, and what can be proved is not lost."""

from __future__ import annotations

import pytest

from graphopt.passes.infer_shapes import InferShapes
from tests.passes.facts.made_models import feeds_of, model_from
from tests.passes.facts.op_graphs import GRAPHS, believed, covered, model_of
from tests.passes.facts.runs import Facts, Run


@pytest.mark.parametrize("name", GRAPHS)
def test_what_is_inferred_of_an_op_is_true_of_every_run(name: str) -> None:
    model = model_of(name)
    run, facts = Run(model), Facts()
    for feeds in feeds_of(model, seed=1):
        found = run.check(feeds)
        if found is not None:
            facts.add(found)
    assert facts.wrong == []
    assert facts.runs >= 2, "ONNX Runtime takes none of the inputs"


def test_every_op_that_is_believed_has_a_graph() -> None:
    assert believed() - covered() == set()


# What must be proved: (nodes, sizes of y; a question mark is unknown and equal to nothing)
PROVED = {
    "an axis that a Slice leaves alone": ("y = Slice(x, n0, last, first)", "N ? 8"),
    "an axis that a Slice takes whole": ("y = Slice(x, zero, last, first)", "N S 8"),
    "a cut of a number": ("y = Slice(x, minus, last, two)", "N S 1"),
    "a table that is cut to the length of what it is added to": (
        "h = Shape(x) a = Gather(h, first) d = Slice(words, zero, a, zero) y = Add(x, d)",
        "N S 8",
    ),
    "a symbol and 1": ("a = Slice(row, zero, first) y = Add(x, a)", "N S 8"),
    "a symbol and a number": ("y = Add(f, x)", "N S 8"),
    "two symbols": ("y = Add(x, z)", "? S 8"),
    "a symbol through Shape, Gather, Concat and Reshape": (
        "h = Shape(x) l = Gather(h, zero) r = Concat<axis = 0>(l, minus, eight) y = Reshape(x, r)",
        "N S 8",
    ),
    "what is left of a Reshape to run-time sizes": (
        "r = Concat<axis = 0>(n0, eight, first) y = Reshape(x, r)",
        "N*S 8 1",
    ),
    "a Reshape and back": ("a = Reshape(x, flat) h = Shape(x) y = Reshape(a, h)", "N S 8"),
    "the number of sizes": ("y = Reshape(x, s3)", "? ? ?"),
    "what both branches give": (
        "y = If(go) <then_branch = p1 () => (float[] t1) { t1 = Relu(x) }, "
        "else_branch = q1 () => (float[] f1) { f1 = Concat<axis = 1>(x, x) }>",
        "N ? 8",
    ),
    "what no iteration changes": (
        "y = Loop(trip, go, x) <body = b1 (int64 i1, bool c1, float[] s1) => "
        "(bool d1, float[] e1) { d1 = Identity(c1) e1 = Concat<axis = 1>(s1, s1) }>",
        "N ? 8",
    ),
    "as many features as ONNX's Attention has heads": (
        "o = MatMul(x, qkv) y = Attention<q_num_heads = 6, kv_num_heads = 2>(o, t, t)",
        "N S 24",
    ),
    "as many features as the queries have that are packed with keys and values": (
        "o = MatMul(x, qkv) l = Cast<to = 6>(i) r = Cast<to = 6>(n0) "
        "y = com.microsoft.GroupQueryAttention<num_heads = 4, kv_num_heads = 1>"
        '(o, "", "", "", "", l, r)',
        "N S 16",
    ),
    "the features that gamma has": ("y = LayerNormalization(f, row)", "N S 8"),
    "a value in front of the norm whose gamma says its size": (
        "a = Relu(f) d = LayerNormalization(a, row) y = Neg(a)",
        "N S 8",
    ),
    "a pool whose last window may begin in the padding": (
        "y = MaxPool<kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1>(c)",
        "N 4 ? ?",
    ),
    "a table in the sizes of an image": (
        "h = Shape(c) d = Slice(h, two, last) r = Concat<axis = 0>(ones2, d) "
        'o = Expand(u, wide) a = Unsqueeze(o, zero) y = Resize(a, "", "", r)',
        "1 1 H W",
    ),
}


@pytest.mark.parametrize(("body", "sizes"), PROVED.values(), ids=PROVED)
def test_what_can_be_proved_is_not_lost(body: str, sizes: str) -> None:
    model = model_from(body)
    InferShapes()(model)
    (y,) = [v for node in model.graph for v in node.outputs if v.name == "y"]
    assert y.shape is not None

    found = [str(dim) if not str(dim).startswith("_d") else "?" for dim in y.shape]
    assert found == sizes.split()
