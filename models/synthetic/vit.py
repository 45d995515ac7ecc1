"""An encoder of pictures: patches and a class token to the logits of the classes."""

from __future__ import annotations

__all__ = ["vit"]

import onnx_ir as ir

from graphopt.models.synthetic.block import blocks
from graphopt.models.synthetic.graph_builder import GraphBuilder
from graphopt.models.synthetic.size import Size
from graphopt.models.synthetic.weights import BIAS, TABLE, linear

_CHANNELS = 3


def vit(builder: GraphBuilder, size: Size) -> ir.Model:
    """Patches by a convolution, class token, positions, blocks, a norm and the class head."""
    pixels = ir.Value(
        name="pixel_values",
        type=ir.TensorType(builder.dtype),
        shape=ir.Shape(["batch", _CHANNELS, size.image, size.image]),
    )
    patches = _patches(builder, pixels, size)
    tokens = builder.op("Concat", "tokens", _class_tokens(builder, pixels, size), patches, axis=1)
    count = (size.image // size.patch) ** 2 + 1
    places = builder.weight("positions.weight", (1, count, size.hidden), TABLE)
    normed = blocks(builder, builder.op("Add", "embeddings", tokens, places), size)
    pooled = builder.op("Gather", "pooled", normed, builder.constant("class", 0), axis=1)
    logits = builder.linear("logits", pooled, size.hidden, size.vocab)
    logits.type = ir.TensorType(builder.dtype)
    logits.shape = ir.Shape(["batch", size.vocab])
    return builder.model([pixels], [logits])


def _patches(builder: GraphBuilder, pixels: ir.Value, size: Size) -> ir.Value:
    """[batch, patches, hidden]."""
    side = [size.patch, size.patch]
    kernel = (size.hidden, _CHANNELS, *side)
    weight = builder.weight("patches.weight", kernel, linear(_CHANNELS * size.patch**2))
    bias = builder.weight("patches.bias", (size.hidden,), BIAS)
    grid = builder.op("Conv", "patches.grid", pixels, weight, bias, kernel_shape=side, strides=side)
    flat = builder.constant("patches.flat", [0, 0, -1])
    return builder.op(
        "Transpose",
        "patches",
        builder.op("Reshape", "patches.row", grid, flat),
        perm=[0, 2, 1],
    )


def _class_tokens(builder: GraphBuilder, pixels: ir.Value, size: Size) -> ir.Value:
    """[batch, 1, hidden]: one token for each picture."""
    token = builder.weight("class_token", (1, 1, size.hidden), TABLE)
    batch = builder.op("Shape", "batch", pixels, start=0, end=1)
    rest = builder.constant("class_token.shape", [1, size.hidden])
    shape = builder.op("Concat", "class_tokens.shape", batch, rest, axis=0)
    return builder.op("Expand", "class_tokens", token, shape)
