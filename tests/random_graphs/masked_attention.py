"""Random blocks of attention, with masks, scales and guards in the spellings of exporters."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from hypothesis import strategies as st

from tests.random_graphs import RandomGraph
from tests.random_graphs.builder import Builder
from tests.random_graphs.linear import linear
from tests.random_graphs.tensors import Dim, Tensor

__all__ = ["masked_attention"]

_FILLS = (-1e4, -3.4e38, -np.inf)


@st.composite
def masked_attention(draw: st.DrawFn) -> RandomGraph:
    """Strategy of one or two blocks; a mask may leave nothing of a row."""
    g = Builder(lambda n: draw(st.integers(0, n - 1)), opset=18)
    heads, size = 1 + g.below(3), 2 + g.below(2)
    tokens = g.pick([Dim.static(4), Dim((4, 5), "S")])
    x = g.input([Dim((2, 3), "B"), tokens, Dim.static(heads * size)], 2)
    for _ in range(1 + g.below(2)):
        x = g.binary("Add", x, _block(g, x, heads, size))
    g.output(x)
    return RandomGraph(ir.serde.serialize_model(g.model()), tuple(g.arrays))


def _block(g: Builder, x: Tensor, heads: int, size: int) -> Tensor:
    scale = g.pick(["none", "both", "scores", "queries"])
    q, k, v = _projected(g, x, heads * size)
    if scale == "queries":
        q = g.binary(g.pick(["Mul", "Div"]), q, g.constant(0.7))
    q, k, v = (_split(g, part, heads, size) for part in (q, k, v))
    if g.chance(20):
        q = g.unary("Neg", q)
    keys = _turned(g, k)
    if scale == "both":
        q, keys = (g.binary("Mul", part, g.constant(0.7)) for part in (q, keys))
    scores = g.node("MatMul", [q, keys], [*q.dims[:-1], k.dims[-2]], 3)
    if scale == "scores":
        scores = g.binary(g.pick(["Mul", "Div"]), scores, g.constant(1.7))
    mixed = g.node("MatMul", [_weights(g, scores), v], v.dims, 3)
    merged = g.reshape(g.transpose(mixed, [0, 2, 1, 3]), x.dims, 2)
    assert merged is not None
    return linear(g, merged, x.size)


def _projected(g: Builder, x: Tensor, width: int) -> list[Tensor]:
    if g.chance(60):
        return [linear(g, x, width) for _ in range(3)]
    joint = linear(g, x, 3 * width)
    dims = [[*x.dims[:-1], Dim.static(width)]] * 3
    return g.node_outputs("Split", [joint, g.constant([width] * 3)], dims, 2, axis=-1)


def _split(g: Builder, x: Tensor, heads: int, size: int) -> Tensor:
    dims = [*x.dims[:-1], Dim.static(heads), Dim.static(size)]
    wide = g.node("Reshape", [x, g.constant([0, 0, heads, size])], dims, 3)
    return g.transpose(wide, [0, 2, 1, 3])


def _turned(g: Builder, k: Tensor) -> Tensor:
    """Keys with their last two axes swapped, or through a Reshape as PyTorch's exporters do it."""
    if k.dims[2].is_static and g.chance(50):
        _, heads, tokens, size = k.dims
        folded = [g.product([k.dims[0], heads]), tokens, size]
        flat = g.node("Reshape", [k, g.constant([-1, tokens.least, size.least])], folded, 2)
        turned = g.transpose(flat, [0, 2, 1])
        sizes = g.constant([-1, heads.least, size.least, tokens.least])
        return g.node("Reshape", [turned, sizes], [k.dims[0], heads, size, tokens], 2)
    return g.transpose(k, [0, 1, 3, 2])


def _weights(g: Builder, scores: Tensor) -> Tensor:
    guarded = g.chance(50)
    for _ in range(g.below(3)):
        scores, needed = _masked(g, scores)
        guarded = guarded or needed
    weights = g.unary("Softmax", scores, axis=-1)
    if guarded:
        nan = g.unary("IsNaN", weights)
        weights = g.node("Where", [nan, g.constant(0.0), weights], weights.dims, 3)
    return weights


def _masked(g: Builder, scores: Tensor) -> tuple[Tensor, bool]:
    """The scores under a mask, and whether a row may be nothing but -Inf."""
    batch, _, _, keys = scores.dims
    kind = g.pick(["zeros", "true", "added", "chosen", "weighted", "given"])
    fill = g.pick(_FILLS)
    one = Dim.static(1)
    if kind == "zeros":
        return g.binary("Add", scores, g.constant(0.0), flip=g.chance(50)), False
    if kind == "given":
        mask = g.input([one, one, one, keys], draw=lambda shape: _ones(g, shape) * -1e30)
        return g.binary("Add", scores, mask), True
    keep = g.input(
        [batch, one, one, keys],
        draw=lambda shape: _ones(g, shape).astype(bool),
        dtype=ir.DataType.BOOL,
    )
    if kind == "true":
        yes = g.constant(1.0)
        always = g.node("Cast", [yes], [], to=ir.DataType.BOOL.value)
        mask = g.node("Where", [always, g.constant(0.0), g.constant(fill)], [])
        return g.binary("Add", scores, mask), False
    if kind == "weighted":
        number = g.node("Cast", [keep], keep.dims, to=ir.DataType.DOUBLE.value)
        mask = g.binary("Mul", number, g.constant(-1e4))
        return g.binary("Add", scores, mask), False
    if kind == "chosen":
        chosen = g.node("Where", [keep, scores, g.constant(fill)], scores.dims, 3)
        return chosen, fill == -np.inf
    mask = g.node("Where", [keep, g.constant(0.0), g.constant(fill)], keep.dims)
    return g.binary("Add", scores, mask), fill == -np.inf


def _ones(g: Builder, shape: tuple[int, ...]) -> np.ndarray:
    return g.random.integers(0, 2, shape).astype(np.float64)
