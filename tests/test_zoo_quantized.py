"""Optimized, then quantized: no farther from the original than the original quantized likewise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

import graphopt
from graphopt.benchmarking.output_errors import error_of
from graphopt.benchmarking.quantizing import write_quantized
from graphopt.benchmarking.settings import QUANTIZERS
from graphopt.options import Sample
from graphopt.runtime.library import find_library
from graphopt.verification import Original
from tests.versions.conditions import needs_onnxruntime

SLOW = pytest.mark.slow
pytestmark = needs_onnxruntime("1.22", "the 4-bit quantizer")

ZooModel = Callable[..., Path]
MODELS = ("vit-ti-16-tiny", "gpt2-tiny", "bert-base-tiny")
SEEDS = 5
NOISE = 1.1
"""A rounding of one's own gives another error: this is how far the mean of the seeds may be off."""


def shuffled(model: Path, folder: Path) -> Iterator[Path]:
    """The model with the entries of each weight in another order for each seed."""
    for seed in range(SEEDS):
        proto, rng = onnx.load(model), np.random.default_rng(seed)
        for tensor in proto.graph.initializer:
            array = numpy_helper.to_array(tensor)
            if array.dtype == np.float32 and array.size > 16:
                entries = rng.permutation(array.reshape(-1)).reshape(array.shape)
                tensor.CopyFrom(numpy_helper.from_array(entries, tensor.name))
        path = folder / f"seed-{seed}.onnx"
        onnx.save(proto, path)
        yield path


def error(original: Original, model: Path, quantize: Callable[[Path, Path], Any]) -> float:
    """That of the quantized form of a model."""
    target = model.with_suffix(".quantized.onnx")
    quantize(model, target)
    found = error_of(original, target, "cpu", None)
    assert found is not None
    return found


def ratio(
    model: Path, folder: Path, quantize: Callable[[Path, Path], Any], **options: Any
) -> float:
    """The error of what is optimized, then quantized, over that of the original quantized."""
    logarithms = []
    for path in shuffled(model, folder):
        output = folder / "optimized.onnx"
        graphopt.optimize(path, verify=False, output=output, force=True, **options)
        with Original(path, Sample(seed=1)) as original:
            errors = [error(original, each, quantize) for each in (output, path)]
        logarithms.append(np.log(errors[0] / errors[1]))
    return float(np.exp(np.mean(logarithms)))


@pytest.mark.slow
@pytest.mark.parametrize("quantizer", QUANTIZERS)
@pytest.mark.parametrize("name", MODELS)
def test_quantizing_costs_no_more_digits_than_without_graphopt(
    name: str, quantizer: str, zoo_model: ZooModel, tmp_path: Path
) -> None:
    def quantize(source: Path, target: Path) -> None:
        write_quantized(quantizer, source, target)

    assert ratio(zoo_model(name), tmp_path, quantize) <= NOISE


@pytest.mark.parametrize("name", [MODELS[0], *(pytest.param(n, marks=SLOW) for n in MODELS[1:])])
def test_the_quantizers_take_each_set_of_operators(
    name: str, zoo_model: ZooModel, tmp_path: Path
) -> None:
    """Functions and foreign operators among them; their results differ by rounding alone."""
    for quantizer in QUANTIZERS:
        with Original(zoo_model(name), Sample(seed=2)) as original:
            errors = []
            for ops in ("custom", "standard", "ort"):
                output, target = tmp_path / f"{ops}.onnx", tmp_path / f"{ops}.quantized.onnx"
                graphopt.optimize(zoo_model(name), ops=ops, verify=False, output=output, force=True)
                write_quantized(quantizer, output, target)
                functions = {each.name for each in onnx.load(target).functions}
                assert functions == {each.name for each in onnx.load(output).functions}
                errors.append(error_of(original, target, "cpu", None))
                if ops == "custom":
                    kernels = find_library("cpu")
                    errors.append(error_of(original, target, "cpu", kernels))
        assert None not in errors
        np.testing.assert_allclose(np.array(errors, float), errors[0], rtol=0.05)


@pytest.mark.slow
def test_one_scale_for_a_packed_weight_wants_its_columns_as_they_were(
    zoo_model: ZooModel, tmp_path: Path
) -> None:
    """GPT-2 has queries, keys and values in one weight; the scale of scores goes into a third."""

    def per_tensor(source: Path, target: Path) -> None:
        quantize_dynamic(source, target, weight_type=QuantType.QUInt8)

    model = zoo_model("gpt2-tiny")
    folded = ratio(model, tmp_path, per_tensor, ops="standard")
    as_they_were = ratio(model, tmp_path, per_tensor, ops="standard", skip=("fold-scales",))
    assert as_they_were <= NOISE < folded
