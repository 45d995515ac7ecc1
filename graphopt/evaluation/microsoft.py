"""ONNX Runtime's fused norms, activations, embedding and convolution (domain com.microsoft).

Source: ONNX Runtime's operator documentation (ContribOperators.md).
"""

from __future__ import annotations

__all__ = ["MICROSOFT_KERNELS"]

from collections.abc import Callable

import numpy as np

from graphopt.evaluation import convolution, movement
from graphopt.evaluation.calls import Array, Call, Kernel, UnsupportedOperator, pure
from graphopt.evaluation.elementwise import gelu, gelu_tanh, sigmoid
from graphopt.evaluation.normalization import layer_norm, rms_norm

_SKIP_EPSILON = 1e-12


def _skip_layer_normalization(
    call: Call,
    x: Array,
    skip: Array,
    gamma: Array,
    beta: Array | None = None,
    bias: Array | None = None,
) -> tuple[Array, Array, Array, Array]:
    """LayerNorm of x + skip + bias; the fourth output is that sum."""
    total = x + skip if bias is None else x + skip + bias
    axes = (x.ndim - 1,)
    return *layer_norm(total, gamma, beta, axes, call.get("epsilon", _SKIP_EPSILON)), total


def _skip_simplified_layer_normalization(
    call: Call, x: Array, skip: Array, gamma: Array, bias: Array | None = None
) -> tuple[Array, None, Array, Array]:
    """RMSNorm of x + skip + bias; it has no mean, and its fourth output is that sum."""
    total = x + skip if bias is None else x + skip + bias
    y, inverse = rms_norm(total, gamma, (x.ndim - 1,), call.get("epsilon", _SKIP_EPSILON))
    return y, None, inverse, total


def _embed_layer_normalization(
    call: Call,
    ids: Array,
    segments: Array | None,
    words: Array,
    position_table: Array,
    segment_table: Array | None,
    gamma: Array,
    beta: Array,
    mask: Array | None = None,
    positions: Array | None = None,
) -> tuple[Array, Array, Array]:
    """LayerNorm of the embeddings of ids [B, S]; the count of ones in each mask row; the sum."""
    where = np.arange(ids.shape[1])[None] if positions is None else positions
    total = words[ids] + position_table[where]
    if segments is not None and segment_table is not None:
        total = total + segment_table[segments]
    y, _, _ = layer_norm(total, gamma, beta, (2,), call.get("epsilon", _SKIP_EPSILON))
    counts = np.zeros(len(ids)) if mask is None else (mask == 1).sum(axis=1)
    return y, counts.astype(np.int32), total


def _bias_split_gelu(x: Array, bias: Array) -> Array:
    hidden, gate = np.split(x + bias, 2, axis=-1)
    return np.asarray(hidden * gelu(gate))


def _quick_gelu(call: Call, x: Array) -> Array:
    return np.asarray(x * sigmoid(x * call.get("alpha", 1.702)))


def _fused_conv(
    call: Call, x: Array, weight: Array, bias: Array | None = None, added: Array | None = None
) -> Array:
    y = convolution.KERNELS["Conv"](call, x, weight, bias)
    y = y if added is None else y + added
    activation, parameters = call.get("activation", ""), call.get("activation_params") or ()
    if activation == "":
        return np.asarray(y)
    if activation not in _ACTIVATIONS:
        raise UnsupportedOperator(
            f"node {call.node.name!r}: FusedConv with activation {activation}"
        )
    return np.asarray(_ACTIVATIONS[activation](y, *parameters))


_ACTIVATIONS: dict[str, Callable[..., Array]] = {
    "Clip": np.clip,
    "HardSigmoid": lambda y, alpha, beta: np.clip(alpha * y + beta, 0, 1),
    "LeakyRelu": lambda y, alpha: np.where(y < 0, alpha * y, y),
    "Relu": lambda y: np.maximum(y, 0),
    "Sigmoid": sigmoid,
    "Tanh": np.tanh,
}

MICROSOFT_KERNELS: dict[str, Kernel] = {
    "BiasAdd": pure(lambda x, bias, skip: x + bias + skip),
    "BiasGelu": pure(lambda x, bias: gelu(x + bias)),
    "BiasSplitGelu": pure(_bias_split_gelu),
    "EmbedLayerNormalization": _embed_layer_normalization,
    "FastGelu": pure(lambda x, bias=None: gelu_tanh(x if bias is None else x + bias)),
    "FusedConv": _fused_conv,
    "Gelu": pure(gelu),
    "QuickGelu": _quick_gelu,
    "SkipLayerNormalization": _skip_layer_normalization,
    "SkipSimplifiedLayerNormalization": _skip_simplified_layer_normalization,
    "Trilu": movement.KERNELS["Trilu"],
}
