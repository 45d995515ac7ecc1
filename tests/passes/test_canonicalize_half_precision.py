"""Norms of half precision values that are computed in float32, and their affine parts."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx_shape_inference import infer_symbolic_shapes

from graphopt.evaluation import evaluate
from graphopt.passes.canonicalize_norms import CanonicalizeNorms


def _canonicalized(model: ir.Model) -> int:
    canonicalize = CanonicalizeNorms()
    canonicalize(model)
    return canonicalize.record["decomposed"]


# The text format writes float16 as the integers of its bits: these are GAMMA and BETA.
HALF = """<ir_version: 8, opset_import: ["" : 17]>
    g (float16[B, S, 8] x) => (float16[B, S, 8] y)
    <float16[8] gamma = {14336, 48384, 16384, 14848, 15872, 46080, 15360, 16896},
     float16[8] beta = {12288, 47104, 15360, 0, 49152, 13312, 14848, 48128},
     float[8] wide_gamma = {1, -2, 3, 4, -5, 6, 7, 8}, float two = {2.0}, float eps = {0.001}>
    { """

WIDE_CORE = """x32 = Cast<to = 1>(x)
    mean = ReduceMean<axes = [-1]>(x32)
    d = Sub(x32, mean)
    square = Pow(d, two)
    variance = ReduceMean<axes = [-1]>(square)
    shifted = Add(variance, eps)
    deviation = Sqrt(shifted)
    n = Div(d, deviation)
"""


@pytest.mark.parametrize(
    ("body", "left", "x"),
    [
        # the normalization in float32, the affine part in float16: stash_type 1
        (
            WIDE_CORE + "n16 = Cast<to = 10>(n)\n s = Mul(n16, gamma)\n y = Add(s, beta)",
            ["LayerNormalization"],
            "x",
        ),
        # the mean in float16, as the TorchScript exporter writes it
        (
            WIDE_CORE.replace("x32 = Cast<to = 1>(x)", "")
            .replace("x32", "x")
            .replace("d = Sub(x, mean)", "d16 = Sub(x, mean)\n d = Cast<to = 1>(d16)")
            + "n16 = Cast<to = 10>(n)\n s = Mul(n16, gamma)\n y = Add(s, beta)",
            ["LayerNormalization"],
            "x",
        ),
        # the affine part in float32 too: a float32 norm between two Casts
        (
            WIDE_CORE + "s = Mul(n, wide_gamma)\n y = Cast<to = 10>(s)",
            ["Cast", "LayerNormalization", "Cast"],
            "x32",
        ),
        # the same, folded
        (
            WIDE_CORE.replace("n = Div(d, deviation)", "rstd = Reciprocal(deviation)")
            + "factor = Mul(rstd, wide_gamma)\n n = Mul(d, factor)\n y = Cast<to = 10>(n)",
            ["Cast", "LayerNormalization", "Cast"],
            "x32",
        ),
        # gamma in float32 and beta in float16
        (
            WIDE_CORE.replace("n = Div(d, deviation)", "rstd = Reciprocal(deviation)")
            + """factor = Mul(rstd, wide_gamma)
            n = Mul(d, factor)
            n16 = Cast<to = 10>(n)
            y = Add(n16, beta)""",
            ["Cast", "LayerNormalization", "Cast", "Add"],
            "x32",
        ),
        # beta in float32, folded with the mean
        (
            WIDE_CORE.replace("n = Div(d, deviation)", "rstd = Reciprocal(deviation)")
            + """left = Mul(x32, rstd)
            right = Mul(mean, rstd)
            shift = Sub(wide_gamma, right)
            n = Add(left, shift)
            y = Cast<to = 10>(n)""",
            ["Cast", "LayerNormalization", "Cast"],
            "x32",
        ),
    ],
)
def test_half_precision_norms_with_casts(body: str, left: list[str], x: str) -> None:
    model = ir.from_onnx_text(HALF + body + "}")
    infer_symbolic_shapes(model)
    inputs = {"x": np.random.default_rng(1).normal(1, 1, (2, 3, 8)).astype(np.float16)}
    before = evaluate(model, inputs)["y"]
    assert np.isfinite(before).all()
    assert _canonicalized(model) == 1
    assert [node.op_type for node in model.graph] == left
    (node,) = (node for node in model.graph if node.op_type == "LayerNormalization")
    assert (node.inputs[0].name, node.attributes["stash_type"].value) == (x, 1)
    assert {value.dtype for value in (*node.inputs, *node.outputs)} == {node.inputs[0].dtype}
    np.testing.assert_allclose(
        evaluate(model, inputs)["y"].astype(float), before.astype(float), rtol=0.02, atol=0.02
    )
