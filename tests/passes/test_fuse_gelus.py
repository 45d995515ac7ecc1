"""Every spelling of GELU becomes one operator, with the bias before it; near misses stay."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes import pipeline
from graphopt.passes.fuse_gelus import FuseGelus
from graphopt.passes.infer_shapes import InferShapes
from tests.passes.gelus.gelu_spellings import (
    ERF,
    NEAR_MISSES,
    OPERATORS,
    SIGMOID,
    TANH,
    spelled,
)

SPELLINGS = {
    **{f"Erf, {name}": (body, "Gelu") for name, body in ERF.items()},
    **{f"Tanh, {name}": (body, "TanhGelu") for name, body in TANH.items()},
    **{f"Sigmoid, {name}": (body, "QuickGelu") for name, body in SIGMOID.items()},
    **{f"operator, {name}": found for name, found in OPERATORS.items()},
}


def fused(model: ir.Model) -> dict[str, int]:
    InferShapes()(model)
    fuse = FuseGelus()
    result = fuse(model)
    assert result.modified == bool(sum(fuse.record.values()))
    return {name: count for name, count in fuse.record.items() if count}


def operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def assert_equal_in_float64(before: ir.Model, after: ir.Model) -> None:
    x, z = np.random.default_rng(0).normal(size=(2, 2, 3, 4)) * 2
    feeds = {value.name or "": x for value in before.graph.inputs[:1]}
    feeds |= {value.name or "": z for value in before.graph.inputs[1:]}
    expected = evaluate(cast_to_float64(before), feeds)
    found = evaluate(cast_to_float64(after), feeds)
    for name in expected:
        # the constants of the spelling are rounded
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("body", "operator"), SPELLINGS.values(), ids=SPELLINGS)
def test_a_spelling_becomes_an_operator(body: str, operator: str) -> None:
    before = spelled(body)
    after = before.clone()
    assert fused(after) == {operator: 1}
    calls = [node for node in after.graph if node.domain == "graphopt"]
    assert [node.op_type for node in calls] == [operator]
    assert len(list(after.graph)) - len(calls) == ("Identity(x)" in body)
    assert_equal_in_float64(before, after)


@pytest.mark.parametrize("body", NEAR_MISSES.values(), ids=NEAR_MISSES)
def test_a_near_miss_stays(body: str) -> None:
    outputs = "float[1, B, S, 4] y" if "deep" in body else ""
    model = spelled(body, outputs=outputs)
    before = operators(model)
    assert fused(model) == {}
    assert operators(model) == before


_TYPES = ("float", "float16", "bfloat16", "double")


@pytest.mark.parametrize("dtype", _TYPES)
@pytest.mark.parametrize("body", [ERF["PyTorch"], TANH["Hugging Face"], SIGMOID["CLIP"]])
def test_constants_that_are_rounded_once_to_any_type_are_taken(body: str, dtype: str) -> None:
    assert sum(fused(spelled(body, dtype=dtype)).values()) == 1


def test_a_root_of_float32_is_another_function_in_float64() -> None:
    body = ERF["PyTorch"]
    model = spelled(body, dtype="double")
    root = model.graph.initializers["root2"]
    root.const_value = ir.tensor(np.float64(np.float32(2**0.5)), name="root2")
    assert fused(model) == {}


@pytest.mark.parametrize("digits", [2, -2, 9, -9])
def test_a_constant_may_be_off_by_a_few_roundings(digits: int) -> None:
    """The limit is four halves of a digit, 2 to 4 times the distance between neighbours here."""
    model = spelled(ERF["PyTorch"])
    root = np.float32(2**0.5)
    for _ in range(abs(digits)):
        root = np.nextafter(root, np.float32(np.sign(digits) * 9))
    model.graph.initializers["root2"].const_value = ir.tensor(root, name="root2")
    assert bool(fused(model)) == (abs(digits) == 2)


# What reads an intermediate value, and the outputs.
READ = {
    "the gate": ("o = Neg(e)", "o"),
    "the gate is an output": ("", "e"),
    "the product": ("o = Neg(m)", "o"),
    "the product is an output": ("", "m"),
    "the argument": ("o = Neg(d)", "o"),
    "a node of a subgraph": (
        """c = Constant<value = bool {1}>() o = If(c) <
        then_branch = t () => (float[B, S, 4] k) { k = Neg(p) },
        else_branch = f () => (float[B, S, 4] k) { k = Abs(x) }>""",
        "o",
    ),
}


@pytest.mark.parametrize(("reader", "output"), READ.values(), ids=READ)
def test_what_is_read_in_between_keeps_the_spelling(reader: str, output: str) -> None:
    outputs = f"float[B, S, 4] y, float[B, S, 4] {output}"
    model = spelled(f"{ERF['PyTorch']} {reader}", outputs=outputs)
    before = operators(model)
    assert fused(model) == {}
    assert operators(model) == before


def with_bias(add: str, gelu: str = ERF["PyTorch"]) -> str:
    return f"{add} {gelu}"


_INPUT = "float[B, S, 4] h, float[B, S, 4] z"


def inputs_of(model: ir.Model) -> list[list[str | None]]:
    return [
        [value.name for value in node.inputs if value is not None]
        for node in model.graph
        if node.domain == "graphopt"
    ]


@pytest.mark.parametrize("add", ["x = Add(h, bias)", "x = Add(bias, h)"])
@pytest.mark.parametrize(
    "body", [ERF["PyTorch"], TANH["Hugging Face"], SIGMOID["CLIP"], "y = Gelu(x)"]
)
def test_a_bias_is_taken_in(add: str, body: str) -> None:
    before = spelled(with_bias(add, body), inputs=_INPUT)
    after = before.clone()
    assert sum(fused(after).values()) == 1
    assert operators(after) == [next(node.op_type for node in after.graph)]
    assert inputs_of(after) == [["h", "bias"]]
    assert_equal_in_float64(before, after)


# What is before the GELU, the inputs, further outputs: the GELU is fused alone.
KEPT = {
    "a sum of computed values": ("x = Add(h, z)", _INPUT, ""),
    "one number": ("x = Add(h, number)", _INPUT, ""),
    "a scalar": ("x = Add(h, one)", _INPUT, ""),
    "a bias that widens": ("x = Add(h, bias)", "float[B, S, 1] h, float[B, S, 4] z", ""),
    "sizes that are not known": ("x = Add(h, bias)", "float[B, S, D] h, float[B, S, 4] z", ""),
    "another reader": ("x = Add(h, bias) o = Neg(x)", _INPUT, "float[B, S, 4] o"),
    "an output": ("x = Add(h, bias)", _INPUT, "float[B, S, 4] x"),
    "a bias that is an input": ("x = Add(h, b)", f"{_INPUT}, float[4] b", ""),
    "a subtraction": ("x = Sub(h, bias)", _INPUT, ""),
}


@pytest.mark.parametrize(("add", "inputs", "output"), KEPT.values(), ids=KEPT)
def test_what_is_no_bias_stays(add: str, inputs: str, output: str) -> None:
    outputs = ", ".join(filter(None, ["float[B, S, 4] y", output]))
    model = spelled(with_bias(add), inputs=inputs, outputs=outputs)
    assert fused(model) == {"Gelu": 1}
    assert inputs_of(model) == [["x"]]


def test_a_bias_that_is_overridable_stays() -> None:
    model = spelled(with_bias("x = Add(h, bias)"), inputs=_INPUT)
    model.graph.inputs.append(model.graph.initializers["bias"])
    assert fused(model) == {"Gelu": 1}
    assert inputs_of(model) == [["x"]]


_WIDE = f"x = Cast<to = 1>(h) {ERF['PyTorch'].replace('y =', 'w =')} y = Cast<to = 10>(w)"
_BIASED = (
    f"k = Cast<to = 1>(h) b = Cast<to = 1>(bias16) x = Add(k, b) "
    f"{ERF['PyTorch'].replace('y =', 'w =')} y = Cast<to = 10>(w)"
)
_BEFORE = f"k = Add(h, bias16) {_WIDE.replace('(h)', '(k)')}"


@pytest.mark.parametrize(
    ("body", "names"),
    [(_WIDE, ["h"]), (_BIASED, ["h", "bias16"]), (_BEFORE, ["h", "bias16"])],
    ids=["around GELU", "around bias and GELU", "behind the bias"],
)
def test_casts_from_and_to_float16_are_taken_in(body: str, names: list[str]) -> None:
    model = spelled(body, inputs="float16[B, S, 4] h", outputs="float16[B, S, 4] y")
    assert fused(model) == {"Gelu": 1}
    assert operators(model) == ["Gelu"]
    assert inputs_of(model) == [names]


@pytest.mark.parametrize(
    ("body", "output"),
    [
        (_WIDE.replace("<to = 10>", "<to = 16>"), "bfloat16[B, S, 4] y"),
        (_WIDE + " o = Neg(w)", "float16[B, S, 4] y, float[B, S, 4] o"),
    ],
    ids=["another type", "read in float32"],
)
def test_casts_that_are_no_pair_stay(body: str, output: str) -> None:
    model = spelled(body, inputs="float16[B, S, 4] h", outputs=output)
    assert fused(model) == {"Gelu": 1}
    assert operators(model)[:3] == ["Cast", "Gelu", "Cast"]


def test_one_form_is_fused_that_of_most() -> None:
    body = """x = Add(h, bias) a = Gelu(x) k = Add(a, bias) b = Gelu(k) y = Gelu(b)"""
    model = spelled(body, inputs=_INPUT)
    assert fused(model) == {"Gelu": 2}
    assert inputs_of(model) == [["h", "bias"], ["a", "bias"]]
    assert operators(model) == ["Gelu"] * 3


def test_each_operator_has_a_form_of_its_own() -> None:
    body = 'x = Add(h, bias) a = Gelu(x) y = Gelu<approximate = "tanh">(a)'
    model = spelled(body, inputs=_INPUT)
    assert fused(model) == {"Gelu": 1, "TanhGelu": 1}
    assert inputs_of(model) == [["h", "bias"], ["a"]]
    assert {key[1] for key in model.functions} == {"Gelu", "TanhGelu"}


def test_the_bias_of_a_gelu_may_be_what_another_gave() -> None:
    body = "b = com.microsoft.FastGelu(v) y = com.microsoft.BiasGelu(x, b)"
    model = spelled(body, inputs="float[B, S, 4] x, float[4] v")
    assert fused(model) == {"TanhGelu": 1, "Gelu": 1}
    bias, gelu = model.graph
    assert gelu.inputs[1] is bias.outputs[0]


def test_a_gelu_in_a_subgraph_is_fused_there() -> None:
    body = f"""c = Constant<value = bool {{1}}>() y = If(c) <
        then_branch = t () => (float[B, S, 4] k) {{ {ERF["PyTorch"].replace("y =", "k =")} }},
        else_branch = f () => (float[B, S, 4] k) {{ k = Abs(x) }}>"""
    model = spelled(body)
    for graph in model.graph.subgraphs():
        for node in graph:
            for value in node.outputs:
                value.type = ir.TensorType(ir.DataType.FLOAT)
    assert fused(model) == {"Gelu": 1}
    assert [node.op_type for node in model.graph] == ["Constant", "If"]


@pytest.mark.parametrize("opset", [9, 11])
def test_below_opset_12_nothing_is_fused(opset: int) -> None:
    assert fused(spelled(ERF["PyTorch"], opset=opset)) == {}


def test_a_model_with_foreign_operators_of_the_domain_is_left_alone() -> None:
    model = spelled(ERF["PyTorch"] + " o = graphopt.Other(y)", outputs="float[B, S, 4] o")
    assert fused(model) == {}


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 1),
        ({"fuse": False}, 0),
        ({"skip": ("fuse-gelus",)}, 0),
        ({"provider": "cuda"}, 0),
        ({"ops": "standard"}, 0),
        ({"ops": "ort"}, 0),
    ],
    ids=str,
)
def test_the_pipeline_fuses_for_the_kernels_of_the_cpu(
    options: dict[str, object], count: int
) -> None:
    model = spelled(with_bias("x = Add(h, bias)"), inputs=_INPUT)
    pipeline.run(model, pipeline.Options(**options))
    assert sum(node.domain == "graphopt" for node in model.graph) == count


@pytest.mark.parametrize("dtype", _TYPES)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", ["Erf, PyTorch", "Tanh, Hugging Face", "Sigmoid, CLIP"])
def test_what_was_optimized_before_is_read_back(name: str, bias: bool, dtype: str) -> None:
    body, operator = SPELLINGS[name]
    given = f"{dtype}[B, S, 4] h, {dtype}[B, S, 4] z"
    body = with_bias("x = Add(h, bias)" if bias else "x = Neg(h)", body)
    once = spelled(body, dtype=dtype, inputs=given)
    pipeline.run(once, pipeline.Options())
    again = ir.from_proto(ir.to_proto(once))
    _, records = pipeline.run(again, pipeline.Options())
    counts = {key: count for record in records for key, count in record.detail.items()}
    assert (counts["operators read back"], counts[operator]) == (1, 1)
    assert operators(again) == operators(once)
    assert inputs_of(again) == inputs_of(once)
    other = ir.from_proto(ir.to_proto(once))
    pipeline.run(other, pipeline.Options(ops="standard"))
    assert all(node.domain == "" for node in other.graph)
    assert not other.functions
    assert "graphopt" not in other.graph.opset_imports
    casts = [node.op_type for node in other.graph if node.op_type.startswith("Cast")]
    assert set(casts) == (set() if dtype in ("float", "double") else {"Cast"})
