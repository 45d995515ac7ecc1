"""Moved guards run on nothing, too: no samples, no queries, no keys, in the oldest release."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.passes.move_nan_guards import MoveNanGuards
from tests.passes.attention import records
from tests.passes.graphs import graph
from tests.versions.environments import needs_python_of, run_models

_BODY = """
    t = MatMul(q, k) m = Where(c, zero, infinite) s = Add(t, m) p = Softmax<axis=-1>(s)
    n = IsNaN(p) g = Where(n, zero, p) o = MatMul(g, v) y = Neg(o)
"""
_NUMBERS = {"zero": np.array(0, np.float32), "infinite": np.array(-np.inf, np.float32)}


def _model() -> ir.Model:
    return graph(
        _BODY,
        inputs="float[B,2,S,3] q, float[B,2,3,T] k, float[B,2,T,4] v, bool[B,1,S,T] c",
        outputs="float y",
        constants=_NUMBERS,
        float64=False,
    )


@pytest.mark.slow
@needs_python_of("1.20.1")
@pytest.mark.parametrize("sizes", [(0, 3, 5), (2, 0, 5), (2, 3, 0)])
def test_nothing_is_attended_to(sizes: tuple[int, int, int], tmp_path: Path) -> None:
    batch, queries, keys = sizes
    shapes = {
        "q": (batch, 2, queries, 3),
        "k": (batch, 2, 3, keys),
        "v": (batch, 2, keys, 4),
        "c": (batch, 1, queries, keys),
    }
    given = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    given["c"] = given["c"].astype(bool)
    original, moved = _model(), _model()
    assert records(moved, MoveNanGuards()) == {"NaN guards moved": 1}
    for name, model in (("original", original), ("moved", moved)):
        ir.save(model, tmp_path / f"{name}.onnx")
        np.savez(tmp_path / f"{name}.in.npz", **given)
    run_models("1.20.1", tmp_path)
    for name in ("original", "moved"):
        error = tmp_path / f"{name}.error"
        assert not error.exists(), error.read_text()
        found = np.load(tmp_path / f"{name}.out.npz")["y"]
        np.testing.assert_array_equal(found, np.zeros((batch, 2, queries, 4), np.float32))
