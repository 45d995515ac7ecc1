"""On random graphs the optimizer never fails, is exact in float64, and does what it reports."""

from __future__ import annotations

from collections import Counter
from unittest import mock

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx_ir.passes import common

from graphopt.evaluation import evaluate
from graphopt.passes import pipeline
from graphopt.passes.planning import compression
from graphopt.passes.report import PassRecord, PlanSummary
from tests.random_graphs import RandomGraph, random_graphs

_TOLERANCE = 1e-9
"""Of those that the generator draws."""
_FUSED = ("LayerNorm", "SkipLayerNorm")
_OPTIONS = st.sampled_from(
    [
        pipeline.Options(),
        pipeline.Options(ops="standard"),
        pipeline.Options(ops="ort"),
        pipeline.Options(ops="ort", provider="cuda"),
        pipeline.Options(ops="standard", variant="crms"),
        pipeline.Options(ops="standard", variant="crms", basis="drop"),
        pipeline.Options(ops="standard", max_growth=0.0),
        pipeline.Options(ops="standard", skip=frozenset({"fold-affine"})),
        pipeline.Options(
            ops="standard", skip=frozenset({"fold-layer-scale", "fold-transposes", "merge-twins"})
        ),
    ]
)
_SETTINGS = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@given(random_graphs(), _OPTIONS)
@settings(_SETTINGS, max_examples=200)
def test_optimizing_a_random_graph_keeps_what_it_computes(
    graph: RandomGraph, options: pipeline.Options
) -> None:
    _check(graph, options)


@pytest.mark.slow
@given(random_graphs(), _OPTIONS)
@settings(_SETTINGS, max_examples=10_000)
def test_optimizing_ten_thousand_random_graphs_keeps_what_they_compute(
    graph: RandomGraph, options: pipeline.Options
) -> None:
    _check(graph, options)


@given(random_graphs(), st.sampled_from(["orthonormal", "drop"]))
@settings(_SETTINGS, max_examples=100)
def test_compressing_at_any_price_keeps_what_a_graph_computes(
    graph: RandomGraph, basis: str
) -> None:
    """Encoders and decoders wherever one norm can be had for them."""
    with mock.patch.object(compression, "_SHARE_OF_DECODER", 50.0):
        _check(graph, pipeline.Options(variant="crms", basis=basis, ops="standard"))


def _check(graph: RandomGraph, options: pipeline.Options) -> None:
    optimized = graph.model()
    summary, records = pipeline.run(optimized, options)
    assert pipeline.analyse(graph.model(), options) == summary
    if options.ops == "standard" and graph.is_valid:
        onnx.checker.check_model(ir.to_proto(optimized), full_check=True)
    _check_signature(graph.model(), optimized)
    _check_counts(graph.model(), optimized, summary, records)
    for feed in graph.inputs:
        _check_outputs(graph, optimized, feed)


def _check_signature(original: ir.Model, optimized: ir.Model) -> None:
    for ours, theirs in (
        (original.graph.inputs, optimized.graph.inputs),
        (original.graph.outputs, optimized.graph.outputs),
    ):
        assert [(v.name, v.dtype, v.shape) for v in ours] == [
            (v.name, v.dtype, v.shape) for v in theirs
        ]
    assert optimized.opset_imports[""] == original.opset_imports[""]


def _check_counts(
    original: ir.Model,
    optimized: ir.Model,
    summary: PlanSummary,
    records: tuple[PassRecord, ...],
) -> None:
    """The report names the norms that stay, and counts the conversions and the recentrings."""
    done: Counter[str] = Counter()
    for record in records:
        done.update(record.detail)
    assert done["norms converted"] == summary.converted
    assert done["recentrings"] == len(summary.recentrings)
    kinds = Counter(f"{change.kind}s" for change in summary.basis_changes)
    assert {kind: done[kind] for kind in ("encoders", "decoders") if done[kind]} == kinds
    common.RemoveUnusedNodesPass()(original)
    kept = {norm.name for norm in summary.norms if not norm.converted}
    kept &= {n.name for n in original.graph.all_nodes() if n.op_type == "LayerNormalization"}
    left = {n.name for n in optimized.graph.all_nodes() if n.op_type == "LayerNormalization"}
    fused = {n.name for n in optimized.graph.all_nodes() if n.op_type in _FUSED}
    assert fused <= {norm.name for norm in summary.norms if not norm.converted}
    assert len(fused) == sum(done[op_type] for op_type in _FUSED)
    left |= fused & kept
    assert left <= kept
    assert len(left) + done["SkipLayerNormalization"] == len(kept)


def _check_outputs(graph: RandomGraph, optimized: ir.Model, feed: dict[str, np.ndarray]) -> None:
    expected = evaluate(graph.model(), feed)
    found = evaluate(optimized, feed)
    error = _relative_error(found, expected)
    if error > _TOLERANCE:
        assume(_is_well_conditioned(graph, feed, expected))
    assert error <= _TOLERANCE


def _relative_error(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> float:
    """Greatest error of an output relative to its own greatest entry."""
    assert {name: a.shape for name, a in found.items()} == {
        name: a.shape for name, a in expected.items()
    }
    return max(
        float(np.abs(found[name] - array).max(initial=0.0) / np.abs(array).max(initial=1e-6))
        for name, array in expected.items()
    )


def _is_well_conditioned(
    graph: RandomGraph, feed: dict[str, np.ndarray], expected: dict[str, np.ndarray]
) -> bool:
    """False where rounding could explain an error: weights that move by 1e-13 show it, too."""
    random = np.random.default_rng(0)
    moved = graph.model()
    for value in moved.graph.initializers.values():
        array = None if value.const_value is None else value.const_value.numpy()
        if array is not None and array.dtype == np.float64 and array.ndim:  # no exponent of Pow
            value.const_value = ir.tensor(
                array * (1 + 1e-13 * random.standard_normal(array.shape)), name=value.name
            )
    return _relative_error(evaluate(moved, feed), expected) < _TOLERANCE


def test_an_epsilon_of_float64_is_not_rounded() -> None:
    """A variance near epsilon would show it; the constant of the decomposed norm is of float64."""
    weights = np.linspace(-1, 1, 24).reshape(4, 6) ** 3
    listed = ", ".join(map(repr, weights.reshape(-1).tolist()))
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17]> g (double[N, 4] x) => (double[N, 6] y)
        <double[4, 6] w = {{{listed}}}, double e = {{0.001}}, double two = {{2}}> {{
            h = MatMul (x, w) m = ReduceMean <axes = [-1]> (h) u = Sub (h, m) s = Pow (u, two)
            v = ReduceMean <axes = [-1]> (s) a = Add (v, e) r = Sqrt (a) y = Div (u, r) }}"""
    )
    for scale in (0.05, 50.0):
        feed = {"x": scale * np.random.default_rng(0).normal(size=(3, 4))}
        graph = RandomGraph(ir.to_proto(model), (feed,))
        expected = evaluate(graph.model(), feed)
        assert _is_well_conditioned(graph, feed, expected)
        optimized = graph.model()
        summary, _ = pipeline.run(optimized, pipeline.Options())
        assert summary.converted == 1
        assert _relative_error(evaluate(optimized, feed), expected) <= 1e-14
