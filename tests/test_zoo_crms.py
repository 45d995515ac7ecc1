"""The zoo compressed to d - 1 features, in both bases, in standard and in custom operators."""

from __future__ import annotations

import collections
import itertools

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.inputs import generate_inputs
from graphopt.models import describe
from graphopt.passes import pipeline
from graphopt.passes.graph.axes import FeatureAxis
from graphopt.passes.infer_shapes import InferShapes
from graphopt.passes.planning.plan import make_plan
from graphopt.passes.report import PlanSummary
from graphopt.runtime.library import find_library
from graphopt.verification import verify
from tests.conftest import QUICK, ZooModel
from tests.expectations import EXPECTED, PRICE, compressed
from tests.versions.conditions import needs_transformers

_EXPORTERS = {row.name: row.exporters for row in describe()}
_BASES = ("orthonormal", "drop")
# Older exports compute sizes in another way, and fewer sums are proved to be fit for fusion.
_NEWER_EXPORTS = {
    name: needs_transformers("5.23", "the TorchScript export whose operators are counted")
    for name in ("dinov2-small-tiny", "gpt2-with-past-tiny")
}


def _cases() -> list[object]:
    """Every model, exporter and basis; of each model one is fast, another from row to row."""
    found: list[object] = []
    for row, name in enumerate(EXPECTED):
        every = list(itertools.product(_EXPORTERS[name], _BASES))
        quick = [case for case in every if case[0] in QUICK.get(name, _EXPORTERS[name])]
        for case in every:
            marks = [] if case == quick[row % len(quick)] else [pytest.mark.slow]
            if name in _NEWER_EXPORTS and "torchscript" in case:
                marks.append(_NEWER_EXPORTS[name])
            found.append(pytest.param(name, *case, marks=marks))
    return found


_CASES = _cases()


@pytest.mark.parametrize(("name", "exporter", "basis"), _CASES)
def test_compresses_what_it_should_and_stays_the_same_function(
    name: str, exporter: str, basis: str, zoo_model: ZooModel
) -> None:
    base, candidate = (cast_to_float64(ir.load(zoo_model(name, exporter))) for _ in range(2))
    options = pipeline.Options(variant="crms", basis=basis, ops="standard")
    summary, records = pipeline.run(candidate, options)
    _assert_counts(name, exporter, summary, records)
    _assert_reasons(name, exporter, summary, base)
    inputs = generate_inputs(base, seed=3).arrays
    truth = evaluate(base, inputs)
    axes = _compressed_axes(base, options)
    inner = {v.name for node in candidate.graph.all_nodes() for v in node.outputs} & axes.keys()
    found = evaluate(candidate, inputs, [*truth, *inner])
    for output, expected in truth.items():
        assert found[output].shape == expected.shape
        if expected.dtype == np.float64:
            error = np.abs(found[output] - expected).max()
            assert error <= 1e-9 * np.abs(expected).max(), output
    for value in inner:
        axis = axes[value]
        assert found[value].shape[axis.axis] == axis.size - 1, value
    _assert_sizes(candidate, axes)


def _assert_counts(
    name: str, exporter: str, summary: PlanSummary, records: tuple[pipeline.PassRecord, ...]
) -> None:
    row = compressed(name, exporter)
    counts = {key: count for record in records for key, count in record.detail.items()}
    assert (summary.compressed, counts["encoders"], counts["decoders"]) == (
        row.norms,
        row.encoders,
        row.decoders,
    )
    kinds = collections.Counter(change.kind for change in summary.basis_changes)
    assert (kinds["encoder"], kinds["decoder"]) == (row.encoders, row.decoders)
    assert len(summary.norms) == EXPECTED[name].layer_norms
    if EXPECTED[name].converted is not None:
        assert summary.converted in EXPECTED[name].converted
    if EXPECTED[name].recentrings is not None:
        assert len(summary.recentrings) in EXPECTED[name].recentrings


def _assert_reasons(name: str, exporter: str, summary: PlanSummary, base: ir.Model) -> None:
    """The reasons are of the kinds that are expected; each but that of price names a node."""
    known = {value.name for value in base.graph.outputs}
    known |= {node.name for node in base.graph.all_nodes()}
    kinds = compressed(name, exporter).whole_for
    met = set()
    for norm in summary.norms:
        reason = norm.uncompressed
        assert bool(reason) == (norm.converted and not norm.compressed)
        if reason:
            met |= {kind for kind in kinds if reason.startswith(kind)} or {reason}
            assert known & set(reason.split()) or reason.startswith(PRICE), reason
    assert met == set(kinds)


def _compressed_axes(model: ir.Model, options: pipeline.Options) -> dict[str | None, FeatureAxis]:
    """The feature axis, of d entries before, of every value that the plan compresses."""
    pipeline.analyse(model, options)
    plan = make_plan(model, basis=options.basis)
    streams = itertools.chain(
        plan.compressed, *(plan.affine[norm].between for norm in plan.compressed_norms)
    )
    return {stream.value.name: stream.axis for stream in streams}


def _assert_sizes(model: ir.Model, axes: dict[str | None, FeatureAxis]) -> None:
    """Inference from the inputs alone finds d - 1 features wherever it finds a number.

    ONNX Runtime accepts a Reshape to [-1, d] that was overlooked: [8, 3, 7] becomes [21, 8].
    """
    values = [value for node in model.graph.all_nodes() for value in node.outputs]
    for value in values:
        value.shape = None
    InferShapes()(model)
    sizes = {
        value.name: value.shape[axes[value.name].axis]
        for value in values
        if value.name in axes and value.shape is not None
    }
    static = {name: size for name, size in sizes.items() if isinstance(size, int)}
    assert 2 * len(static) >= len(axes)  # some files compute the sizes of the others
    assert static == {name: axes[name].size - 1 for name in static}


@pytest.mark.parametrize(("name", "exporter", "basis"), _CASES)
def test_runs_alike_in_custom_operators(
    name: str, exporter: str, basis: str, zoo_model: ZooModel
) -> None:
    path = zoo_model(name, exporter=exporter)
    model = ir.load(path)
    pipeline.run(model, pipeline.Options(variant="crms", basis=basis, ops="custom"))
    found = (node.op_type for node in model.graph.all_nodes() if node.domain == "graphopt")
    # Those that end in LayerNorm stay, and are counted in test_zoo_custom_ops.py.
    norms = collections.Counter(name for name in found if name.endswith("RMSNorm"))
    assert norms == _operators(name, exporter, basis)
    for library in {None, find_library("cpu")}:
        result = verify(path, model, library=library)
        assert result.status == "passed", (library, result.reason, result.outputs)


def _operators(name: str, exporter: str, basis: str) -> collections.Counter[str]:
    """How many of each custom operator there are."""
    row = compressed(name, exporter)
    small = "CRMSNorm" if basis == "drop" else "RMSNorm"
    found: collections.Counter[str] = collections.Counter()
    for operator, (plain, fused) in (("RMSNorm", row.whole), (small, row.small)):
        found += {operator: plain, f"Skip{operator}": fused}
    return found
