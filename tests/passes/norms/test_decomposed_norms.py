"""Every spelling of LayerNorm is read with its parts, and nothing that only looks like one."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx_shape_inference import infer_symbolic_shapes

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes.canonicalize_norms import CanonicalizeNorms
from graphopt.passes.norms.decomposed_norms import spelled_norms
from graphopt.passes.norms.normalization import normalization
from tests.passes.norms.norm_fragments import BETA, EPSILON, GAMMA, ONNX_BODY, arrays, spelled
from tests.passes.norms.norm_near_misses import NEAR_MISSES
from tests.passes.norms.norm_spellings import SPELLINGS


def _found(body: str, opset: int = 17):
    model = spelled(body, opset)
    return [norm for node in model.graph for norm in spelled_norms(node)]


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_spelling_is_one_norm_with_all_its_parts(name: str) -> None:
    body, has_gamma, has_beta = SPELLINGS[name]
    (norm,) = _found(body)
    assert (norm.x.name, norm.output.name, norm.size) == ("x", "y", 8)
    assert norm.epsilon == pytest.approx(EPSILON, rel=1e-6)
    assert (norm.scale is not None, norm.bias is not None) == (has_gamma, has_beta)
    computed = [line for line in body.splitlines() if "=" in line.split("(")[0]]
    assert len(norm.nodes) == len(computed)  # every node of the graph belongs to the norm


@pytest.mark.parametrize("name", SPELLINGS)
def test_the_table_says_what_the_graphs_compute(name: str) -> None:
    body, has_gamma, has_beta = SPELLINGS[name]
    inputs = arrays()
    x = inputs["x"]
    deviation = x - x.mean(-1, keepdims=True)
    truth = deviation / np.sqrt((deviation**2).mean(-1, keepdims=True) + EPSILON)
    truth = truth * (GAMMA if has_gamma else 1) + (BETA if has_beta else 0)
    result = evaluate(cast_to_float64(spelled(body)), inputs)["y"]
    np.testing.assert_allclose(result, truth, rtol=1e-6)  # the graph's epsilon is a float32


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_a_near_miss_is_no_norm(name: str) -> None:
    assert _found(NEAR_MISSES[name]) == []


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_a_near_miss_computes_something_else(name: str) -> None:
    inputs = arrays()
    truth = evaluate(cast_to_float64(spelled(SPELLINGS["attribute axes, Pow, Div"][0])), inputs)
    result = evaluate(cast_to_float64(spelled(NEAR_MISSES[name])), inputs)
    assert not np.allclose(result["y"], truth["y"], rtol=1e-4)


@pytest.mark.parametrize("opset", [11, 13, 17])
def test_axes_are_an_attribute_below_opset_18(opset: int) -> None:
    assert len(_found(SPELLINGS["attribute axes, Pow, Div"][0], opset)) == 1


def test_axes_are_an_input_from_opset_18() -> None:
    body = SPELLINGS["attribute axes, Pow, Div"][0]
    body = body.replace("<axes = [-1]>(x)", "(x, last)")
    body = body.replace("<axes = [-1], keepdims = 1>(square)", "<keepdims = 1>(square, last)")
    assert len(_found(body, 18)) == 1


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("both over another axis", (True, (1,))),
        ("both over two axes", (True, (1, 2))),
        ("variance not centred", None),
    ],
)
def test_a_norm_over_other_axes_is_read_but_not_taken(
    name: str, kind: tuple[bool, tuple[int, ...]] | None
) -> None:
    model = spelled(NEAR_MISSES[name])
    found = [norm for node in model.graph if (norm := normalization(node)) is not None]
    assert [(norm.centred, norm.axes) for norm in found] == ([] if kind is None else [kind])


def test_an_absent_epsilon_is_zero() -> None:
    body = SPELLINGS["attribute axes, Pow, Div"][0]
    body = body.replace("shifted = Add(variance, eps)", "").replace(
        "Sqrt(shifted)", "Sqrt(variance)"
    )
    (norm,) = _found(body)
    assert norm.epsilon == 0.0


def test_sizes_may_come_from_elsewhere() -> None:
    body = SPELLINGS["keepdims = 0, Reshape and Expand by computed sizes"][0]
    body = body.replace("sizes = Shape(flat)", "sizes = Shape<end = 2>(other)")
    (norm,) = _found(body)
    assert "Shape" not in {node.op_type for node in norm.nodes}


def test_an_rms_norm_is_read_as_not_centred() -> None:
    body = SPELLINGS["attribute axes, Pow, Div"][0]
    model = spelled(body.replace("Pow(d,", "Pow(x,").replace("Div(d,", "Div(x,"))
    (norm,) = [norm for node in model.graph if (norm := normalization(node)) is not None]
    assert (norm.centred, norm.axes, norm.root.name) == (False, (2,), "x")


@pytest.mark.parametrize(
    "casts",
    ["h = Cast<to = 10>(x)\n w = Cast<to = 1>(h)", "h = Cast<to = 7>(x)\n w = Cast<to = 1>(h)"],
)
def test_a_cast_that_rounds_stays_before_the_norm(casts: str) -> None:
    body = SPELLINGS["gamma alone"][0].replace("(x", "(w")
    (norm,) = _found(f"{casts}\n{body}")
    assert norm.x.name == "w"


def test_a_mean_without_its_axis_is_another_mean() -> None:
    body = SPELLINGS["attribute axes, Pow, Div"][0]
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17]> g (float[8, 8, 8] x) => (float[8, 8, 8] y)
        <float[8] gamma = {{1, 2, 3, 4, 5, 6, 7, 8}}, float[8] beta = {{1, 2, 3, 4, 5, 6, 7, 8}},
         float eps = {{0.001}}, float two = {{2}}>
        {{ {body.replace("axes = [-1]>(x)", "axes = [-1], keepdims = 0>(x)")} }}"""
    )
    infer_symbolic_shapes(model)
    assert [norm for node in model.graph for norm in spelled_norms(node)] == []


