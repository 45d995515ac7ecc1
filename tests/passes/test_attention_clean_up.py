"""What is cleaned up around attention leaves every row as it was, masked ones too.

The block is that of PyTorch's exporters: keys transposed through a Reshape, the square root of the
scale on both sides, sizes computed at run time, and a guard behind Softmax.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.passes import pipeline
from graphopt.passes.drop_idle_masks import DropIdleMasks
from graphopt.passes.drop_nan_guards import DropNanGuards
from tests.onnx_runtime import OptimizedSession
from tests.passes.attention import MASKS, PADDING, block, feeds, records

CLEANED = {
    "drop-idle-masks": "idle masks dropped",
    "drop-nan-guards": "NaN guards dropped",
}


@pytest.mark.parametrize("mask", MASKS)
def test_a_guard_goes_where_no_row_can_be_nan(mask: str) -> None:
    _, dropped, idle = MASKS[mask]
    found = records(block(mask, float64=False), DropIdleMasks(), DropNanGuards())
    assert found.get("NaN guards dropped", 0) == dropped
    assert found.get("idle masks dropped", 0) == idle


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("ops", ["standard", "ort", "custom"])
def test_every_row_is_as_it_was_in_float64(mask: str, ops: str) -> None:
    original, cleaned = block(mask), block(mask)
    _, found = pipeline.run(cleaned, pipeline.Options(ops=ops))
    counts = {name: count for record in found for name, count in record.detail.items()}
    assert counts["reshaped transposes"] == counts["transposes composed"] == 1
    assert counts["scales folded"] == 2
    assert counts["sizes made constant"] == 4
    for padding in PADDING:
        given = feeds(padding, np.float64)
        truth, result = evaluate(original, given)["y"], evaluate(cleaned, given)["y"]
        assert np.isfinite(truth).all()
        assert np.abs(result - truth).max() <= 1e-9 * np.abs(truth).max()


@pytest.mark.parametrize("mask", MASKS)
def test_every_row_is_as_it_was_in_onnx_runtime(mask: str) -> None:
    original, cleaned = block(mask, float64=False), block(mask, float64=False)
    pipeline.run(cleaned, pipeline.Options())
    sessions = [OptimizedSession(model) for model in (original, cleaned)]
    for padding in PADDING:
        given = feeds(padding, np.float32)
        before, after = (session.run(given)["y"] for session in sessions)
        assert np.abs(after - before).max() <= 1e-6 * np.abs(before).max()


def test_no_node_is_left_that_only_said_how_to_transpose() -> None:
    model = block("true and finite", float64=False)
    pipeline.run(model, pipeline.Options(ops="standard", skip={"fuse-biases"}))
    operators = [node.op_type for node in model.graph]
    assert "Slice" not in operators
    assert "IsNaN" not in operators
    assert "Concat" not in operators
    assert operators.count("Transpose") == 4
    assert operators.count("Shape") == 1  # of which the mask is made
    assert sorted(_orders(model)) == [[0, 2, 1, 3]] * 3 + [[0, 2, 3, 1]]


def _orders(model: ir.Model) -> list[list[int]]:
    nodes = [node for node in model.graph if node.op_type == "Transpose"]
    return [list(node.attributes.get_ints("perm", ())) for node in nodes]
