"""A model that was optimized before is optimized again: its operators come back, every one."""

from __future__ import annotations

from collections import Counter

import onnx_ir as ir
import pytest

from tests.passes.graphs import graph, optimized

_BODY = """x = MatMul(a, w) n = LayerNormalization(x, g, c) p = MatMul(n, v) p2 = Add(p, b)
    s = Add(x, p2) m = LayerNormalization(s, h, c) q = MatMul(m, v) q2 = Add(q, b)
    t = Add(s, q2) l = LayerNormalization(t, k, c) y = MatMul(l, u)"""
_WEIGHTS = "w[4,8] g[8] c[8] v[8,8] b[8] h[8] k[8] u[8,6]"


def _operators(model: ir.Model) -> Counter[str]:
    return Counter(f"{node.domain}.{node.op_type}" for node in model.graph.all_nodes())


@pytest.mark.parametrize("basis", ["none", "orthonormal", "drop"])
def test_optimizing_twice_is_optimizing_once(basis: str) -> None:
    options: dict[str, str] = {"ops": "custom"}
    if basis != "none":
        options |= {"variant": "crms", "basis": basis}
    once = optimized(graph(_BODY, _WEIGHTS), **options)
    assert sum(node.domain == "graphopt" for node in once.after.graph) == 3
    twice = optimized(once.after, **options)
    assert twice.counts["operators read back"] == 3
    assert _operators(twice.after) == _operators(once.after)
    assert twice.after.functions.keys() == once.after.functions.keys()


def test_the_operators_can_be_written_in_another_spelling() -> None:
    once = optimized(graph(_BODY, _WEIGHTS), ops="custom")
    standard = optimized(once.after)
    assert not any(node.domain for node in standard.after.graph)
    assert not standard.after.functions
    assert "graphopt" not in standard.after.graph.opset_imports
