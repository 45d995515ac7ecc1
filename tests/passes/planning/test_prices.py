"""What a norm gains on few rows, where a node costs its launch."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from graphopt.passes import pipeline
from graphopt.passes.report import NormDecision
from tests.passes.graphs import graph

SHAPED = "n = LayerNormalization(x, gamma, beta)"
SPELLED = """mean = ReduceMean<axes = [-1]>(x) d = Sub(x, mean) q = Mul(d, d)
    variance = ReduceMean<axes = [-1]>(q) v = Add(variance, eps) root = Sqrt(v)
    z = Div(d, root) scaled = Mul(z, gamma) n = Add(scaled, beta)"""
READ = "y = MatMul(n, v5)"
READ_WITH_BIAS = "p = MatMul(n, v5) y = Add(p, b5)"


def decision(rows: int, norm: str, reader: str) -> NormDecision:
    model: ir.Model = graph(
        f"x = MatMul(a, w) {norm} {reader}",
        "w[4,64] gamma[64] beta[64] v5[64,5] b5[5] eps[1]",
        inputs=f"float[{rows},4] a",
        outputs=f"float[{rows},64] y"
        if reader.startswith("y = Identity")
        else f"float[{rows},5] y",
    )
    (found,) = pipeline.run(model, pipeline.Options(ops="standard"))[0].norms
    return found


@pytest.mark.launches
@pytest.mark.parametrize(
    ("rows", "reader", "converted"),
    [
        (1, READ, False),
        (1, "y = Identity(n)", False),
        (1, READ_WITH_BIAS, True),
        (100, READ, True),
        (100, "y = Identity(n)", True),
    ],
)
def test_a_norm_of_few_rows_stays_where_its_beta_would_become_an_add(
    rows: int, reader: str, converted: bool
) -> None:
    norm = decision(rows, SHAPED, reader)
    assert norm.converted == converted
    assert norm.reason == (
        "" if converted else "converting it would not pay: its beta would cost an Add"
    )


@pytest.mark.launches
@pytest.mark.parametrize("reader", [READ, "y = Identity(n)"])
def test_a_norm_of_many_nodes_becomes_fewer_on_any_number_of_rows(reader: str) -> None:
    assert decision(1, SPELLED, reader).converted


def test_without_the_price_of_launches_it_converts() -> None:
    assert decision(1, SHAPED, READ).converted
