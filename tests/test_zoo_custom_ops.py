"""The zoo in custom operators: how many there are, and that they run with and without kernels."""

from __future__ import annotations

import collections
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from graphopt.errors import EnvironmentFailure
from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.inputs import generate_inputs
from graphopt.models import describe
from graphopt.passes import pipeline
from graphopt.runtime.library import library_path
from graphopt.verification import verify
from tests.conftest import QUICK, ZooModel
from tests.expectations import EXPECTED
from tests.onnx_runtime import OptimizedSession
from tests.versions.conditions import fuses_float16

# Nodes of graphopt.RMSNorm and of graphopt.SkipRMSNorm, and whether these take a bias in. The first
# norm of a stream reads an embedding, or an Add that broadcasts; Post-LN norms stay, and are fused.
OPERATORS = {
    "vit-ti-16-tiny": (1, 4, True),
    "paper-vit-ti-16-tiny": (1, 4, True),
    "paper-gpt-s-tiny": (1, 4, True),
    "dinov2-small-tiny": (1, 4, True),
    "clip-vit-b-32-text-tiny": (1, 4, True),
    "clip-vit-b-32-vision-tiny": (3, 3, True),
    "gpt2-tiny": (1, 4, False),
    "gpt2-with-past-tiny": (1, 4, False),
    "gpt2-hidden-tiny": (1, 4, False),
    "opt-125m-tiny": (4, 1, False),
    "pythia-160m-tiny": (1, 2, False),
    "phi-1-tiny": (1, 2, False),
    "whisper-tiny-encoder-tiny": (1, 4, True),
    "whisper-tiny-decoder-tiny": (1, 6, True),
    "m2m100-tiny": (2, 10, True),
    "bert-base-tiny": (1, 0, False),
    "convnext-t-tiny": (1, 0, False),
    "swin-t-tiny": (2, 4, False),
    "llama-160m-tiny": (0, 0, False),
    "deit-b-16-tiny": (1, 4, True),
    "beit-b-16-tiny": (2, 3, True),
    "gptj-6b-tiny": (1, 2, False),
    "codegen-350m-tiny": (1, 2, False),
    "bloom-560m-tiny": (2, 6, True),
    "falcon-7b-tiny": (1, 2, False),
    "mpt-1b-tiny": (1, 4, False),
    "stablelm-2-1.6b-tiny": (9, 4, False),
    "starcoder2-3b-tiny": (1, 4, True),
    "nemotron-4b-tiny": (1, 4, False),
    "xglm-564m-tiny": (1, 4, True),
    "modernbert-base-tiny": (1, 6, False),
    "esm2-t12-35m-tiny": (1, 6, True),
    "pegasus-large-tiny": (2, 10, True),
    "siglip-b-16-vision-tiny": (1, 6, True),
    "videomae-b-tiny": (2, 3, True),
    "ast-b-tiny": (1, 6, True),
    "wav2vec2-large-tiny": (4, 4, True),
}
# In attention the dynamo export computes the length from that of the samples anew: nothing proves
# that it is what the convolutions leave, so that the residual Add behind might broadcast.
OPERATORS_BY_EXPORTER = {("wav2vec2-large-tiny", "dynamo"): (6, 2, True)}
# Norms that stand between Transposes. ONNX Runtime lets these cancel, and so moves the primitives
# of the body to another axis, for which it has no kernel.
UNFUSED = {"convnext-t-tiny": 1, "wav2vec2-large-tiny": 3}

# The GELUs: the operator, how many, and whether they take a bias in. Where the linear map before
# them is a Gemm, it has added the bias.
GELUS = {
    "vit-ti-16-tiny": ("Gelu", 2, True),
    "clip-vit-b-32-vision-tiny": ("QuickGelu", 2, True),
    "gpt2-tiny": ("TanhGelu", 2, False),
    "pythia-160m-tiny": ("Gelu", 2, True),
    "whisper-tiny-encoder-tiny": ("Gelu", 2, True),
    "bert-base-tiny": ("Gelu", 3, True),
}

_EXPORTERS = {row.name: row.exporters for row in describe()}
# Of each model the first exporter that the quick suite has is fast.
CASES = [
    pytest.param(
        name,
        exporter,
        "float32",
        marks=[pytest.mark.slow] * (exporter != QUICK.get(name, _EXPORTERS[name])[0]),
    )
    for name in EXPECTED
    for exporter in _EXPORTERS[name]
]
# An encoder and a decoder are fast. The others are exported for this alone, in 10 s each, and
# their norms differ from those of float32 by nothing that these do not show.
HALF = {
    "vit-ti-16-tiny": True,
    "gpt2-tiny": True,
    "pythia-160m-tiny": False,
    "opt-125m-tiny": False,
}
CASES += [
    pytest.param(name, "dynamo", "float16", marks=[fuses_float16, *[pytest.mark.slow] * (not fast)])
    for name, fast in HALF.items()
]


def _expected(name: str, exporter: str) -> tuple[int, int, bool]:
    return OPERATORS_BY_EXPORTER.get((name, exporter), OPERATORS[name])


def _optimized(path: Path, **options: object) -> ir.Model:
    model = ir.load(path)
    pipeline.run(model, pipeline.Options(ops="custom", **options))
    return model


