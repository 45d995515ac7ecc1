"""The results table: what each architecture converts, and why the rest stays."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.inputs import generate_inputs
from graphopt.models import describe
from graphopt.passes import pipeline
from graphopt.passes.report import PlanSummary
from graphopt.verification import verify
from tests.brute_force import convertible_norms
from tests.conftest import ZooModel
from tests.expectations import EXPECTED

_EXPORTERS = {row.name: row.exporters for row in describe()}
CASES = [(name, exporter) for name in EXPECTED for exporter in _EXPORTERS[name]]


def _run_in_float64(path: object) -> tuple[PlanSummary, ir.Model, float]:
    """Optimize the float64 form; the greatest error relative to the greatest output."""
    base = cast_to_float64(ir.load(str(path)))
    candidate = cast_to_float64(ir.load(str(path)))
    summary, _ = pipeline.run(candidate, pipeline.Options(ops="standard"))
    inputs = generate_inputs(base, seed=3).arrays
    expected, found = evaluate(base, inputs), evaluate(candidate, inputs)
    errors = [
        np.abs(found[name] - value).max() / np.abs(value).max()
        for name, value in expected.items()
        if value.dtype == np.float64
    ]
    assert errors
    return summary, candidate, max(errors)


@pytest.mark.parametrize(("name", "exporter"), CASES)
def test_converts_what_it_should_and_stays_the_same_function(
    name: str, exporter: str, zoo_model: ZooModel
) -> None:
    expected = EXPECTED[name]
    summary, candidate, error = _run_in_float64(zoo_model(name, exporter=exporter))
    assert error <= 1e-9
    assert len(summary.norms) == expected.layer_norms
    if expected.converted is not None:
        assert summary.converted in expected.converted
    if expected.recentrings is not None:
        assert len(summary.recentrings) in expected.recentrings
    assert sum(node.op_type == "LayerNormalization" for node in candidate.graph) == (
        expected.layer_norms - summary.converted
    )


@pytest.mark.parametrize(("name", "exporter"), CASES)
def test_runs_alike_in_onnx_runtime(
    name: str, exporter: str, zoo_model: ZooModel, tmp_path: object
) -> None:
    path = zoo_model(name, exporter=exporter)
    candidate = ir.load(path)
    pipeline.run(candidate, pipeline.Options(ops="standard"))
    result = verify(path, candidate)
    assert result.status == "passed", result.reason


REASONS = {
    "gpt2-hidden-tiny": ("hidden_state_1",),
    "bert-base-tiny": ("LayerNormalization",),
    "convnext-t-tiny": ("Conv",),
    "swin-t-tiny": ("LayerNormalization", "Concat"),
}


@pytest.mark.parametrize("name", REASONS)
def test_says_why_a_norm_stays(name: str, zoo_model: ZooModel) -> None:
    model = ir.load(zoo_model(name))
    names = {node.name for node in model.graph.all_nodes()} | set(
        value.name for value in model.graph.outputs
    )
    summary = pipeline.analyse(model, pipeline.Options())
    kept = [norm for norm in summary.norms if not norm.converted]
    assert kept
    for norm in kept:
        assert any(word in norm.reason for word in REASONS[name]), norm.reason
        assert any(str(known) in norm.reason for known in names if known), norm.reason


def test_merges_the_twins_of_parallel_residual_blocks(zoo_model: ZooModel) -> None:
    model = ir.load(zoo_model("pythia-160m-tiny"))
    blocks = EXPECTED["pythia-160m-tiny"].blocks
    _, records = pipeline.run(model, pipeline.Options(ops="standard"))
    merged = next(record for record in records if record.name == "merge-twins")
    assert merged.detail == {"twins merged": blocks}


def test_swin_keeps_every_stream_that_feeds_a_patch_merging(zoo_model: ZooModel) -> None:
    summary = pipeline.analyse(ir.load(zoo_model("swin-t-tiny")), pipeline.Options())
    sizes = [norm.size for norm in summary.norms]
    first, last = min(s for s in sizes if s), sizes[-1]
    kept = [norm for norm in summary.norms if not norm.converted]
    # The norms of the first stage but the patch embedding's, and the one over 4d of the merging.
    assert {norm.size for norm in kept} == {first, 4 * first}
    assert sum(norm.converted for norm in summary.norms if norm.size == first) == 1
    assert all(norm.converted for norm in summary.norms if norm.size == last)


def test_swin_converts_what_a_brute_force_finds(zoo_model: ZooModel) -> None:
    model = cast_to_float64(ir.load(zoo_model("swin-t-tiny")))
    summary = pipeline.analyse(model.clone(), pipeline.Options())
    possible = convertible_norms(model, [generate_inputs(model, seed=1).arrays])
    assert {norm.name for norm in summary.norms if norm.converted} == possible
    assert not summary.recentrings
