"""Rotary position embedding, in ONNX's form and in ONNX Runtime's."""

from __future__ import annotations

__all__ = ["KERNELS", "MICROSOFT_KERNELS", "rotate"]

import numpy as np

from graphopt.evaluation.calls import Array, Call, Kernel, UnsupportedOperator


def rotate(x: Array, cos: Array, sin: Array, *, interleaved: bool) -> Array:
    """Rotate the first R features of x [B, N, S, H] by the angles of cos and sin [B, S, R/2].

    Pairs are (0, 1), (2, 3), ... where interleaved, else (0, R/2), (1, R/2 + 1), ...
    """
    cos, sin = cos[:, None], sin[:, None]
    size = 2 * cos.shape[-1]
    turned = x[..., :size]
    if interleaved:
        real, imaginary = turned[..., ::2], turned[..., 1::2]
    else:
        real, imaginary = np.split(turned, 2, axis=-1)
    pair = real * cos - imaginary * sin, real * sin + imaginary * cos
    if interleaved:
        turned = np.stack(pair, axis=-1).reshape(turned.shape)
    else:
        turned = np.concatenate(pair, axis=-1)
    return np.concatenate([turned, x[..., size:]], axis=-1)


def _rotate_any(call: Call, x: Array, cos: Array, sin: Array, heads: int) -> Array:
    """Rotate x [B, N, S, H] or [B, S, N * H]."""
    interleaved = bool(call.get("interleaved", 0))
    if x.ndim == 4:
        return rotate(x, cos, sin, interleaved=interleaved)
    split = x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)
    return rotate(split, cos, sin, interleaved=interleaved).swapaxes(1, 2).reshape(x.shape)


def _rotary_embedding(
    call: Call, x: Array, cos: Array, sin: Array, positions: Array | None = None
) -> Array:
    """ONNX: the caches are [max, R/2] with positions [B, S], or [B, S, R/2] without."""
    if positions is not None:
        cos, sin = cos[positions], sin[positions]
    return _rotate_any(call, x, cos, sin, call.get("num_heads", 0))


def _microsoft_rotary_embedding(
    call: Call, x: Array, positions: Array, cos: Array, sin: Array
) -> Array:
    """ONNX Runtime: positions are [B, S], or one offset for every sample."""
    if call.get("is_packed_batching", 0) or call.get("scale", 1.0) != 1.0:
        raise UnsupportedOperator(
            f"node {call.node.name!r}: RotaryEmbedding with is_packed_batching or scale"
        )
    if positions.size == 1:
        positions = positions.reshape(1, 1) + np.arange(x.shape[-2])
    partial = call.get("rotary_embedding_dim", 0)
    heads = call.get("num_heads", 0) if partial else x.shape[-1] // (2 * cos.shape[1])
    return _rotate_any(call, x, cos[positions], sin[positions], heads)


KERNELS: dict[str, Kernel] = {"RotaryEmbedding": _rotary_embedding}

MICROSOFT_KERNELS: dict[str, Kernel] = {"RotaryEmbedding": _microsoft_rotary_embedding}
