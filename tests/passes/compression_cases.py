"""Graphs that are compressed: what a case says, how it is built, and how it is checked.

Every case is checked in float64, in both bases, for two sets of sizes, and by shape inference of
the result: ONNX Runtime reads [8, 3, 7] as [21, 8] where a Reshape to [-1, 8] was forgotten, and
says nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest

from graphopt.passes.infer_shapes import InferShapes
from tests.passes.graphs import Outcome, graph, optimized

BASES = pytest.mark.parametrize("basis", ["orthonormal", "drop"])


@dataclasses.dataclass(frozen=True)
class Case:
    """One graph and what is compressed in it.

    Attributes:
        body: The graph as text.
        weights: Its random constants.
        compressed: Names of the norms that are compressed, separated by blanks.
        shrinks: Names of values that hold one feature less in the result.
        whole: For each converted norm that is not compressed a part of the reason.
        encoders: Names of the values that an encoder stands behind.
        decoders: Names of the values that a decoder stands behind.
        sizes: Number of sizes that are edited.
        given: Further arguments of ``graph``.
        options: Options of the pipeline.
    """

    body: str
    weights: str = ""
    compressed: str = ""
    shrinks: str = ""
    whole: Mapping[str, str] = dataclasses.field(default_factory=dict)
    encoders: str = ""
    decoders: str = ""
    sizes: int = 0
    given: Mapping[str, object] = dataclasses.field(default_factory=dict)
    options: Mapping[str, object] = dataclasses.field(default_factory=dict)


def norms(stream: str) -> str:
    """Two norms of one stream, each read by a linear map: together they are worth a decoder."""
    return f"""n = LayerNormalization<axis=-1>({stream}, g, c) p = MatMul(n, v) p2 = Add(p, e)
        m = LayerNormalization<axis=-1>({stream}, h, c) q = MatMul(m, u) y = Add(p2, q)"""


def chain(readers: str) -> str:
    """A residual stream x, s, t with a norm on each, and readers of t, the last."""
    return f"""x = MatMul(a, w) n = LayerNormalization<axis=-1>(x, g, c) p = MatMul(n, w8)
        p2 = Add(p, b) s = Add(x, p2) m = LayerNormalization<axis=-1>(s, h, c) q = MatMul(m, u8)
        q2 = Add(q, b) t = Add(s, q2) {readers}"""


CHAIN = "w[4,8] g[8] c[8] w8[8,8] b[8] h[8] u8[8,8] k[8] v[8,6] "
ALL = "x p p2 s q q2 t"
"""What shrinks in a chain that is compressed to its end."""

NORMS = "g[8] c[8] h[8] v[8,6] e[6] u[8,6] "


def check(case: Case, basis: str) -> None:
    """Compress the graph of ``case``; assert all that the case says of the result."""
    model = graph(case.body, case.weights, **case.given)
    outcome = optimized(model, variant="crms", basis=basis, **case.options)
    norms = outcome.summary.norms
    reasons = {norm.name: norm.uncompressed for norm in norms if norm.uncompressed}
    assert {norm.name for norm in norms if norm.compressed} == set(case.compressed.split()), reasons
    assert reasons.keys() == case.whole.keys(), reasons
    for norm, part in case.whole.items():
        assert part in reasons[norm]
    changes = outcome.summary.basis_changes
    for kind, names in (("encoder", case.encoders), ("decoder", case.decoders)):
        assert {c.value for c in changes if c.kind == kind} == set(names.split())
        assert outcome.counts[f"{kind}s"] == len(names.split())
    assert outcome.counts["sizes edited"] == case.sizes
    _assert_shapes(outcome, set(case.shrinks.split()))


def _assert_shapes(outcome: Outcome, shrinks: set[str]) -> None:
    """Shape inference of the result sees 7 features where 8 were, and everywhere else what was."""
    InferShapes()(before := outcome.before.clone())
    InferShapes()(after := outcome.after)
    sizes = {v.name: v.shape for n in before.graph.all_nodes() for v in n.outputs}
    seen = set()
    for node in after.graph.all_nodes():
        for value in node.outputs:
            if value.name in shrinks:
                was, now = list(sizes[value.name]), list(value.shape)
                assert now == [7 if dim == 8 else dim for dim in was], value.name
                seen.add(value.name)
    assert seen == shrinks
