"""What is proved of the entries of a value: a rule that claims too much drops a mask that acts."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.passes.graph.intervals import Interval, Intervals
from tests.passes.graphs import graph

INF = math.inf
CONSTANTS = {
    "one": np.array([1], np.int64),
    "two": np.array(2, np.int64),
    "zero": np.array(0, np.int64),
    "low": np.array(-1e4, np.float32),
    "lowest": np.array(-3.4028234663852886e38, np.float32),
    "infinite": np.array([-np.inf, 0], np.float32),
    "nan": np.array([np.nan, 0], np.float32),
    "half": np.array(0.5, np.float32),
    "third": np.array([1, 2, 3], np.float32),
    "great": np.array(2**53, np.int64),
    "greater": np.array(2**53 + 1, np.int64),
    "yes": np.array([True]),
    "mixed": np.array([True, False]),
}

KNOWN: dict[str, tuple[str, tuple[float, float] | None]] = {
    "a constant": ("y = Identity(third)", (1, 3)),
    "a constant with -Inf": ("y = Identity(infinite)", (-INF, 0)),
    "a constant with NaN": ("y = Identity(nan)", None),
    "a float input": ("y = Identity(a)", None),
    "an integer input": ("y = Identity(m)", (-(2**63), 2**63 - 1)),
    "a bool": ("y = Cast<to=9>(m)", (0, 1)),
    "a cast of a number that is not 0": ("y = Cast<to=9>(third)", (1, 1)),
    "a bool as float": ("t = Cast<to=9>(m) y = Cast<to=1>(t)", (0, 1)),
    "integers as float": ("y = Cast<to=1>(m)", (-(2.0**63), 2.0**63)),
    "a range": ("t = Squeeze(m) y = Range(zero, t, two)", (0, 2.0**49)),
    "sizes": ("y = Shape(m)", (0, 2.0**48)),
    "moved": ("s = Shape(a) t = Expand(third, s) y = Unsqueeze(t, one)", (1, 3)),
    "joined": ("y = Concat<axis=0>(third, infinite)", (-INF, 3)),
    "joined with something unknown": ("t = Shape(a) y = Concat<axis=0>(third, a)", None),
    "filled with zeros": ("t = Shape(a) y = ConstantOfShape(t)", (0, 0)),
    "filled with ones": ("t = Shape(a) y = ConstantOfShape<value = float[1] {1}>(t)", (1, 1)),
    "a true condition": ("y = Where(yes, third, a)", (1, 3)),
    "an open condition": ("y = Where(mixed, half, low)", (-1e4, 0.5)),
    "an open condition, one branch unknown": ("y = Where(mixed, half, a)", None),
    "a sum": ("y = Add(third, low)", (-9999, -9997)),
    "a sum beyond the type": ("y = Add(lowest, lowest)", (-INF, -INF)),
    "a difference of infinities": ("y = Sub(infinite, infinite)", None),
    "a product": ("y = Mul(third, low)", (-3e4, -1e4)),
    "a sum of opposite infinities": ("t = Neg(infinite) y = Sub(t, infinite)", None),
    "a sum with an infinity": ("y = Add(infinite, half)", (-INF, 0.5)),
    "a product of infinities and 0": ("y = Mul(infinite, infinite)", None),
    "a quotient": ("y = Div(third, half)", (2, 6)),
    "a quotient by what may be 0": ("y = Div(third, infinite)", None),
    "a sum of integers beyond the type": ("y = Add(m, m)", (-(2**63), 2**63 - 1)),
    "at least": ("t = Shape(a) y = GreaterOrEqual(t, zero)", (1, 1)),
    "more than": ("t = Shape(a) y = Greater(t, zero)", (0, 1)),
    "less": ("y = Less(low, half)", (1, 1)),
    "at most": ("y = LessOrEqual(third, low)", (0, 0)),
    "equal": ("y = Equal(zero, zero)", (1, 1)),
    "never equal": ("y = Equal(third, low)", (0, 0)),
    "perhaps equal": ("y = Equal(third, third)", (0, 1)),
    "less, and as floats equal": ("y = Less(great, greater)", (1, 1)),
    "not equal but as floats": ("y = Equal(greater, great)", (0, 0)),
    "a quotient that no float holds": ("y = Div(greater, one)", (2**53 + 1, 2**53 + 1)),
    "a quotient with a remainder": ("y = Div(greater, two)", (-(2**63), 2**63 - 1)),
    "and": ("t = Cast<to=9>(m) n = Not(yes) y = And(t, n)", (0, 0)),
    "or": ("t = Cast<to=9>(m) y = Or(t, yes)", (1, 1)),
    "not": ("y = Not(yes)", (0, 0)),
    "no NaN": ("y = IsNaN(third)", (0, 0)),
    "perhaps NaN": ("y = IsNaN(a)", (0, 1)),
    "a product of matrices": ("y = MatMul(a, a)", None),
    "exponentials": ("y = Exp(third)", None),
}


def found(body: str, intervals: Intervals) -> Interval | None:
    return intervals.of(_model(body).graph.outputs[0])


def _model(body: str) -> ir.Model:
    model = graph(
        body,
        inputs="float[K,3] a, int64[K] m",
        outputs="float y",
        constants=CONSTANTS,
        float64=False,
    )
    for node in model.graph:  # the types that inference would give
        node.outputs[0].dtype = _dtype(node)
    return model


def _dtype(node: ir.Node) -> ir.DataType | None:
    if node.op_type == "Cast":
        return ir.DataType(node.attributes.get_int("to", 0))
    if node.op_type in ("Shape", "Range"):
        return ir.DataType.INT64
    if node.op_type in ("And", "Or", "Not", "IsNaN", "Equal", "Less", "Greater") or (
        node.op_type.endswith("OrEqual")
    ):
        return ir.DataType.BOOL
    if node.op_type in ("Where", "ConstantOfShape") or node.inputs[0] is None:
        return ir.DataType.FLOAT
    return node.inputs[0].dtype


@pytest.mark.parametrize("case", KNOWN)
def test_the_interval_of(case: str) -> None:
    body, bounds = KNOWN[case]
    interval = found(body, Intervals())
    assert (None if interval is None else (interval.low, interval.high)) == bounds


@pytest.mark.parametrize("case", KNOWN)
def test_the_entries_are_within(case: str) -> None:
    body, bounds = KNOWN[case]
    if bounds is None:
        return
    for seed in range(5):
        draw = np.random.default_rng(seed)
        given = {
            "a": draw.normal(0, 3, (1, 3)).astype(np.float32),
            "m": draw.integers(-3, 9, (1,)),
        }
        entries = np.asarray(evaluate(_model(body), given)["y"], dtype=np.float64)
        assert (entries >= bounds[0]).all()
        assert (entries <= bounds[1]).all()


@pytest.mark.parametrize("operator", ["MatMul(a, a)", 'Einsum<equation="ij,kj->ik">(a, a)'])
def test_products_are_as_large_as_they_are_taken_to_be(operator: str) -> None:
    interval = found(f"y = {operator}", Intervals(lambda dtype: 100.0))
    assert interval == Interval(-100, 100)


def test_a_longer_chain_than_any_mask_has_proves_nothing() -> None:
    body = "t0 = Identity(third)" + " ".join(f"t{i + 1} = Identity(t{i})" for i in range(3000))
    assert found(f"{body} y = Identity(t3000)", Intervals()) is None
