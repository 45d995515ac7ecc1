"""What is cleaned up around the attention of each architecture, and that no padding shows it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.inputs import generate_inputs
from graphopt.models import describe
from graphopt.passes import pipeline
from tests.conftest import ZooModel
from tests.onnx_runtime import OptimizedSession
from tests.versions.conditions import needs_transformers

COUNTED = (
    "idle masks dropped",
    "NaN guards dropped",
    "NaN guards moved",
    "reshapes dropped",
    "sizes made constant",
    "reshaped transposes",
    "transposes composed",
    "scales folded",
    "scales merged",
)

# In this order. L is 2 or 3: a guard, a key and two scales (torch writes the root of one on both
# sides) for each attention. The exporter of TorchScript masks with -Inf, so its guards are moved.
CLEANED: dict[tuple[str, str], tuple[int, ...]] = {
    ("vit-ti-16-tiny", "dynamo"): (2, 2, 0, 0, 4, 2, 2, 4, 0),
    ("vit-ti-16-tiny", "torchscript"): (0, 0, 0, 3, 9, 0, 0, 4, 0),
    ("clip-vit-b-32-vision-tiny", "dynamo"): (0, 0, 0, 0, 4, 2, 2, 4, 0),
    ("clip-vit-b-32-vision-tiny", "torchscript"): (0, 0, 0, 4, 9, 0, 0, 4, 0),
    ("clip-vit-b-32-text-tiny", "dynamo"): (1, 2, 0, 1, 8, 2, 2, 4, 0),
    ("clip-vit-b-32-text-tiny", "torchscript"): (1, 0, 2, 13, 8, 0, 0, 4, 0),
    ("gpt2-tiny", "dynamo"): (1, 2, 0, 3, 6, 2, 2, 4, 0),
    ("gpt2-tiny", "torchscript"): (1, 0, 2, 13, 16, 0, 0, 4, 0),
    ("gpt2-with-past-tiny", "dynamo"): (1, 2, 0, 5, 0, 2, 0, 4, 0),
    ("gpt2-with-past-tiny", "torchscript"): (1, 0, 2, 14, 24, 0, 0, 4, 0),
    ("opt-125m-tiny", "dynamo"): (1, 2, 0, 1, 8, 2, 2, 2, 0),
    ("opt-125m-tiny", "torchscript"): (5, 0, 2, 12, 10, 0, 0, 2, 0),
    ("pythia-160m-tiny", "dynamo"): (1, 2, 0, 2, 4, 2, 0, 4, 0),
    ("pythia-160m-tiny", "torchscript"): (5, 0, 2, 19, 4, 0, 0, 0, 2),
    ("phi-1-tiny", "dynamo"): (1, 2, 0, 2, 8, 2, 0, 4, 0),
    ("phi-1-tiny", "torchscript"): (3, 0, 2, 19, 8, 0, 0, 0, 2),
    ("llama-160m-tiny", "dynamo"): (1, 2, 0, 0, 8, 2, 0, 4, 0),
    ("llama-160m-tiny", "torchscript"): (7, 0, 2, 33, 8, 0, 0, 0, 2),
    ("bloom-560m-tiny", "dynamo"): (1, 0, 0, 0, 6, 0, 0, 0, 0),
    ("bloom-560m-tiny", "torchscript"): (4, 0, 0, 21, 6, 0, 0, 0, 0),
    ("gptj-6b-tiny", "dynamo"): (1, 2, 0, 0, 12, 2, 2, 4, 0),
    ("gptj-6b-tiny", "torchscript"): (1, 0, 2, 10, 14, 0, 0, 4, 0),
    ("mpt-1b-tiny", "dynamo"): (1, 0, 0, 0, 6, 0, 0, 2, 0),
    ("mpt-1b-tiny", "torchscript"): (3, 0, 0, 13, 8, 0, 0, 0, 0),
    ("falcon-7b-tiny", "dynamo"): (1, 2, 0, 0, 4, 2, 0, 0, 2),
    ("falcon-7b-tiny", "torchscript"): (3, 0, 2, 27, 4, 0, 0, 0, 0),
    ("whisper-tiny-encoder-tiny", "dynamo"): (0, 0, 0, 2, 4, 2, 2, 2, 0),
    ("whisper-tiny-encoder-tiny", "torchscript"): (4, 0, 0, 2, 8, 0, 0, 2, 0),
    ("whisper-tiny-decoder-tiny", "dynamo"): (1, 2, 0, 5, 16, 4, 4, 4, 0),
    ("whisper-tiny-decoder-tiny", "torchscript"): (9, 0, 2, 13, 16, 0, 0, 4, 0),
    ("m2m100-tiny", "dynamo"): (1, 6, 0, 0, 24, 6, 6, 12, 0),
    ("m2m100-tiny", "torchscript"): (1, 0, 6, 29, 24, 0, 0, 12, 0),
    ("bert-base-tiny", "dynamo"): (0, 3, 0, 0, 12, 3, 3, 6, 0),
    ("bert-base-tiny", "torchscript"): (0, 0, 3, 10, 12, 0, 0, 6, 0),
    ("modernbert-base-tiny", "dynamo"): (3, 3, 0, 0, 6, 3, 0, 0, 3),
    ("modernbert-base-tiny", "torchscript"): (10, 0, 3, 49, 6, 0, 0, 0, 3),
    ("siglip-b-16-vision-tiny", "dynamo"): (0, 0, 0, 0, 6, 3, 3, 6, 0),
    ("siglip-b-16-vision-tiny", "torchscript"): (0, 0, 0, 9, 19, 0, 0, 6, 0),
    ("swin-t-tiny", "dynamo"): (0, 0, 0, 2, 8, 4, 4, 8, 0),
    ("swin-t-tiny", "torchscript"): (0, 0, 0, 47, 36, 0, 0, 8, 0),
}
# Attentions that become MultiHeadAttention: those of a sequence to itself, masked or not. To a past
# and to what an encoder made a decoder attends with as many queries as tokens, of which one may be.
FUSED: dict[tuple[str, str], int] = {
    ("vit-ti-16-tiny", "dynamo"): 2,
    ("vit-ti-16-tiny", "torchscript"): 2,
    ("clip-vit-b-32-vision-tiny", "dynamo"): 2,
    ("clip-vit-b-32-vision-tiny", "torchscript"): 2,
    ("clip-vit-b-32-text-tiny", "dynamo"): 2,
    ("whisper-tiny-encoder-tiny", "dynamo"): 2,
    ("whisper-tiny-encoder-tiny", "torchscript"): 2,
    ("whisper-tiny-decoder-tiny", "dynamo"): 2,
    ("siglip-b-16-vision-tiny", "dynamo"): 3,
    ("swin-t-tiny", "dynamo"): 0,
    ("bert-base-tiny", "dynamo"): 3,
    ("bert-base-tiny", "torchscript"): 3,
    ("gpt2-tiny", "dynamo"): 2,
    ("gpt2-tiny", "torchscript"): 2,
    ("gpt2-with-past-tiny", "dynamo"): 0,
    ("m2m100-tiny", "dynamo"): 4,
}
MASKED = (
    "bert-base-tiny",
    "clip-vit-b-32-text-tiny",
    "esm2-t12-35m-tiny",
    "gpt2-tiny",
    "gpt2-with-past-tiny",
    "llama-160m-tiny",
    "opt-125m-tiny",
    "phi-1-tiny",
    "pythia-160m-tiny",
    "whisper-tiny-decoder-tiny",
)
_EXPORTERS = {row.name: row.exporters for row in describe()}
PADDED = [(name, exporter) for name in MASKED for exporter in _EXPORTERS[name]]


@needs_transformers("5.24", "the exports whose clean-up is counted")
@pytest.mark.parametrize(("name", "exporter"), CLEANED)
def test_what_exporters_write_around_attention_goes(
    name: str, exporter: str, zoo_model: ZooModel
) -> None:
    model = ir.load(zoo_model(name, exporter=exporter))
    _, records = pipeline.run(model, pipeline.Options())
    counts = {what: count for record in records for what, count in record.detail.items()}
    assert tuple(counts[what] for what in COUNTED) == CLEANED[name, exporter]


@needs_transformers("5.24", "the exports whose attention is counted")
@pytest.mark.parametrize(("name", "exporter"), FUSED)
def test_attention_is_one_operator(name: str, exporter: str, zoo_model: ZooModel) -> None:
    path = zoo_model(name, exporter=exporter)
    model = ir.load(path)
    _, records = pipeline.run(model, pipeline.Options())
    counts = {what: count for record in records for what, count in record.detail.items()}
    assert counts["attentions fused"] == FUSED[name, exporter]
    assert counts["heads joined"] == 0
    if FUSED[name, exporter]:
        given = generate_inputs(ir.load(path), seed=3).arrays
        before, after = (OptimizedSession(m).run(given) for m in (ir.load(path), model))
        for output, expected in before.items():
            _assert_close(after[output], expected, 2e-6)
        pipeline.run(model, pipeline.Options())  # it is read again as it is
        operators = [node.op_type for node in model.graph]
        assert operators.count("MultiHeadAttention") == FUSED[name, exporter]


@pytest.mark.parametrize(("name", "exporter"), PADDED)
def test_padding_changes_nothing(name: str, exporter: str, zoo_model: ZooModel) -> None:
    path = zoo_model(name, exporter=exporter)
    original, cleaned = (cast_to_float64(ir.load(path)) for _ in range(2))
    pipeline.run(cleaned, pipeline.Options())
    single = ir.load(path)
    pipeline.run(single, pipeline.Options())
    sessions = [OptimizedSession(model) for model in (ir.load(path), single)]
    for given in _padded(original):
        truth, result = evaluate(original, given), evaluate(cleaned, given)
        for output, expected in truth.items():
            _assert_close(result[output], expected, 1e-9)
        inputs = {n: x.astype(np.float32) if x.dtype == float else x for n, x in given.items()}
        before, after = (session.run(inputs) for session in sessions)
        for output, expected in before.items():
            _assert_close(after[output], expected, 2e-6)


def _assert_close(result: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    """Equal to a share of the largest entry; ESM-2 divides by the length, and gives NaN for 0."""
    finite = np.isfinite(expected)
    assert finite.any()
    assert np.array_equal(finite, np.isfinite(result))
    difference = np.abs(result[finite] - expected[finite]).max()
    assert difference <= tolerance * np.abs(expected[finite]).max()


def _padded(model: ir.Model) -> Iterator[dict[str, np.ndarray]]:
    """Inputs of sequences of different lengths, padded left and right, and one masked whole."""
    generated = generate_inputs(model, seed=3).arrays
    masks = [name for name in generated if "mask" in name]
    assert masks
    for padding in ("left", "right", "whole"):
        yield {n: _mask(x.shape, padding) if n in masks else x for n, x in generated.items()}


def _mask(shape: tuple[int, ...], padding: str) -> np.ndarray:
    batch, length = shape
    mask = np.ones(shape, np.int64)
    for row in range(batch):
        padded = min(length - 1, (row + 1) * length // (batch + 1))
        if padding == "whole":
            mask[row] = 0 if row == 0 else np.arange(length) % 2
        elif padding == "left":
            mask[row, :padded] = 0
        else:
            mask[row, length - padded :] = 0
    return mask
