"""Casts of bodies are named or removed where they were marked, and nowhere else."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from graphopt.passes.infer_shapes import InferShapes
from graphopt.passes.operators.custom_ops import ANY_TYPE
from graphopt.passes.settle_types import SettleTypes


def settled(body: str, dtype: str = "float", outputs: str = "") -> list[str]:
    """The nodes as text; those whose result has a name with an m were marked."""
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17]>
        g ({dtype}[N, 2] x) => ({outputs or f"{dtype}[N, 2] y"}) {{ {body} }}"""
    )
    for node in model.graph:
        if "m" in (node.outputs[0].name or ""):
            node.meta[ANY_TYPE] = True
    InferShapes()(model)
    SettleTypes()(model)
    assert all(ANY_TYPE not in node.meta for node in model.graph)
    return [
        f"{node.outputs[0].name} = {node.op_type}({node.inputs[0].name}"
        + (", x)" if node.op_type == "CastLike" else ")")
        for node in model.graph
    ]


CASES = {
    "one that changes no type": (
        "m = Cast<to = 1>(x) a = Neg(m) my = CastLike(a, x) y = Abs(my)",
        "float",
        ["a = Neg(x)", "y = Abs(a)"],
    ),
    "one that changes the type": (
        "m = Cast<to = 1>(x) a = Neg(m) my = CastLike(a, x) y = Abs(my)",
        "float16",
        ["m = Cast(x)", "a = Neg(m)", "my = Cast(a)", "y = Abs(my)"],
    ),
    "of the model": ("a = Neg(x) k = Cast<to = 1>(a) y = CastLike(k, x)", "float", None),
}


@pytest.mark.parametrize(("body", "dtype", "expected"), CASES.values(), ids=CASES)
def test_a_marked_cast(body: str, dtype: str, expected: list[str] | None) -> None:
    as_it_was = ["a = Neg(x)", "k = Cast(a)", "y = CastLike(k, x)"]
    assert settled(body, dtype) == (expected or as_it_was)


def test_a_result_keeps_its_name() -> None:
    (neg,) = settled("a = Neg(x) m = CastLike(a, x)", outputs="float[N, 2] m")
    assert neg == "m = Neg(x)"


def test_an_output_beside_an_output_stays() -> None:
    body, outputs = "a = Neg(x) m = CastLike(a, x)", "float[N, 2] a, float[N, 2] m"
    assert settled(body, outputs=outputs) == ["a = Neg(x)", "m = Cast(a)"]
    assert settled("m = CastLike(x, x)", outputs="float[N, 2] m") == ["m = Cast(x)"]
