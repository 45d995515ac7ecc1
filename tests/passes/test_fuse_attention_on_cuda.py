"""On CUDA attention becomes one operator where its heads fit the fused kernels."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes import fuse_attention, pipeline
from graphopt.passes.fuse_attention import FuseAttention
from tests.onnx_runtime import OptimizedSession
from tests.passes.attention import (
    MASKS,
    assert_fused,
    records,
)
from tests.passes.graphs import random_array
from tests.passes.unmasked_attention import heads_of, in_half

_NUMPY = {"FLOAT": "float32", "FLOAT16": "float16"}


@pytest.mark.parametrize("dtype", ["FLOAT", "FLOAT16"])
@pytest.mark.parametrize(
    ("size", "value_size", "fused"),
    [(8, 8, 1), (64, 64, 1), (256, 256, 1), (4, 4, 0), (12, 12, 0), (264, 264, 0), (16, 8, 0)],
)
def test_on_cuda_heads_that_fit_its_kernels_are_fused(
    size: int, value_size: int, fused: int, dtype: str
) -> None:
    """The CPU computes the same operator: float16 is cast there."""
    original, model = heads_of(size, value_size), heads_of(size, value_size)
    if dtype == "FLOAT16":
        original, model = in_half(original), in_half(model)
    found = records(model, FuseAttention("cuda"))
    assert found == ({"attentions fused": 1} if fused else {})
    given = {"x": random_array("x", (2, 5, 8)).astype(getattr(np, _NUMPY[dtype]))}
    before, after = (OptimizedSession(each).run(given)["y"] for each in (original, model))
    error = np.abs(after.astype(np.float64) - before).max() / np.abs(before).max()
    assert error <= (2e-6 if dtype == "FLOAT" else 2e-3)


def test_on_cuda_float64_stays() -> None:
    assert records(cast_to_float64(heads_of(8, 8)), FuseAttention("cuda")) == {}


@pytest.mark.parametrize("mask", MASKS)
def test_on_cuda_attention_with_a_mask_stays(mask: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the heads are: a row that is masked whole would not be what it was."""
    monkeypatch.setattr(fuse_attention, "gains_multi_head_on_cuda", lambda *sizes: True)
    options = pipeline.Options(ops="ort", provider="cuda")
    assert_fused(mask, options, fused=mask == "constant true")
