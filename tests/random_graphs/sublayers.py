"""What stands between a norm and the residual Add: perceptrons, attention, gates."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tests.random_graphs.builder import Builder
from tests.random_graphs.linear import linear
from tests.random_graphs.norms import layer_norm
from tests.random_graphs.tensors import Dim, Tensor

__all__ = ["activation", "attend", "sublayer"]


def activation(g: Builder, x: Tensor) -> Tensor:
    kind = g.below(5)
    if kind == 0:
        return g.unary("Tanh", x)
    if kind == 1 and not g.smooth:
        return g.unary("Relu", x)
    if kind == 2:
        return g.binary("Mul", x, g.unary("Sigmoid", x))
    if kind == 3 and g.opset >= 20:
        return g.unary("Gelu", x, approximate=g.pick(["none", "tanh"]))
    return g.unary("Sigmoid", x)


def sublayer(g: Builder, x: Tensor, memory: Tensor | None = None) -> Tensor:
    """A map from x to a tensor of the same dimensions; attention may read ``memory``."""
    kinds: list[Callable[[Builder, Tensor], Tensor]] = [_linear, _perceptron, _gated]
    if x.is_last and x.rank in (2, 3) and x.dims[-2].least >= 2:
        kinds += [lambda g, x: _attention(g, x, memory or x)] * (5 if memory else 2)
    if x.is_last and x.rank > 1 and x.dims[-2].is_static and x.dims[-2].least >= 3:
        kinds.append(_mixer)
    y = g.pick(kinds)(g, x)
    if g.chance(12):
        shape = [x.size] + [1] * (x.rank - 1 - x.axis)
        y = g.binary("Mul", y, g.constant(g.normal(shape)), flip=g.chance(30))
    return y


def _linear(g: Builder, x: Tensor) -> Tensor:
    return linear(g, x, x.size)


def _perceptron(g: Builder, x: Tensor) -> Tensor:
    return linear(g, activation(g, linear(g, x, 2 + g.below(5))), x.size)


def _gated(g: Builder, x: Tensor) -> Tensor:
    size = 2 + g.below(4)
    gate = activation(g, linear(g, x, size))
    return linear(g, g.binary("Mul", gate, linear(g, x, size)), x.size)


def _mixer(g: Builder, x: Tensor) -> Tensor:
    """Maps over the features, then norms and maps over the tokens."""
    y = linear(g, x, x.size)
    swapped = [*range(x.rank - 2), x.rank - 1, x.rank - 2]
    tokens = dataclasses.replace(g.transpose(y, swapped), axis=x.rank - 1)
    mixed = [
        linear(g, layer_norm(g, tokens, fused=True), tokens.size) for _ in range(1 + g.below(3))
    ]
    total = g.node("Sum", list(mixed), tokens.dims, tokens.axis)
    return dataclasses.replace(g.transpose(total, swapped), axis=x.axis)


def _heads(g: Builder, x: Tensor, heads: int, size: int) -> Tensor | None:
    """[..., S, heads * size] to [..., heads, S, size]."""
    split = g.reshape(x, (*x.dims[:-1], Dim.static(heads), Dim.static(size)), x.rank)
    if split is None:
        return None
    rank = split.rank
    return g.transpose(split, [*range(rank - 3), rank - 2, rank - 3, rank - 1])


def _attention(g: Builder, x: Tensor, memory: Tensor) -> Tensor:
    heads, size = 1 + g.below(2), 3 + g.below(2)
    width = heads * size
    queries = linear(g, x, width)
    if g.chance(25):
        keys, values = _packed(g, memory, width)
    else:
        keys, values = linear(g, memory, width), linear(g, memory, width)
    if heads > 1:
        split = [_heads(g, part, heads, size) for part in (queries, keys, values)]
        if None not in split:
            queries, keys, values = (part for part in split if part is not None)
    if g.chance(25):
        queries, keys = layer_norm(g, queries, fused=g.smooth), layer_norm(g, keys, fused=g.smooth)
    mixed = attend(g, queries, keys, values)
    if mixed.rank > x.rank:
        rank = mixed.rank
        mixed = g.transpose(mixed, [*range(rank - 3), rank - 2, rank - 3, rank - 1])
        merged = g.reshape(mixed, (*x.dims[:-1], Dim.static(width)), x.rank - 1)
        if merged is None:
            return linear(g, x, x.size)
        mixed = merged
    return linear(g, mixed, x.size)


def _packed(g: Builder, x: Tensor, width: int) -> tuple[Tensor, Tensor]:
    both = linear(g, x, 2 * width)
    dims = [[*x.dims[:-1], Dim.static(width)]] * 2
    sizes = g.constant([width, width])
    first, second = g.node_outputs("Split", [both, sizes], dims, x.axis, axis=-1)
    return first, second


def attend(g: Builder, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """softmax(q k^T) v over the last two axes."""
    rank = keys.rank
    turned = g.transpose(keys, [*range(rank - 2), rank - 1, rank - 2])
    dims = [*queries.dims[:-1], keys.dims[-2]]
    scores = g.node("MatMul", [queries, turned], dims, queries.rank - 1)
    if g.chance(30):
        scores = g.binary("Mul", scores, g.constant(0.5))
    weights = g.unary("Softmax", scores, axis=-1)
    return g.node("MatMul", [weights, values], [*dims[:-1], values.dims[-1]], queries.rank - 1)
