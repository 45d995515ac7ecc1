"""One block of attention as exporters write it, and the padding that its masks must bear."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes import pipeline
from graphopt.passes.infer_shapes import InferShapes
from tests.onnx_runtime import OptimizedSession
from tests.passes.graphs import graph, random_array

__all__ = [
    "MASKS",
    "PADDING",
    "assert_fused",
    "assert_same",
    "block",
    "changed",
    "feeds",
    "records",
]

LOWEST = np.float32(-3.4028234663852886e38)
_CONSTANTS = {
    "i0": np.array([0], np.int64),
    "i1": np.array([1], np.int64),
    "i12": np.array([1, 2], np.int64),
    "i2": np.array([2], np.int64),
    "last": np.array([-1], np.int64),
    "last_but_one": np.array([-2], np.int64),
    "first": np.array([-(2**63)], np.int64),
    "end": np.array([2**63 - 1], np.int64),
    "four": np.array([4], np.int64),
    "zero_index": np.array(0, np.int64),
    "one_index": np.array(1, np.int64),
    "zero": np.array(0, np.float32),
    "one": np.array(1, np.float32),
    "lowest": np.array(LOWEST),
    "low": np.array(-1e4, np.float32),
    "infinite": np.array(-np.inf, np.float32),
    "yes": np.array(True),
    "half": np.array(0.7, np.float32),
}
_WEIGHTS = "wq[8,8] wk[8,8] wv[8,8] wo[8,8] bq[8] bk[8] bv[8]"

_SIZES = """
    shape = Shape(x) batch = Gather<axis=0>(shape, i0) length = Gather<axis=0>(shape, i1)
    by_head = Concat<axis=0>(batch, length, last, four)
    joined = Concat<axis=0>(batch, length, last)
    count = Squeeze(length) places = Range(zero_index, count, one_index)
    columns = Unsqueeze(places, i0) rows = Unsqueeze(places, i1)
    causal = LessOrEqual(columns, rows)
    token = Cast<to=9>(m) tokens = Unsqueeze(token, i12)
"""
_PROJECTIONS = """
    q0 = MatMul(x, wq) q1 = Add(q0, bq) q2 = Reshape(q1, by_head)
    k0 = MatMul(x, wk) k1 = Add(k0, bk) k2 = Reshape(k1, by_head)
    v0 = MatMul(x, wv) v1 = Add(v0, bv) v2 = Reshape(v1, by_head)
    q3 = Transpose<perm=[0,2,1,3]>(q2) k3 = Transpose<perm=[0,2,1,3]>(k2)
    v = Transpose<perm=[0,2,1,3]>(v2)
"""
_KEYS = """
    ks = Shape(k3) kd = Slice(ks, last, end) kt = Slice(ks, last_but_one, last)
    kb = Slice(ks, first, last_but_one)
    folded = Concat<axis=0>(last, kt, kd) k4 = Reshape(k3, folded)
    k5 = Transpose<perm=[0,2,1]>(k4)
    unfolded = Concat<axis=0>(kb, kd, kt) k6 = Reshape(k5, unfolded)
"""
_SCORES = "q = Mul(q3, half) k = Mul(k6, half) s0 = MatMul(q, k)"
_GUARD = "p0 = Softmax<axis=-1>(s) nan = IsNaN(p0) p = Where(nan, zero, p0)"
_RESULT = """
    o0 = MatMul(p, v) o1 = Transpose<perm=[0,2,1,3]>(o0) o2 = Reshape(o1, joined)
    y = MatMul(o2, wo)
