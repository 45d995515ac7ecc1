"""ONNX Runtime's Attention and MultiHeadAttention, on one attention function.

Shapes: B samples, N heads, S query positions, P cached positions, T key positions (P and the new
ones), H features a head. Source: ONNX Runtime's operator documentation (ContribOperators.md).
"""

from __future__ import annotations

__all__ = ["MICROSOFT_KERNELS", "attend", "merge_heads", "scaled_scores", "split_heads"]

import math
from typing import Any

import numpy as np

from graphopt.evaluation.calls import Array, Call, Kernel, UnsupportedOperator
from graphopt.evaluation.reductions import softmax


def split_heads(x: Array, heads: int) -> Array:
    """[B, S, N * H] to [B, N, S, H]."""
    return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)


def merge_heads(x: Array) -> Array:
    """[B, N, S, H] to [B, S, N * H]."""
    return x.swapaxes(1, 2).reshape(x.shape[0], x.shape[2], -1)


def attend(scores: Array, value: Array, bias: Array | None) -> Array:
    """softmax(scores + bias) V, the heads merged: [B, S, N * H].

    Args:
        scores: Scaled Q K^T, [B, N, S, T].
        value: V, [B, N, T, H].
        bias: Broadcasts to the scores; -inf hides a key.
    """
    biased = scores if bias is None else scores + bias
    return merge_heads(softmax(biased, -1) @ value)


def scaled_scores(call: Call, query: Array, key: Array) -> Array:
    """Q K^T times ``scale``, whose default (also written 0) is 1 / sqrt(H)."""
    scale = call.get("scale", 0.0) or 1 / math.sqrt(query.shape[-1])
    return np.asarray((query @ key.swapaxes(-1, -2)) * scale).astype(query.dtype)


def _causal_bias(queries: int, keys: int, dtype: np.dtype[Any]) -> Array:
    """[S, T]: the last query sees every key, each one before it sees one key less."""
    visible = np.arange(keys) <= keys - queries + np.arange(queries)[:, None]
    return np.where(visible, 0, -np.inf).astype(dtype)


def _bias(
    call: Call, scores: Array, mask: Array | None, added: Array | None, past: Array | None
) -> Array | None:
    """The sum of attention bias, padding mask and causal mask after the cached keys."""
    batch, _, queries, keys = scores.shape
    terms = [] if added is None else [added]
    if mask is not None:
        terms.append(_padding_bias(call, mask, batch, keys).astype(scores.dtype))
    if call.get("unidirectional", 0):
        if keys != queries + (0 if past is None else past.shape[-2]):
            raise _refuse(call, "a causal mask over the keys of another sequence")
        terms.append(_causal_bias(queries, keys, scores.dtype))
    return sum(terms[1:], start=terms[0]) if terms else None


def _padding_bias(call: Call, mask: Array, batch: int, keys: int) -> Array:
    """Bias of a mask: [B] ends, [2B] ends then starts, [B, T] or [B, S, T] of zeros and ones."""
    if mask.ndim == 1 and mask.size in (batch, 2 * batch):
        position = np.arange(keys)
        visible = position < mask[:batch, None]
        if mask.size == 2 * batch:
            visible &= position >= mask[batch:, None]
    elif mask.ndim in (2, 3):
        visible = mask > 0
    else:
        raise _refuse(call, f"a mask of shape {mask.shape}")
    shaped = visible[:, None, None, :] if visible.ndim == 2 else visible[:, None]
    return np.where(shaped, 0, call.get("mask_filter_value", -10000.0))


def _refuse(call: Call, what: str) -> UnsupportedOperator:
    return UnsupportedOperator(
        f"node {call.node.name!r}: {call.node.op_type} with {what} cannot be evaluated with numpy"
    )


def _attention(
    call: Call,
    x: Array,
    weight: Array,
    bias: Array | None = None,
    mask: Array | None = None,
    past: Array | None = None,
    added: Array | None = None,
    *unsupported: Array | None,
) -> tuple[Array, Array]:
    """Projection by one merged weight, attention, and the present keys and values [2, B, N, T, H].

    x is [B, S, D], weight [D, 2 N H + N H'].
    """
    if (
        call.get("do_rotary", 0)
        or call.get("past_present_share_buffer", 0)
        or any(extra is not None for extra in unsupported)
    ):
        raise _refuse(call, "rotary embedding or a shared cache buffer")
    heads = call.get("num_heads")
    projected = x @ weight if bias is None else x @ weight + bias
    sizes = call.get("qkv_hidden_sizes") or [weight.shape[1] // 3] * 3
    query, key, value = (
        split_heads(part, heads) for part in np.split(projected, np.cumsum(sizes)[:-1], axis=-1)
    )
    if past is not None:
        key = np.concatenate([past[0], key], axis=2)
        value = np.concatenate([past[1], value], axis=2)
    scores = scaled_scores(call, query, key)
    result = attend(scores, value, _bias(call, scores, mask, added, past))
    return result, np.stack([key, value]) if call.wants(1) else key


def _multi_head_attention(
    call: Call,
    query: Array,
    key: Array | None = None,
    value: Array | None = None,
    bias: Array | None = None,
    mask: Array | None = None,
    added: Array | None = None,
    past_key: Array | None = None,
    past_value: Array | None = None,
    *unsupported: Array | None,
) -> tuple[Array, ...]:
    """Query [B, S, N H]; key and value likewise, or [B, N, T, H], or packed with the query."""
    if call.wants(3) or any(extra is not None for extra in unsupported):
        raise _refuse(call, "a shared cache buffer or its scores as output")
    heads = call.get("num_heads")
    if query.ndim == 5:  # packed [B, S, N, 3, H]
        query, key, value = (query[:, :, :, i].swapaxes(1, 2) for i in range(3))
    elif key is not None and key.ndim == 5:  # packed [B, T, N, 2, H]
        key, value = (key[:, :, :, i].swapaxes(1, 2) for i in range(2))
    if key is None or value is None:
        raise _refuse(call, "no key or no value")
    q, k, v = (x if x.ndim == 4 else split_heads(x, heads) for x in (query, key, value))
    if bias is not None:
        width = heads * q.shape[-1]
        q = q + split_heads(bias[None, None, :width], heads)
        k = k + split_heads(bias[None, None, width : 2 * width], heads)
        v = v + split_heads(bias[None, None, 2 * width :], heads)
    if past_key is not None and past_value is not None:
        k = np.concatenate([past_key, k], axis=2)
        v = np.concatenate([past_value, v], axis=2)
    scores = scaled_scores(call, q, k)
    return attend(scores, v, _bias(call, scores, mask, added, past_key)), k, v


MICROSOFT_KERNELS: dict[str, Kernel] = {
    "Attention": _attention,
    "MultiHeadAttention": _multi_head_attention,
}
