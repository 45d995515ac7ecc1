from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.passes.drop_idle_masks import DropIdleMasks
from graphopt.passes.infer_shapes import InferShapes
from tests.passes.graphs import graph

CONSTANTS = {
    "zero": np.array(0, np.float32),
    "zeros": np.zeros((1, 3, 3), np.float32),
    "nearly": np.array([[[0, 0, 0], [0, 0, 1e-30], [0, 0, 0]]], np.float32),
    "one": np.ones(3, np.float32),
    "ones": np.ones((2, 1, 3, 3), np.float32),
    "yes": np.array([True]),
    "no": np.array(False),
    "low": np.array(-np.inf, np.float32),
    "index": np.array(0, np.int64),
    "lowest": np.array(-1, np.int64),
    "step": np.array(1, np.int64),
}

# What computes y from float[B,3,3] a and b and bool[B,3,3] c; how many masks are dropped.
CASES: dict[str, tuple[str, int]] = {
    "scores and zeros": ("s = Add(a, zeros) y = Softmax(s)", 1),
    "scores and zeros, twice": ("t = Add(zero, a) s = Sub(t, zeros) y = Softmax(s)", 2),
    "scores and zeros, then another sum": ("t = Add(a, zero) s = Add(t, b) y = Softmax(s)", 1),
    "zeros that something else reads": ("s = Add(a, zeros) p = Softmax(s) y = Div(p, s)", 0),
    "zeros that only Exp reads": ("s = Add(a, zeros) y = Exp(s)", 0),
    "zeros minus scores": ("s = Sub(zero, a) y = Softmax(s)", 0),
    "nearly zeros": ("s = Add(a, nearly) y = Softmax(s)", 0),
    "a factor of one": ("s = Mul(one, a) y = Exp(s)", 1),
    "a divisor of one": ("s = Div(a, one) y = Exp(s)", 1),
    "one divided": ("s = Div(one, a) y = Exp(s)", 0),
    "a factor that broadcasts": ("s = Mul(a, ones) y = Exp(s)", 0),
    "and true": ("t = And(c, yes) y = Cast<to=1>(t)", 1),
    "true and": ("t = And(yes, c) y = Cast<to=1>(t)", 1),
    "and false": ("t = And(c, no) y = Cast<to=1>(t)", 0),
    "or false": ("t = Or(no, c) y = Cast<to=1>(t)", 1),
    "where true": ("s = Where(yes, a, low) y = Exp(s)", 1),
    "where false": ("s = Where(no, low, a) y = Exp(s)", 1),
    "where true, of a number": ("s = Where(yes, low, a) y = Exp(s)", 0),
    "where nothing is known": ("s = Where(c, a, low) y = Softmax(s)", 0),
    "positions that are not negative": (
        """t = Shape(a) n = Gather<axis=0>(t, index) r = Range(index, n, step)
        k = GreaterOrEqual(r, index) i = Unsqueeze(k, axes) s = Where(i, a, low) y = Exp(s)""",
        1,
    ),
    "positions from -1": (
        """t = Shape(a) n = Gather<axis=0>(t, index) r = Range(lowest, n, step)
        k = GreaterOrEqual(r, index) y = Where(k, a, low)""",
        0,
    ),
    "a graph output": ("y = Mul(a, one)", 0),
    "another domain": ("s = com.microsoft.Mul(a, one) y = Exp(s)", 0),
}


@pytest.mark.parametrize("case", CASES)
def test_what_masks_nothing_is_dropped(case: str) -> None:
    body, dropped = CASES[case]
    model = _model(body)
    before = [node.op_type for node in model.graph]
    drop = DropIdleMasks()
    assert drop(model).modified == bool(dropped)
    assert drop.record == {"idle masks dropped": dropped}
    assert bool(len(before) - len(model.graph)) == bool(dropped)


def _model(body: str) -> ir.Model:
    model = graph(
        body,
        inputs="float[B,3,3] a, float[B,3,3] b, bool[B,3,3] c",
        outputs="float y",
        constants={**CONSTANTS, "axes": np.array([1, 2], np.int64)},
        float64=False,
    )
    InferShapes()(model)
    return model


def test_a_mask_that_a_caller_may_replace_stays() -> None:
    model = graph(
        "s = Add(a, w) y = Softmax(s)",
        inputs="float[B,3] a, float[3] w",
        outputs="float[B,3] y",
        constants={"w": np.zeros(3, np.float32)},
    )
    InferShapes()(model)
    assert not DropIdleMasks()(model).modified


def test_sizes_that_may_differ_keep_the_mask() -> None:
    model = graph(
        "t = Shape(b) m = ConstantOfShape(t) s = Add(a, m) y = Softmax(s)",
        inputs="float[B,S] a, float[B,T] b",
        outputs="float y",
    )
    InferShapes()(model)
    assert not DropIdleMasks()(model).modified


# The operands of ONNX's Attention; whether its mask goes.
ATTENTIONS = {
    "true": ("a, a, a, yes3", 1),
    "not all true": ("a, a, a, mixed", 0),
    "false": ("a, a, a, no3", 0),
    "zeros": ("a, a, a, zeros3", 1),
    "ones": ("a, a, a, ones3", 0),
    "shorter than the keys": ("a, a, a, yes2", 0),
    "keys of an unknown length": ("a, b, b, yes3", 0),
    "keys of earlier tokens": ("a, a, a, yes3, p, p", 0),
    "one that a caller gives": ("a, a, a, c", 0),
}


@pytest.mark.parametrize("case", ATTENTIONS)
def test_the_mask_of_an_attention_goes_where_it_masks_nothing(case: str) -> None:
    operands, dropped = ATTENTIONS[case]
    model = graph(
        f"y = Attention<q_num_heads=2, kv_num_heads=2>({operands})",
        inputs="float[B,3,4] a, float[B,T,4] b, bool[3,3] c, float[B,2,1,2] p",
        outputs="float y",
        constants={
            "yes3": np.ones((1, 3), bool).repeat(3, 0),
            "yes2": np.ones((3, 2), bool),
            "no3": np.zeros((3, 3), bool),
            "mixed": np.eye(3, dtype=bool),
            "zeros3": np.zeros((3, 3), np.float32),
            "ones3": np.ones((3, 3), np.float32),
        },
        opset=23,
        float64=False,
    )
    InferShapes()(model)
    drop = DropIdleMasks()
    assert drop(model).modified == bool(dropped)
    attention = next(node for node in model.graph if node.op_type == "Attention")
    assert len(attention.inputs) == (3 if dropped else operands.count(",") + 1)


def test_many_paths_to_one_softmax_are_followed_once() -> None:
    """Forty sums of a value and itself are 2^40 paths, for who follows each."""
    sums = " ".join(f"d{i + 1} = Add(d{i}, d{i})" for i in range(40))
    model = _model(f"d0 = Add(a, zeros) {sums} y = Softmax(d40)")
    drop = DropIdleMasks()
    drop(model)
    assert drop.record == {"idle masks dropped": 1}
