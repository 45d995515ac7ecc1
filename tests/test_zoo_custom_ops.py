"""The zoo in custom operators: how many there are, and that they run with and without kernels."""

from __future__ import annotations

import collections
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from graphopt.errors import EnvironmentFailure
from graphopt.inputs import generate_inputs
from graphopt.library import library_path
from graphopt.passes import pipeline
from graphopt.verification import verify
from tests.conftest import ZooModel

# name, exporter: nodes of graphopt.RMSNorm and of graphopt.SkipRMSNorm, and whether these take a
# bias in. The first norm reads an embedding, or an Add that broadcasts.
COUNTS = {
    ("vit-ti-16-tiny", "dynamo"): (1, 4, True),
    ("vit-ti-16-tiny", "torchscript"): (1, 4, True),
    ("gpt2-tiny", "dynamo"): (1, 4, False),
    ("gpt2-tiny", "torchscript"): (1, 4, False),
    ("pythia-160m-tiny", "dynamo"): (1, 2, False),
    ("pythia-160m-tiny", "torchscript"): (1, 2, False),
    ("opt-125m-tiny", "dynamo"): (4, 1, False),
}

CASES = [(*case, "float32") for case in COUNTS]
CASES += [(name, exporter, "float16") for name, exporter in COUNTS if exporter == "dynamo"]


def _optimized(path: Path) -> ir.Model:
    model = ir.load(path)
    pipeline.run(model, pipeline.Options(ops="custom"))
    return model


def _session(model: ir.Model, folder: Path, library: Path | None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    if library is not None:
        options.register_custom_ops_library(str(library))
    content = ir.to_proto(model).SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _operators(path: Path) -> collections.Counter[str]:
    return collections.Counter(node.op_type for node in onnx.load(path).graph.node)


@pytest.mark.parametrize(("name", "exporter", "dtype"), CASES)
def test_stock_onnx_runtime_fuses_every_body(
    name: str, exporter: str, dtype: str, zoo_model: ZooModel, tmp_path: Path
) -> None:
    path = zoo_model(name, exporter=exporter, dtype=dtype)
    model = _optimized(path)
    plain, skip, has_bias = COUNTS[name, exporter]
    found = collections.Counter(node.op_type for node in model.graph if node.domain == "graphopt")
    assert found == {"RMSNorm": plain, "SkipRMSNorm": skip}
    fused = [node for node in model.graph if node.op_type == "SkipRMSNorm"]
    assert {len(node.inputs) == 4 for node in fused} == {has_bias}
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    _session(model, tmp_path, None)
    assert _operators(tmp_path / "optimized.onnx")["SimplifiedLayerNormalization"] == plain + skip
    result = verify(path, model)
    assert result.status == "passed", result.reason


@pytest.fixture(scope="module")
def library() -> Path:
    try:
        return library_path()
    except EnvironmentFailure as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("name", ["vit-ti-16-tiny", "gpt2-tiny", "pythia-160m-tiny"])
def test_the_kernels_compute_the_same(
    name: str, dtype: str, library: Path, zoo_model: ZooModel, tmp_path: Path
) -> None:
    path = zoo_model(name, exporter="dynamo", dtype=dtype)
    model = _optimized(path)
    session = _session(model, tmp_path, library)
    plain, skip, _ = COUNTS[name, "dynamo"]
    operators = _operators(tmp_path / "optimized.onnx")
    assert (operators["RMSNorm"], operators["SkipRMSNorm"]) == (plain, skip)
    inputs = generate_inputs(ir.load(path), seed=3).arrays
    found = session.run(None, inputs)
    expected = _session(ir.load(path), tmp_path, None).run(None, inputs)
    tolerance = {"float32": 1e-5, "float16": 1e-2}[dtype]
    for output, truth in zip(found, expected, strict=True):
        error = np.abs(output.astype(np.float64) - truth).max()
        assert error <= tolerance * np.abs(truth).max()