def test_a_mean_that_is_reshaped_to_other_axes_is_another_mean() -> None:
    body = SPELLINGS["one pass, axes dropped and brought back by Reshape (Flax)"][0]
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17]> g (float[8, 8, 8] x) => (float[8, 8, 8] y)
        <float[8] gamma = {{1, 2, 3, 4, 5, 6, 7, 8}}, float[8] beta = {{1, 2, 3, 4, 5, 6, 7, 8}},
         float eps = {{0.001}}, float nought = {{0}}, int64[3] rows = {{8, 8, 1}},
         int64[3] columns = {{1, 8, 8}}>
        {{ {body.replace("(mean, rows)", "(mean, columns)")} }}"""
    )
    infer_symbolic_shapes(model)
    assert [norm for node in model.graph for norm in spelled_norms(node)] == []


def test_the_function_that_onnx_defines_is_a_norm_of_rows() -> None:
    (norm,) = _found(ONNX_BODY)
    assert (norm.x.name, norm.output.name, norm.size) == ("flat", "biased", 8)
    assert (norm.scale.name, norm.bias.name) == ("gamma", "beta")


@pytest.mark.parametrize(
    ("size", "line", "found"),
    [
        (16, "Div(length, c)<4>", 1),
        (16, "Mul(length, c)<0.25>", 1),
        (16, "Mul(c, length)<0.25>", 1),
        (16, "Div(length, c)<3.9999998>", 0),
        (16, "Div(length, c)<16>", 0),
        (16, "Div(c, length)<4>", 0),
        (8, "Div(length, c)<2.828427>", 0),  # the root of 8 is no float
        (8, "Mul(length, c)<0.35355338>", 0),
    ],
)
def test_a_length_is_a_deviation_where_the_root_of_the_size_is_exact(
    size: int, line: str, found: int
) -> None:
    expression, number = line.rstrip(">").split("<")
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17]> g (float[B, {size}] x) => (float[B, {size}] y)
        <float c = {{{number}}}> {{
            mean = ReduceMean<axes = [-1]>(x)
            d = Sub(x, mean)
            length = ReduceL2<axes = [-1]>(d)
            deviation = {expression}
            y = Div(d, deviation)
        }}"""
    )
    infer_symbolic_shapes(model)
    norms = [norm for node in model.graph for norm in spelled_norms(node)]
    assert [(norm.x.name, norm.epsilon, norm.size) for norm in norms] == [("x", 0.0, size)] * found


def test_a_clip_at_the_largest_float_clips_nothing() -> None:
    body = SPELLINGS["one pass, Clip"][0]
    assert len(_found(body.replace("(variance, nought)", "(variance, nought, largest)"))) == 1
    assert _found(body.replace("(variance, nought)", "(variance, nought, eight)")) == []