def _custom_nodes(model: ir.Model, kind: str = "Norm") -> list[ir.Node]:
    nodes = (node for node in model.graph.all_nodes() if node.domain == "graphopt")
    return [node for node in nodes if node.op_type.endswith(kind)]


def test_every_model_has_a_row() -> None:
    assert OPERATORS.keys() == EXPECTED.keys()


@pytest.mark.parametrize(("name", "exporter", "dtype"), CASES)
def test_the_operators_compute_the_same_function(
    name: str, exporter: str, dtype: str, zoo_model: ZooModel
) -> None:
    path = zoo_model(name, exporter=exporter, dtype=dtype)
    base, candidate = (cast_to_float64(ir.load(path)) for _ in range(2))
    summary, _ = pipeline.run(candidate, pipeline.Options(ops="custom"))
    plain, skip, has_bias = _expected(name, exporter)
    nodes = _custom_nodes(candidate)
    operators = collections.Counter(node.op_type for node in nodes)
    staying = operators.pop("LayerNorm", 0) + operators.pop("SkipLayerNorm", 0)
    kept = sum(not norm.converted for norm in summary.norms)
    assert staying == (kept if candidate.opset_imports[""] >= 17 else 0)
    assert operators == +collections.Counter({"RMSNorm": plain, "SkipRMSNorm": skip})
    assert {len(node.inputs) == 4 for node in nodes if node.op_type == "SkipRMSNorm"} <= {has_bias}
    inputs = generate_inputs(base, seed=3).arrays
    found = evaluate(candidate, inputs)
    for output, expected in evaluate(base, inputs).items():
        if expected.dtype == np.float64:
            assert np.abs(found[output] - expected).max() <= 1e-9 * np.abs(expected).max()


@pytest.mark.parametrize(("name", "exporter", "dtype"), CASES)
def test_stock_onnx_runtime_fuses_every_body(
    name: str, exporter: str, dtype: str, zoo_model: ZooModel
) -> None:
    path = zoo_model(name, exporter=exporter, dtype=dtype)
    model = _optimized(path)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    before = OptimizedSession(ir.load(path)).operators["SimplifiedLayerNormalization"]
    after = OptimizedSession(model).operators["SimplifiedLayerNormalization"]
    plain, skip, _ = _expected(name, exporter)
    assert after - before == plain + skip - UNFUSED.get(name, 0)
    result = verify(path, model)
    assert result.status == "passed", result.reason


_GELU_CASES = [(name, exporter) for name in GELUS for exporter in _EXPORTERS[name]]


@pytest.mark.parametrize(("name", "exporter"), _GELU_CASES)
def test_gelus_are_found_in_what_both_exporters_write(
    name: str, exporter: str, zoo_model: ZooModel
) -> None:
    path = zoo_model(name, exporter=exporter, dtype="float32")
    model = _optimized(path)
    found = [(node.op_type, len(node.inputs) == 2) for node in _custom_nodes(model, "Gelu")]
    operator, count, has_bias = GELUS[name]
    assert found == [(operator, has_bias)] * count
    without = _optimized(path, skip=("fuse-gelus",))
    assert OptimizedSession(model).operators == OptimizedSession(without).operators


CRMS_CASES = [("vit-ti-16-tiny", 5), ("gpt2-tiny", 5), ("opt-125m-tiny", 5), ("gptj-6b-tiny", 3)]


@pytest.mark.parametrize(
    ("name", "norms", "dtype"),
    [
        *((name, norms, "float32") for name, norms in CRMS_CASES),
        *(
            pytest.param(
                name,
                norms,
                "float16",
                marks=[fuses_float16, *[pytest.mark.slow] * (not HALF.get(name, False))],
            )
            for name, norms in CRMS_CASES
        ),
    ],
)
def test_stock_onnx_runtime_fuses_what_orthonormal_crms_becomes(
    name: str, norms: int, dtype: str, zoo_model: ZooModel
) -> None:
    """An RMSNorm over d - 1 features, an odd number, with gamma of ones."""
    path = zoo_model(name, exporter="dynamo", dtype=dtype)
    model = _optimized(path, variant="crms")
    nodes = _custom_nodes(model)
    assert len(nodes) == norms
    assert {node.op_type for node in nodes} <= {"RMSNorm", "SkipRMSNorm"}
    operators = OptimizedSession(model).operators
    assert operators["SimplifiedLayerNormalization"] == norms
    result = verify(path, model)
    assert result.status == "passed", result.reason


@pytest.fixture(scope="module")
def library() -> Path:
    try:
        return library_path()
    except EnvironmentFailure as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("name", "exporter", "dtype"), CASES)
def test_the_kernels_take_over_and_compute_the_same(
    name: str, exporter: str, dtype: str, library: Path, zoo_model: ZooModel
) -> None:
    path = zoo_model(name, exporter=exporter, dtype=dtype)
    model = _optimized(path)
    operators = OptimizedSession(model, library).operators
    assert (operators["RMSNorm"], operators["SkipRMSNorm"]) == _expected(name, exporter)[:2]
    result = verify(path, model, library=library)
    assert result.status == "passed", result.reason