"""
_KEEP = "keep = And(causal, tokens)"

MASKS: dict[str, tuple[str, bool, int]] = {
    "finite": (f"{_KEEP} mask = Where(keep, zero, lowest) s = Add(s0, mask)", True, 0),
    "infinite": (f"{_KEEP} mask = Where(keep, zero, infinite) s = Add(s0, mask)", False, 0),
    "constant true": (
        """whole = GreaterOrEqual(rows, zero_index) mask = Where(whole, zero, infinite)
        s = Add(s0, mask)""",
        True,
        1,
    ),
    "true and finite": (
        """all = And(yes, causal) keep = And(all, tokens) mask = Where(keep, zero, lowest)
        s = Add(s0, mask)""",
        True,
        1,
    ),
    "two finite ones added": (
        """one_mask = Where(causal, zero, lowest) other_mask = Where(tokens, zero, lowest)
        mask = Add(one_mask, other_mask) s = Add(s0, mask)""",
        False,
        0,
    ),
    "two low ones added": (
        """one_mask = Where(causal, zero, low) other_mask = Where(tokens, zero, low)
        mask = Add(one_mask, other_mask) s = Add(s0, mask)""",
        True,
        0,
    ),
    "finite, in place of scores": (f"{_KEEP} s = Where(keep, s0, lowest)", True, 0),
    "infinite, in place of scores": (f"{_KEEP} s = Where(keep, s0, infinite)", False, 0),
    "integers times lowest": (
        """number = Cast<to=1>(m) numbers = Unsqueeze(number, i12) rest = Sub(one, numbers)
        mask = Mul(rest, lowest) s = Add(s0, mask)""",
        False,
        0,
    ),
    "integers times low": (
        """number = Cast<to=1>(m) numbers = Unsqueeze(number, i12) rest = Sub(one, numbers)
        mask = Mul(rest, low) s = Add(s0, mask)""",
        True,
        0,
    ),
    "numbers that are hidden where they are not zero": (
        """number = Cast<to=1>(m) numbers = Unsqueeze(number, i12) rest = Sub(one, numbers)
        hidden = Cast<to=9>(rest) mask = Where(hidden, lowest, rest) s = Add(s0, mask)""",
        True,
        0,
    ),
    "an input": ("number = Unsqueeze(f, i12) s = Add(s0, number)", False, 0),
    "none": ("s = Identity(s0)", True, 0),
}
"""What computes the masked scores s from s0; whether the guard goes; how many masks are idle."""

PADDING: dict[str, np.ndarray] = {
    "none": np.ones((3, 5), np.int64),
    "left": np.array([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 1]]),
    "right": np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]]),
    "a whole row": np.array([[1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 1, 0]]),
}
"""Masks of three sequences of different lengths. With causal scores, left padding and "a whole row"
mask rows of the scores from end to end."""


def block(mask: str, *, float64: bool = True) -> ir.Model:
    """The block with one of MASKS: float[B,S,8] x, int64[B,S] m, float[B,S] f to float y."""
    body = _SIZES + _PROJECTIONS + _KEYS + _SCORES + " " + MASKS[mask][0] + _GUARD + _RESULT
    return graph(
        body,
        _WEIGHTS,
        inputs="float[B,S,8] x, int64[B,S] m, float[B,S] f",
        constants=_CONSTANTS,
        opset=20,
        float64=float64,
    )


def feeds(padding: str, dtype: type[np.floating]) -> dict[str, np.ndarray]:
    """Inputs of the block with one of PADDING."""
    mask = PADDING[padding]
    x = random_array("x", (*mask.shape, 8)).astype(dtype)
    return {"x": x, "m": mask, "f": np.where(mask, 0, -np.inf).astype(dtype)}


def records(model: ir.Model, *passes: ir.passes.InPlacePass) -> dict[str, int]:
    """Run the passes on the model, and say what they counted, zeros left out."""
    found: dict[str, int] = {}
    for each in (InferShapes(), *passes):
        each(model)
        found |= {name: count for name, count in getattr(each, "record", {}).items() if count}
    return found


def changed(body: str, changes: Mapping[str, str]) -> str:
    """The text with something else written instead of each key, which must be there."""
    for old, new in changes.items():
        assert old in body, old
        body = body.replace(old, new)
    return body


def assert_same(original: ir.Model, model: ir.Model, given: Mapping[str, np.ndarray]) -> None:
    """Two float32 models agree to the last digits in ONNX Runtime, and to 1e-9 in float64."""
    wide = {n: a.astype(np.float64) if a.dtype == np.float32 else a for n, a in given.items()}
    expected, found = (evaluate(cast_to_float64(each), wide) for each in (original, model))
    before, after = (OptimizedSession(each).run(given) for each in (original, model))
    for name, array in expected.items():
        assert np.abs(found[name] - array).max() <= 1e-9 * np.abs(array).max()
        assert np.abs(after[name] - before[name]).max() <= 2e-6 * np.abs(before[name]).max()


def assert_fused(mask: str, options: pipeline.Options, *, fused: bool) -> None:
    """Whether attention becomes an operator; no padding shows."""
    original, model = block(mask, float64=False), block(mask, float64=False)
    _, found = pipeline.run(model, options)
    counts = {name: count for record in found for name, count in record.detail.items()}
    assert counts["attentions fused"] == fused
    sessions = [OptimizedSession(each) for each in (original, model)]
    for padding in PADDING:
        given = feeds(padding, np.float32)
        before, after = (session.run(given)["y"] for session in sessions)
        assert np.abs(after - before).max() <= 1e-6 * np.abs(before).max()
