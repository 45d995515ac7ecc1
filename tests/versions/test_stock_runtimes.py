"""One optimized file in several releases of ONNX Runtime, without the kernels and with them."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from packaging.version import Version

from graphopt.errors import EnvironmentFailure
from graphopt.inputs import generate_inputs
from graphopt.passes import pipeline
from graphopt.runtime.library import library_path
from tests.conftest import ZooModel
from tests.versions.conditions import FLOAT16_FUSION
from tests.versions.environments import needs_python_of, run_models

FORMS: dict[str, dict[str, str]] = {
    "rms": {},
    "crms-orthonormal": {"variant": "crms", "basis": "orthonormal"},
    "crms-drop": {"variant": "crms", "basis": "drop"},
}
# Arguments of zoo_model: encoders and decoders, of text and of images, of the opsets 14 and 20.
QUICK: list[dict[str, Any]] = [
    {"name": "vit-ti-16-tiny", "exporter": "dynamo"},
    {"name": "gpt2-tiny", "exporter": "dynamo", "dtype": "float16"},
]
OTHERS: list[dict[str, Any]] = [
    {"name": "vit-ti-16-tiny", "exporter": "dynamo", "dtype": "float16"},
    {"name": "pythia-160m-tiny", "exporter": "dynamo", "dtype": "float16"},
    {"name": "gpt2-tiny", "exporter": "torchscript", "opset": 14},
    {"name": "opt-125m-tiny", "exporter": "dynamo"},
    {"name": "whisper-tiny-decoder-tiny", "exporter": "dynamo"},
    {"name": "m2m100-tiny", "exporter": "torchscript"},
    {"name": "siglip-b-16-vision-tiny", "exporter": "dynamo"},
    {"name": "swin-t-tiny", "exporter": "torchscript"},
]
NEWEST = onnxruntime.__version__
OLDER = ("1.20.1", "1.25.1")
# Largest error, relative to the largest output.
TOLERANCES = {"float32": 1e-5, "float16": 1e-2}
NORMS = ("RMSNorm", "SkipRMSNorm", "CRMSNorm", "SkipCRMSNorm", "LayerNorm", "SkipLayerNorm")


def case(release: str, model: Mapping[str, Any], *marks: pytest.MarkDecorator) -> Any:
    name = "-".join(map(str, (release, *model.values())))
    return pytest.param(release, model, marks=marks, id=name)


over_releases = pytest.mark.parametrize(
    ("release", "model"),
    [
        *(case(NEWEST, model) for model in QUICK),
        *(case(NEWEST, model, pytest.mark.slow) for model in OTHERS),
        *(
            case(release, model, pytest.mark.slow, needs_python_of(release))
            for release in OLDER
            for model in (*QUICK, *OTHERS)
        ),
    ],
)
every_form = pytest.mark.parametrize("form", FORMS)


def write_models(original: Path, form: str, folder: Path) -> collections.Counter[str]:
    """The original, its optimized form and inputs of both; how often it calls each operator."""
    model = ir.load(original)
    inputs = generate_inputs(model, seed=3).arrays
    pipeline.run(model, pipeline.Options(ops="custom", **FORMS[form]))
    # What the oldest of the releases reads.
    assert model.opset_imports[""] <= 21
    assert model.ir_version <= 10
    for name, content in (
        ("original", original.read_bytes()),
        ("optimized", ir.to_proto(model).SerializeToString()),
    ):
        (folder / f"{name}.onnx").write_bytes(content)
        np.savez(folder / f"{name}.in.npz", **inputs)
    return collections.Counter(node.op_type for node in model.graph if node.domain == "graphopt")


def operators(folder: Path) -> collections.Counter[str]:
    """How often the graph that ONNX Runtime made of the optimized model has each operator."""
    graph = onnx.load(folder / "optimized.optimized").graph
    return collections.Counter(node.op_type for node in graph.node)


def assert_same_outputs(folder: Path, dtype: str) -> None:
    for name in ("original", "optimized"):
        error = folder / f"{name}.error"
        assert not error.exists(), error.read_text()
    expected, found = (np.load(folder / f"{name}.out.npz") for name in ("original", "optimized"))
    assert found.files == expected.files
    for name in expected.files:
        truth = expected[name].astype(np.float64)
        assert found[name].dtype == expected[name].dtype
        assert np.abs(found[name] - truth).max() <= TOLERANCES[dtype] * np.abs(truth).max(), name


@over_releases
@every_form
def test_the_bodies_run_and_are_fused(
    release: str, model: Mapping[str, Any], form: str, zoo_model: ZooModel, tmp_path: Path
) -> None:
    calls = write_models(zoo_model(**model), form, tmp_path)
    run_models(release, tmp_path)
    dtype = model.get("dtype", "float32")
    assert_same_outputs(tmp_path, dtype)
    rms = calls["RMSNorm"] + calls["SkipRMSNorm"]
    assert rms > 0 or form == "crms-drop"
    if dtype == "float32" or Version(release) >= FLOAT16_FUSION:
        assert operators(tmp_path)["SimplifiedLayerNormalization"] == rms


@pytest.fixture(scope="module")
def library() -> Path:
    try:
        return library_path()
    except EnvironmentFailure as error:
        pytest.skip(str(error))


@over_releases
@every_form
def test_the_kernels_take_over(
    release: str,
    model: Mapping[str, Any],
    form: str,
    library: Path,
    zoo_model: ZooModel,
    tmp_path: Path,
) -> None:
    calls = write_models(zoo_model(**model), form, tmp_path)
    run_models(release, tmp_path, library)
    assert_same_outputs(tmp_path, model.get("dtype", "float32"))
    found = operators(tmp_path)
    assert {name: found[name] for name in NORMS} == {name: calls[name] for name in NORMS}
