"""Every fact is true of what ONNX Runtime computes, and what can be proved is not lost."""

from __future__ import annotations

import pytest

from tests.passes.facts.op_graphs import GRAPHS, believed, covered, feeds_of, model_of
from tests.passes.facts.runs import Facts, Run


@pytest.mark.parametrize("name", GRAPHS)
def test_what_is_inferred_of_an_op_is_true_of_every_run(name: str) -> None:
    model = model_of(name)
    run, facts = Run(model), Facts()
    for feeds in feeds_of(model, seed=1):
        found = run.check(feeds)
        if found is not None:
            facts.add(found)
    assert facts.wrong == []
    assert facts.runs >= 2, "ONNX Runtime takes none of the inputs"


def test_every_op_that_is_believed_has_a_graph() -> None:
    assert believed() - covered() == set()
