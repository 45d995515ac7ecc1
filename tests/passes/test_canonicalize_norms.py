"""Every LayerNorm becomes one canonical node, and the graph computes what it did."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx_shape_inference import infer_symbolic_shapes

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes import pipeline
from graphopt.passes.canonicalize_norms import CanonicalizeNorms
from graphopt.passes.infer_shapes import InferShapes
from graphopt.passes.norms.original_spelling import NAME, SPELLING
from graphopt.passes.norms.recognition import unsupported_reason
from tests.onnx_runtime import OptimizedSession
from tests.passes.norms.norm_fragments import CORE, EPSILON, arrays, spelled
from tests.passes.norms.norm_near_misses import NEAR_MISSES
from tests.passes.norms.norm_spellings import SPELLINGS


def _canonicalize(model: ir.Model) -> dict[str, int]:
    canonicalize = CanonicalizeNorms()
    canonicalize(model)
    return canonicalize.record


def _norms(model: ir.Model) -> list[ir.Node]:
    return [node for node in model.graph.all_nodes() if node.op_type == "LayerNormalization"]


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_decomposed_norm_becomes_one_node(name: str) -> None:
    body, _, has_beta = SPELLINGS[name]
    model = cast_to_float64(spelled(body))
    before = evaluate(model, arrays())["y"]
    assert _canonicalize(model) == {"LayerNormalization": 0, "decomposed": 1}
    (node,) = list(model.graph)
    assert [value.name for value in node.outputs] == ["y"]
    assert [list(value.shape) for value in node.inputs[1:]] == [[8]] * (2 if has_beta else 1)
    assert (node.attributes["axis"].value, node.attributes["stash_type"].value) == (2, 1)
    assert node.attributes["epsilon"].value == pytest.approx(EPSILON, rel=1e-6)
    assert (node.meta[SPELLING], node.meta[NAME]) == ("decomposed", "y")
    np.testing.assert_allclose(evaluate(model, arrays())["y"], before, rtol=1e-6, atol=1e-6)


_MIXED = """<ir_version: 7, opset_import: ["" : 12]> g (float16[B, 4] a) => (float[B, 4] y)
    <float[4] g = {1, 2, 3, 4}, float[4] c = {1, 0, 1, 0}, float16[4] h = {1, 2, 3, 4},
     float16[4,4] w = {1, 2, 3, 4, 5, 6, 7, 8, 2, 1, 2, 1, 0, 1, 0, 1}> {
        x = Neg(a) y = LayerNormalization<epsilon = 0.001>(READS) }"""


@pytest.mark.parametrize("ops", ["standard", "ort", "custom"])
@pytest.mark.parametrize("reads", ["x, g", "x, g, c"])
def test_values_of_float16_are_widened_to_a_gamma_of_float32(ops: str, reads: str) -> None:
    """As ONNX Runtime types such a node below opset 17."""
    model = ir.from_onnx_text(_MIXED.replace("READS", reads).replace("Neg(a)", "MatMul(a, w)"))
    draw = np.random.default_rng(2)
    weight = draw.normal(0.5, 1, (4, 4)).astype(np.float16)
    model.graph.initializers["w"].const_value = ir.tensor(weight, name="w")
    feeds = {"a": draw.normal(0.5, 1, (3, 4)).astype(np.float16)}
    expected = OptimizedSession(model).run(feeds)["y"]
    summary, _ = pipeline.run(model, pipeline.Options(ops=ops))
    assert summary.converted == 1
    result = OptimizedSession(model).run(feeds)["y"]
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=5e-3, atol=5e-3)


def test_a_kept_norm_of_mixed_types_is_written_as_it_was() -> None:
    model = ir.from_onnx_text(_MIXED.replace("READS", "x, g, c"))
    summary, _ = pipeline.run(model, pipeline.Options())
    assert summary.converted == 0
    assert [node.op_type for node in model.graph] == ["Neg", "LayerNormalization"]
    assert [value.name for value in list(model.graph)[1].inputs] == ["x", "g", "c"]


@pytest.mark.parametrize("reads", ["x, h, c", "wide, h", "x, g, h"])
def test_a_norm_of_other_mixed_types_is_named(reads: str) -> None:
    model = ir.from_onnx_text(
        _MIXED.replace("READS", reads).replace("x =", "wide = Cast<to = 1>(a) x =")
    )
    InferShapes()(model)
    (node,) = [node for node in model.graph if node.op_type == "LayerNormalization"]
    assert "type" in (unsupported_reason(node) or "")


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_a_near_miss_is_left_alone(name: str) -> None:
    model = spelled(NEAR_MISSES[name])
    before = [node.op_type for node in model.graph]
    assert _canonicalize(model) == {"LayerNormalization": 0, "decomposed": 0}
    assert [node.op_type for node in model.graph] == before


@pytest.mark.parametrize(
    ("written", "epsilon", "inputs"),
    [
        ("y = LayerNormalization(x, gamma, beta)", 1e-5, 3),
        ("y = LayerNormalization(x, gamma)", 1e-5, 2),
        ('y = LayerNormalization(x, gamma, "")', 1e-5, 2),
        ("y = LayerNormalization<axis = 2, epsilon = 0.5, stash_type = 1>(x, gamma)", 0.5, 2),
        ("y, mean, inverse = LayerNormalization<axis = -1>(x, gamma, beta)", 1e-5, 3),
        ("y = LayerNormalization(x, one, beta)", 1e-5, 3),
        ("y = LayerNormalization(x, gamma3, beta3)", 1e-5, 3),
    ],
)
def test_layer_normalization_gets_explicit_attributes(
    written: str, epsilon: float, inputs: int
) -> None:
    model = cast_to_float64(spelled(written))
    before = evaluate(model, arrays())["y"]
    assert _canonicalize(model) == {"LayerNormalization": 1, "decomposed": 0}
    (node,) = list(model.graph)
    values = {name: attribute.value for name, attribute in node.attributes.items()}
    assert values == {"axis": 2, "epsilon": pytest.approx(epsilon), "stash_type": 1}
    assert (len(node.inputs), len(node.outputs)) == (inputs, 1)
    assert all(list(value.shape) == [8] for value in node.inputs[1:])
    assert node.meta[SPELLING] == "LayerNormalization"
    np.testing.assert_allclose(evaluate(model, arrays())["y"], before, rtol=1e-12)


@pytest.mark.parametrize("read", ["mean", "inverse"])
def test_a_norm_whose_statistics_are_read_is_left_as_it_is(read: str) -> None:
    model = spelled(f"n, mean, inverse = LayerNormalization(x, gamma, beta)\n y = Add(n, {read})")
    assert _canonicalize(model)["LayerNormalization"] == 0
    (node,) = _norms(model)
    assert (dict(node.attributes), len(node.outputs)) == ({}, 3)
    assert node.meta[SPELLING] == "LayerNormalization"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("y = LayerNormalization<axis = 1>(x, gamma)", "normalizes 2 axes, not the last alone"),
        ("y = LayerNormalization(x, other)", "other differs from token to token"),
        ("y = LayerNormalization(x, gamma, other)", "other differs from token to token"),
    ],
)
def test_an_unsupported_norm_is_left_alone_with_a_reason(written: str, reason: str) -> None:
    model = spelled(written)
    assert _canonicalize(model)["LayerNormalization"] == 0
    (node,) = _norms(model)
    assert unsupported_reason(node) == reason
    assert SPELLING not in node.meta


def test_the_result_has_the_type_and_shape_of_x() -> None:
    model = spelled("n = LayerNormalization(x, gamma)\n y = Relu(n)", opset=14)
    InferShapes()(model)
    model.graph.node(0).outputs[0].shape = None
    model.graph.node(0).outputs[0].type = None
    assert _canonicalize(model)["LayerNormalization"] == 1
    result = _norms(model)[0].outputs[0]
    assert (str(result.shape), result.dtype) == ("[B,S,8]", ir.DataType.FLOAT)


def test_computed_gamma_stays_an_input() -> None:
    model = spelled("g = Exp(gamma)\n y = LayerNormalization(x, g)")
    assert _canonicalize(model)["LayerNormalization"] == 1
    assert _norms(model)[0].inputs[1].name == "g"


def test_it_runs_twice_without_change() -> None:
    model = spelled(SPELLINGS["folded"][0])
    assert CanonicalizeNorms()(model).modified
    assert not CanonicalizeNorms()(model).modified


def test_intermediate_values_that_are_read_elsewhere_survive() -> None:
    body = SPELLINGS["attribute axes, Pow, Div"][0].replace("y =", "z =")
    model = cast_to_float64(spelled(body + "w = Add(z, mean)\n y = Mul(w, deviation)"))
    before = evaluate(model, arrays())["y"]
    assert _canonicalize(model)["decomposed"] == 1
    assert [node.op_type for node in model.graph] == [
        *("ReduceMean", "Sub", "Pow", "ReduceMean", "Add", "Sqrt"),
        *("LayerNormalization", "Add", "Mul"),
    ]
    np.testing.assert_allclose(evaluate(model, arrays())["y"], before, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "producer", "left"),
    [
        ("n", "Div", ["LayerNormalization", "Mul", "Add"]),
        ("scaled", "Mul", ["LayerNormalization", "Add"]),
    ],
)
def test_an_intermediate_graph_output_ends_the_norm(
    name: str, producer: str, left: list[str]
) -> None:
    model = spelled(SPELLINGS["attribute axes, Pow, Div"][0])
    value = next(node for node in model.graph if node.op_type == producer).outputs[0]
    model.graph.outputs.append(value)
    model = cast_to_float64(model)
    before = evaluate(model, arrays())
    assert _canonicalize(model)["decomposed"] == 1
    assert [node.op_type for node in model.graph] == left
    assert [value.name for value in model.graph.outputs] == ["y", name]
    after = evaluate(model, arrays())
    for name in before:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-6, atol=1e-6)


def test_affine_parts_that_share_a_normalization_become_a_norm_each() -> None:
    body = (
        SPELLINGS["no affine"][0].replace("y =", "n =")
        + """
        first = Mul(n, gamma)
        second = Mul(n, beta)
        y = Sub(first, second)"""
    )
    model = cast_to_float64(spelled(body))
    before = evaluate(model, arrays())["y"]
    assert _canonicalize(model)["decomposed"] == 2
    assert [node.op_type for node in model.graph] == ["LayerNormalization"] * 2 + ["Sub"]
    np.testing.assert_allclose(evaluate(model, arrays())["y"], before, rtol=1e-6, atol=1e-6)


def _canonical_vector(body: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], ir.Model]:
    """Results before and after of a norm of one row, x [8], and the canonical model."""
    model = cast_to_float64(spelled(CORE + body))
    for value in model.graph.inputs[:1]:
        value.shape = ir.Shape([8])
    for value in [value for node in model.graph for value in node.outputs]:
        value.shape = None
    infer_symbolic_shapes(model)
    inputs = {**arrays(), "x": arrays()["x"][0, 0]}
    before = evaluate(model, inputs)
    _canonicalize(model)
    return before, evaluate(model, inputs), model


@pytest.mark.parametrize(
    ("body", "norms"),
    [
        # gamma [1, 8] gives the vector a second axis
        ("g2 = Flatten<axis = 0>(gamma)\n s = Mul(n, g2)\n y = Add(s, beta)", 1),
        ("s = Mul(n, gamma)\n b2 = Flatten<axis = 0>(beta)\n y = Add(s, b2)", 1),
        # one result is the gamma of the next
        ("first = Mul(n, gamma)\n second = Mul(n, first)\n y = Sub(first, second)", 2),
    ],
)
def test_a_norm_of_a_vector(body: str, norms: int) -> None:
    before, after, model = _canonical_vector(body)
    assert len(_norms(model)) == norms
    assert after["y"].shape == before["y"].shape
    np.testing.assert_allclose(after["y"], before["y"], rtol=1e-6, atol=1e-6)


def test_norms_in_nested_graphs_become_canonical() -> None:
    body = SPELLINGS["attribute axes, Pow, Div"][0]
    model = spelled(
        f"""yes = Greater(input_eps, one)
        y = If(yes) <
          then_branch = then_graph () => (float[B, S, 8] y_then) {{
            {body.replace("y =", "y_then =")}
          }},
          else_branch = else_graph () => (float[B, S, 8] y_else) {{
            y_else = LayerNormalization(x, gamma3)
          }}
        >"""
    )
    for flag in (2.0, 0.5):
        inputs = {**arrays(), "input_eps": np.array(flag)}
        wide = cast_to_float64(model)
        before = evaluate(wide, inputs)["y"]
        assert _canonicalize(wide) == {"LayerNormalization": 1, "decomposed": 1}
        np.testing.assert_allclose(evaluate(wide, inputs)["y"], before, rtol=1e-6, atol=1e-6)