def test_an_rms_norm_of_a_difference_that_others_read_stays() -> None:
    body = SPELLINGS["an RMSNorm of the difference"][0].replace("y =", "n =")
    assert _found(body + "\n y = Add(n, d)") == []


@pytest.mark.parametrize("dtype", ["float", "float16"])
@pytest.mark.parametrize(("size", "found"), [(48, 1), (47, 0)])
def test_the_share_of_a_sum_is_rounded_once_to_its_own_type(
    dtype: str, size: int, found: int
) -> None:
    share = np.array(1 / 48, np.dtype(dtype.replace("float", "float32").replace("3216", "16")))
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 13]>
        g ({dtype}[B, {size}] x) => ({dtype}[B, {size}] y)
        <{dtype} c = {{0}}, {dtype} eps = {{0}}, int64[1] last = {{-1}}> {{
            sum = ReduceSum(x, last)
            mean = Mul(sum, c)
            d = Sub(x, mean)
            square = Mul(d, d)
            sum2 = ReduceSum(square, last)
            variance = Mul(sum2, c)
            shifted = Add(variance, eps)
            deviation = Sqrt(shifted)
            y = Div(d, deviation)
        }}"""
    )
    model.graph.initializers["c"].const_value = ir.tensor(share, name="c")
    infer_symbolic_shapes(model)
    assert len([norm for node in model.graph for norm in spelled_norms(node)]) == found


def test_gamma_that_differs_by_token_stays_outside() -> None:
    body = SPELLINGS["gamma alone"][0].replace("Mul(n, gamma)", "Mul(n, other)")
    (norm,) = _found(body)
    assert (norm.output.name, norm.scale) == ("n", None)


_TOKENS = """<ir_version: 8, opset_import: ["" : 17]> g (float[B, {s}, 4] x) => (float[B, {s}, 4] y)
    <float[1, 2, 4] gamma = {{1, 2, 3, 4, {row}}}, float[2, 4] beta = {{1, 0, 1, 0, 1, 0, 1, 0}}> {{
        y = LayerNormalization(x, gamma, beta) }}"""


@pytest.mark.parametrize(
    ("length", "row", "takes"),
    [("2", "1, 2, 3, 4", True), ("2", "1, 2, 3, 5", False), ("S", "1, 2, 3, 4", False)],
)
def test_a_gamma_that_repeats_a_row_for_each_token_is_that_row(
    length: str, row: str, takes: bool
) -> None:
    model = ir.from_onnx_text(_TOKENS.format(s=length, row=row))
    infer_symbolic_shapes(model)
    canonicalize = CanonicalizeNorms()
    canonicalize(model)
    assert canonicalize.record["LayerNormalization"] == takes
    (norm,) = list(model.graph)
    shapes = [list(value.shape) for value in norm.inputs[1:]]
    assert shapes == ([[4], [4]] if takes else [[1, 2, 4], [2, 4]])
    x = np.random.default_rng(0).normal(1, 1, (3, 2, 4))
    result = evaluate(cast_to_float64(model), {"x": x})["y"]
    original = ir.from_onnx_text(_TOKENS.format(s=length, row=row))
    expected = evaluate(cast_to_float64(original), {"x": x})["y"]
    np.testing.assert_allclose(result, expected, rtol=1e-9)


def test_gamma_that_raises_the_rank_stays_outside() -> None:
    (norm,) = _found(SPELLINGS["gamma alone"][0].replace("Mul(n, gamma)", "Mul(n, gamma4)"))
    assert (norm.output.name, norm.scale) == ("n", None)


def test_an_epsilon_that_raises_the_rank_is_no_epsilon() -> None:
    assert _found(SPELLINGS["no affine"][0].replace("(variance, eps)", "(variance, eps4)")) == []


def test_a_value_that_is_read_beside_the_affine_part_ends_the_norm() -> None:
    (norm,) = _found(SPELLINGS["gamma alone"][0].replace("y =", "z =") + "\n y = Add(z, n)")
    assert (norm.output.name, norm.scale) == ("n", None)


def test_affine_parts_that_share_a_normalization_are_a_norm_each() -> None:
    body = (
        SPELLINGS["no affine"][0].replace("y =", "n =")
        + """
        first = Mul(n, gamma)
        second = Mul(beta, n)
        shifted2 = Add(second, gamma)
        y = Sub(first, shifted2)"""
    )
    norms = _found(body)
    assert [(norm.output.name, norm.scale.name) for norm in norms] == [
        ("first", "gamma"),
        ("shifted2", "beta"),
    ]
