"""Centring in graphs with branches, and of what they capture."""

from __future__ import annotations

import numpy as np
import pytest

from tests.passes.graphs import Case, assert_outcome, cases

_W = "w[4,8] w2[4,8] b[8] g[8] c[8] "

NESTED = {
    "a norm in a branch, with weights of the outer graph": Case(
        """z = If (on) <then_branch = yes () => (float[B,S,8] p) {
        q = MatMul(a, w) r = Add(q, b) p = LayerNormalization(r, g, c) },
        else_branch = no () => (float[B,S,8] o) { o = MatMul(a, w2) }>""",
        _W,
        converts="p",
        absorbs="w b",
        given={"inputs": "float[B,S,4] a, bool on", "outputs": "float z"},
    ),
    "a weight that the other branch reads raw": Case(
        """z = If (on) <then_branch = yes () => (float[B,S,8] p) {
        q = MatMul(a, w) p = LayerNormalization(q, g, c) },
        else_branch = no () => (float[B,S,8] o) { o = MatMul(a, w) }>""",
        _W,
        converts="p",
        absorbs="w",
        copies="w",
        given={"inputs": "float[B,S,4] a, bool on", "outputs": "float z"},
    ),
    "a weight that a branch reads raw": Case(
        "x = MatMul(a, w) y = LayerNormalization(x, g, c) "
        """z = If (on) <then_branch = yes () => (float[B,S,8] p) { p = MatMul(a, w) },
        else_branch = no () => (float[B,S,8] o) { o = MatMul(a, w2) }>""",
        _W,
        converts="y",
        absorbs="w",
        copies="w",
        given={"inputs": "float[B,S,4] a, bool on", "outputs": "float y, float z"},
    ),
    "a captured value that two norms of a branch read": Case(
        """x = Relu(a) z = If (on) <then_branch = yes () => (float[B,S,8] p) {
        y = LayerNormalization(x, g, c) o = LayerNormalization(x, g2, c) p = Add(y, o) },
        else_branch = no () => (float[B,S,8] e) { e = Identity(x) }>""",
        "g[8] c[8] g2[8]",
        converts="y o",
        recentres="x",
        given={"inputs": "float[B,S,8] a, bool on", "outputs": "float z"},
    ),
    "a value that a branch makes and two norms read": Case(
        """z = If (on) <then_branch = yes () => (float[B,S,8] p) { x = Relu(a)
        y = LayerNormalization(x, g, c) o = LayerNormalization(x, g2, c) p = Add(y, o) },
        else_branch = no () => (float[B,S,8] e) { e = Identity(a) }>""",
        "g[8] c[8] g2[8]",
        converts="y o",
        recentres="x",
        given={"inputs": "float[B,S,8] a, bool on", "outputs": "float z"},
    ),
}


@cases(NESTED)
@pytest.mark.parametrize("on", [True, False])
def test_norms_of_nested_graphs(case: Case, on: bool) -> None:
    assert_outcome(Case(**{**vars(case), "options": {"feeds": {"on": np.array(on)}}}))
