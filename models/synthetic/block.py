"""The Pre-LN block that both kinds of synthetic model are made of."""

from __future__ import annotations

__all__ = ["blocks", "norm"]

import math

import onnx_ir as ir

from graphopt.models.synthetic.graph_builder import GraphBuilder
from graphopt.models.synthetic.size import Size
from graphopt.models.synthetic.weights import BIAS, GAMMA

_EPSILON = 1e-5


def blocks(
    builder: GraphBuilder, stream: ir.Value, size: Size, mask: ir.Value | None = None
) -> ir.Value:
    """All blocks, and the norm after the last one.

    Args:
        builder: of the graph.
        stream: the residual stream, [batch, tokens, hidden].
        size: of the model.
        mask: [tokens, tokens], added to the scores of each head.
    """
    for index in range(size.layers):
        name = f"blocks.{index}"
        normed = norm(builder, f"{name}.attention_norm", stream, size)
        change = _attention(builder, f"{name}.attention", normed, size, mask)
        stream = builder.op("Add", f"{name}.middle", stream, change)
        normed = norm(builder, f"{name}.mlp_norm", stream, size)
        stream = builder.op(
            "Add", f"{name}.stream", stream, _mlp(builder, f"{name}.mlp", normed, size)
        )
    return norm(builder, "final_norm", stream, size)


def norm(builder: GraphBuilder, name: str, source: ir.Value, size: Size) -> ir.Value:
    """A LayerNormalization over the features."""
    gamma = builder.weight(f"{name}.weight", (size.hidden,), GAMMA)
    beta = builder.weight(f"{name}.bias", (size.hidden,), BIAS)
    return builder.op("LayerNormalization", name, source, gamma, beta, axis=-1, epsilon=_EPSILON)


def _attention(
    builder: GraphBuilder, name: str, source: ir.Value, size: Size, mask: ir.Value | None
) -> ir.Value:
    width = size.hidden // size.heads
    joint = builder.linear(f"{name}.query_key_value", source, size.hidden, 3 * size.hidden)
    parts = builder.ops(
        "Split",
        [f"{name}.query", f"{name}.key", f"{name}.value"],
        joint,
        builder.constant(f"{name}.parts", [size.hidden] * 3),
        axis=-1,
    )
    heads = builder.constant(f"{name}.heads", [0, 0, size.heads, width])
    # Tokens and features change places in the keys, which are multiplied from the right.
    orders = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
    query, key, value = (
        builder.op(
            "Transpose",
            f"{part.name}.by_head",
            builder.op("Reshape", f"{part.name}.split", part, heads),
            perm=order,
        )
        for part, order in zip(parts, orders, strict=True)
    )
    scale = builder.constant(f"{name}.scale", 1 / math.sqrt(width))
    scaled = builder.op("Mul", f"{name}.scaled", query, scale)
    scores = builder.op("MatMul", f"{name}.scores", scaled, key)
    if mask is not None:
        scores = builder.op("Add", f"{name}.masked", scores, mask)
    shares = builder.op("Softmax", f"{name}.shares", scores, axis=-1)
    mixed = builder.op("MatMul", f"{name}.mixed", shares, value)
    by_token = builder.op("Transpose", f"{name}.by_token", mixed, perm=[0, 2, 1, 3])
    whole = builder.constant(f"{name}.whole", [0, 0, size.hidden])
    joined = builder.op("Reshape", f"{name}.joined", by_token, whole)
    return builder.linear(f"{name}.output", joined, size.hidden, size.hidden)


def _mlp(builder: GraphBuilder, name: str, source: ir.Value, size: Size) -> ir.Value:
    up = builder.linear(f"{name}.up", source, size.hidden, 4 * size.hidden)
    active = _gelu(builder, f"{name}.gelu", up)
    return builder.linear(f"{name}.down", active, 4 * size.hidden, size.hidden)


def _gelu(builder: GraphBuilder, name: str, source: ir.Value) -> ir.Value:
    """x (1 + erf(x / root of 2)) / 2, in the five nodes that exporters write."""
    root = builder.constant(f"{name}.root", math.sqrt(2))
    one, half = (builder.constant(f"{name}.{number}", number) for number in (1.0, 0.5))
    erf = builder.op("Erf", f"{name}.erf", builder.op("Div", f"{name}.scaled", source, root))
    share = builder.op("Add", f"{name}.share", erf, one)
    return builder.op("Mul", name, builder.op("Mul", f"{name}.product", source, share), half)
