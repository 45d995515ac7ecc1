"""On random blocks of attention, under masks of every kind, what is cleaned up changes no entry."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphopt.evaluation import evaluate
from graphopt.passes import pipeline
from tests.random_graphs import RandomGraph
from tests.random_graphs.masked_attention import masked_attention

_OPTIONS = st.sampled_from([pipeline.Options(ops=ops) for ops in ("standard", "ort", "custom")])
_SETTINGS = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
_SEEN: Counter[str] = Counter()


@given(masked_attention(), _OPTIONS)
@settings(_SETTINGS, max_examples=150)
def test_every_row_of_random_attention_is_as_it_was(
    graph: RandomGraph, options: pipeline.Options
) -> None:
    _check(graph, options)


def test_random_attention_has_what_is_cleaned_up() -> None:
    kinds = {"idle masks dropped", "NaN guards dropped", "NaN guards moved"}
    kinds |= {"reshaped transposes", "scales folded"}
    if _SEEN:  # the test above ran in this process
        assert kinds <= {kind for kind, count in _SEEN.items() if count}


@pytest.mark.slow
@given(masked_attention(), _OPTIONS)
@settings(_SETTINGS, max_examples=5_000)
def test_every_row_of_five_thousand_random_blocks_is_as_it_was(
    graph: RandomGraph, options: pipeline.Options
) -> None:
    _check(graph, options)


def _check(graph: RandomGraph, options: pipeline.Options) -> None:
    optimized = graph.model()
    _, records = pipeline.run(optimized, options)
    for record in records:
        _SEEN.update(record.detail)
    for feed in graph.inputs:
        expected, found = evaluate(graph.model(), feed), evaluate(optimized, feed)
        for name, array in expected.items():
            assert np.isfinite(array).all()
            error = np.abs(found[name] - array).max() / np.abs(array).max()
            assert error <= 1e-9
