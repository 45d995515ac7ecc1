"""The weights that compression copies: as few as can be, and none beyond the bound."""

from __future__ import annotations

import pytest

from tests.passes.compression_cases import BASES
from tests.passes.graphs import graph, optimized


@BASES
def test_a_weight_that_others_read_is_copied_once(basis: str) -> None:
    """Shared layers share their copy, too."""
    body = """x = MatMul(a, w) n = LayerNormalization(x, g) p = MatMul(n, v) r = MatMul(n, v)
        z = MatMul(a2, v) y0 = Add(p, r) y = Add(y0, z)"""
    inputs = "float[B,S,4] a, float[B,S,8] a2"
    model = graph(body, "w[4,8] g[8] v[8,6]", inputs=inputs)
    outcome = optimized(model, variant="crms", basis=basis)
    shapes = sorted(tuple(v.shape) for v in outcome.after.graph.initializers.values())
    assert shapes.count((8, 6)) == 1
    assert shapes.count((7, 6)) == 1


def test_copies_of_readers_count_against_the_growth() -> None:
    """A tied weight is copied for the norm, or, where no byte may be, the norm stays whole."""
    body = """x = MatMul(a, w) n = LayerNormalization(x, g) p = MatMul(n, v)
        z = MatMul(a2, v) y = Add(p, z)"""
    inputs = "float[B,S,4] a, float[B,S,8] a2"
    model = graph(body, "w[4,8] g[8] v[8,6]", inputs=inputs)
    outcome = optimized(model, variant="crms")
    assert outcome.summary.compressed == 1
    assert outcome.copied == {"v": 8 * 8 * 6}
    bounded = optimized(model, variant="crms", max_growth=0.0)
    assert bounded.summary.compressed == 0
    assert bounded.summary.converted == 1
    reasons = [norm.uncompressed for norm in bounded.summary.norms]
    assert reasons == ["the copies of weights that it needs are more than --max-growth allows"]


@pytest.mark.parametrize(("gammas", "copies"), [("gg", 0), ("gh", 1)])
def test_norms_with_one_gamma_share_the_new_weight(gammas: str, copies: int) -> None:
    """As the layers of a model that repeats one: copies are made, reported and bounded alike."""
    body = f"""x = MatMul(a, w) n = LayerNormalization(x, {gammas[0]}) p = MatMul(n, v)
        z = MatMul(a, u) o = LayerNormalization(z, {gammas[1]}) q = MatMul(o, v) y = Add(p, q)"""
    made = {"w": "w[4,8]", "u": "u[4,8]", "v": "v[8,6]", "g": "g[8]", "h": "h[8]"}
    model = graph(body, " ".join(made[name] for name in sorted({"w", "u", "v", *gammas})))
    outcome = optimized(model, variant="crms")
    weights = [v for v in outcome.after.graph.initializers.values() if len(v.shape) == 2]
    assert outcome.summary.compressed == 2
    assert len(weights) == 3 + copies
    assert list(outcome.copied.values()) == [8 * 8 * 6] * copies
    bounded = optimized(model, variant="crms", max_growth=0.0)
    assert bounded.summary.compressed == 2 - 2 * copies


def test_a_constant_in_two_forms_counts_against_the_growth() -> None:
    """One map writes a compressed stream, and by the same weight one that stays whole."""
    body = """x = MatMul(a, w) n = LayerNormalization(x, g) y = Relu(n)
        x2 = MatMul(a2, w) o = LayerNormalization(x2, g) q = MatMul(o, m)"""
    inputs, outputs = "float[B,S,64] a, float[B,S,64] a2", "float y, float q"
    model = graph(body, "w[64,8] g[8] m[8,5]", inputs=inputs, outputs=outputs)
    outcome = optimized(model, variant="crms")
    assert (outcome.summary.compressed, outcome.copied) == (1, {"w": 8 * 64 * 8})
    bounded = optimized(model, variant="crms", max_growth=0.0)
    assert (bounded.summary.compressed, bounded.copied) == (0, {})
    assert bounded.summary.converted == 2


def test_a_weight_that_one_norm_reads_twice_is_not_copied() -> None:
    body = """x = MatMul(a, w) n = LayerNormalization(x, g) p = MatMul(n, v) r = MatMul(n, v)
        y = Add(p, r)"""
    outcome = optimized(graph(body, "w[4,8] g[8] v[8,6]"), variant="crms")
    assert outcome.counts["readers absorbed"] == 2
    assert list(outcome.after.graph.initializers["v"].shape) == [7, 6]
