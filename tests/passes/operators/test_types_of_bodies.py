"""One body serves several types, so a file may be converted after it was optimized."""

from __future__ import annotations

import collections
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from onnxruntime.transformers.float16 import convert_float_to_float16

from graphopt.inputs import generate_inputs
from graphopt.passes import pipeline
from graphopt.passes.operators.custom_op_bodies import build_body
from graphopt.passes.operators.custom_ops import TYPES
from graphopt.verification.truth import evaluate
from tests.conftest import ZooModel
from tests.onnx_runtime import OptimizedSession
from tests.versions.conditions import opsets

BODIES = {
    "RMSNorm": ("X", "gamma"),
    "SkipRMSNorm": ("X", "residual", "gamma", "bias"),
    "CRMSNorm": ("X",),
    "SkipCRMSNorm": ("X", "residual", "bias"),
    "LayerNorm": ("X", "gamma", "beta"),
    "SkipLayerNorm": ("X", "residual", "gamma", "beta", "bias"),
    "Gelu": ("X", "bias"),
    "TanhGelu": ("X", "bias"),
    "QuickGelu": ("X", "bias"),
}


def written(name: str, dtype: ir.DataType, opset: int) -> str:
    body = build_body(
        ("graphopt", name, ""), BODIES[name], dtype, opset, "residual" in BODIES[name]
    )
    return str(ir.to_proto(body))


@pytest.mark.parametrize("opset", [15, 17, 18, 23])
@pytest.mark.parametrize("name", BODIES)
def test_a_body_names_no_type_but_float32(name: str, opset: int) -> None:
    *narrow, double = TYPES
    assert double == ir.DataType.DOUBLE
    assert len({written(name, dtype, opset) for dtype in narrow}) == 1
    assert written(name, double, opset) != written(name, narrow[0], opset) or "Layer" in name


@pytest.mark.parametrize("opset", [12, 14])
def test_below_the_opset_of_cast_like_a_body_is_of_one_type(opset: int) -> None:
    assert len({written("RMSNorm", dtype, opset) for dtype in TYPES}) == len(TYPES)


# What is fused of a float16 model, as of one that was float16 when it was optimized.
ZOO = [
    ("vit-ti-16-tiny", "rms", "orthonormal"),
    ("gpt2-tiny", "rms", "orthonormal"),
    ("gpt2-tiny", "crms", "drop"),
    ("bert-base-tiny", "rms", "orthonormal"),
]


@pytest.mark.parametrize(("name", "variant", "basis"), ZOO, ids=map("-".join, ZOO))
@pytest.mark.parametrize("opset", opsets(18))
def test_a_file_is_converted_to_float16_after_it_was_optimized(
    name: str, variant: str, basis: str, opset: int, zoo_model: ZooModel, tmp_path: Path
) -> None:
    original = ir.load(zoo_model(name, exporter="dynamo"))
    optimized = original.clone()
    chosen = {"basis": basis} if variant == "crms" else {}
    pipeline.run(optimized, pipeline.Options(variant=variant, **chosen))
    calls = collections.Counter(node.op_type for node in optimized.graph if node.domain)
    assert calls["RMSNorm"] + calls["SkipRMSNorm"] + calls["SkipCRMSNorm"] + calls["SkipLayerNorm"]
    converted = ir.from_proto(convert_float_to_float16(ir.to_proto(optimized), keep_io_types=True))
    inputs = generate_inputs(original, seed=3).arrays
    session = OptimizedSession(converted)
    truth = evaluate(original, inputs)
    for output, array in session.run(inputs).items():
        assert np.isfinite(array).all()
        error = np.abs(array - truth[output]).max() / np.abs(truth[output]).max()
        assert error < 2e-2, (output, error)
    fused = session.operators["SimplifiedLayerNormalization"]
    assert fused == calls["RMSNorm"] + calls["SkipRMSNorm"]
