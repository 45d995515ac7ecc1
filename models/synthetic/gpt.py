"""A decoder: tokens to logits, each token seeing itself and those before it."""

from __future__ import annotations

__all__ = ["gpt"]

import onnx_ir as ir

from graphopt.models.synthetic.block import blocks
from graphopt.models.synthetic.graph_builder import GraphBuilder
from graphopt.models.synthetic.size import Size
from graphopt.models.synthetic.weights import TABLE, linear


def gpt(builder: GraphBuilder, size: Size) -> ir.Model:
    """Token and position tables, blocks under a causal mask, a norm and the vocabulary head."""
    ids = ir.Value(
        name="input_ids",
        type=ir.TensorType(ir.DataType.INT64),
        shape=ir.Shape(["batch", "sequence"]),
    )
    tokens = builder.weight("tokens.weight", (size.vocab, size.hidden), TABLE)
    places = builder.weight("positions.weight", (size.positions, size.hidden), TABLE)
    positions = _positions(builder, ids)
    stream = builder.op(
        "Add",
        "embeddings",
        builder.op("Gather", "tokens", tokens, ids, axis=0),
        builder.op("Gather", "positions", places, positions, axis=0),
    )
    normed = blocks(builder, stream, size, _causal_mask(builder, positions))
    if size.tied:
        head = builder.op("Transpose", "head.weight", tokens, perm=[1, 0])
    else:
        head = builder.weight("head.weight", (size.hidden, size.vocab), linear(size.hidden))
    logits = builder.op("MatMul", "logits", normed, head)
    logits.type = ir.TensorType(builder.dtype)
    logits.shape = ir.Shape(["batch", "sequence", size.vocab])
    return builder.model([ids], [logits])


def _positions(builder: GraphBuilder, ids: ir.Value) -> ir.Value:
    """0, 1, ..., sequence - 1."""
    shape = builder.op("Shape", "shape", ids)
    length = builder.op("Gather", "length", shape, builder.constant("one", 1), axis=0)
    zero, step = builder.constant("first", 0), builder.constant("step", 1)
    return builder.op("Range", "places", zero, length, step)


def _causal_mask(builder: GraphBuilder, positions: ir.Value) -> ir.Value:
    """[sequence, sequence]: 0 where the column is not after the row, else the lowest number."""
    rows = builder.op("Unsqueeze", "rows", positions, builder.constant("row_axis", [1]))
    columns = builder.op("Unsqueeze", "columns", positions, builder.constant("column_axis", [0]))
    seen = builder.op("LessOrEqual", "seen", columns, rows)
    lowest = float(ir.DataType(builder.dtype).min)
    return builder.op(
        "Where", "mask", seen, builder.constant("shown", 0.0), builder.constant("hidden", lowest)
    )
