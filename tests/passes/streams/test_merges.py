"""Streams through If: a result is centred where both branches give it centred.

Every graph is run with both conditions, in float64 and in ONNX Runtime, and compressed, too.
"""

from __future__ import annotations

import dataclasses
from unittest import mock

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.passes import pipeline
from graphopt.passes.planning import compression
from tests.onnx_runtime import OptimizedSession
from tests.passes.graphs import Case, assert_outcome, cases, graph
from tests.passes.streams.forks import both_conditions
from tests.passes.streams.graphs_with_if import ALL


@cases(ALL)
@both_conditions
def test_streams_through_if(case: Case, on: bool) -> None:
    assert_outcome(dataclasses.replace(case, options={"feeds": {"on": np.array(on)}}))


@cases(ALL)
@pytest.mark.parametrize("variant", ["rms", "crms"])
def test_onnx_runtime_runs_both_branches(case: Case, variant: str) -> None:
    model = graph(case.body, case.weights, float64=False, **case.given)
    after = model.clone()
    options = pipeline.Options(ops="standard", variant=variant)
    with mock.patch.object(compression, "_SHARE_OF_DECODER", 50.0):
        pipeline.run(after, options)
    before, now = OptimizedSession(model), OptimizedSession(after)
    generator = np.random.default_rng(5)
    feeds = {}
    for value in model.graph.inputs:
        if value.dtype == ir.DataType.FLOAT:
            shape = [dim if isinstance(dim, int) else 2 for dim in value.shape]
            feeds[value.name] = generator.normal(0.7, 1.0, shape).astype(np.float32)
    for on in (True, False):
        expected = before.run({**feeds, "on": np.array(on)})
        found = now.run({**feeds, "on": np.array(on)})
        for name, truth in expected.items():
            limit = 2e-5 * np.abs(truth).max()
            np.testing.assert_allclose(found[name], truth, rtol=0, atol=limit, err_msg=name)
