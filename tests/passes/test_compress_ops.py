"""Every op that carries a stream carries one of d - 1 features, too, or says that it cannot."""

from __future__ import annotations

from unittest import mock

import pytest

from graphopt.passes.planning import compression
from tests.passes.graphs import Case, cases, graph, optimized
from tests.passes.streams import moving_fragments as movement
from tests.passes.streams import test_algebra_elementwise as elementwise

FRAGMENTS = {
    **{fragment: elementwise.fragment_case(fragment) for fragment in elementwise.COMMUTES},
    **{
        fragment: movement.fragment_case(fragment, **k)
        for fragment, (_, k) in movement.COMMUTES.items()
    },
}


@pytest.mark.parametrize("basis", ["orthonormal", "drop"])
@cases({f: case for f, case in FRAGMENTS.items() if case.given.get("opset", 17) >= 13})
def test_what_is_compressed_stays_the_same_function(case: Case, basis: str) -> None:
    """At any price, so that each stream is compressed that can be; the outputs agree to 1e-9."""
    body = case.body.replace("z = Layer", "nz = Layer") + " z = MatMul(nz, w85)"
    body = body.replace("y = Layer", "ny = Layer") + " y = MatMul(ny, w85)"
    model = graph(body, f"{case.weights} w85[8,5]", **case.given)
    with mock.patch.object(compression, "_SHARE_OF_DECODER", 50.0):
        outcome = optimized(model, variant="crms", basis=basis)
    assert outcome.converted == {"ny", "nz"}
    assert {norm.name for norm in outcome.summary.norms if norm.compressed} == {"ny", "nz"}
    whole = "ScatterElements" in body  # its indices keep their d entries
    assert (outcome.counts["encoders"] > 0) == whole
