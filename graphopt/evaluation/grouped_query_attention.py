"""ONNX Runtime's GroupQueryAttention: cached, causal, several query heads for one key head."""

from __future__ import annotations

__all__ = ["MICROSOFT_KERNELS"]

import numpy as np

from graphopt.evaluation.attention import attend, scaled_scores, split_heads
from graphopt.evaluation.calls import Array, Call, Kernel, UnsupportedOperator
from graphopt.evaluation.rotary import rotate

_REFUSED = ("smooth_softmax", "sliding_window_cache", "qk_output")


def _group_query_attention(
    call: Call,
    query: Array,
    key: Array | None,
    value: Array | None,
    past_key: Array | None,
    past_value: Array | None,
    last: Array,
    total: Array,
    cos: Array | None = None,
    sin: Array | None = None,
    positions: Array | None = None,
    added: Array | None = None,
    *unsupported: Array | None,
) -> tuple[Array, Array, Array]:
    """Attention of query [B, S, N H] on key and value [B, S, M H] after a cache [B, M, P, H].

    Args:
        call: The node.
        query: Queries, or queries, keys and values packed on the last axis.
        key: New keys.
        value: New values.
        past_key: Cached keys; sample b holds last[b] + 1 - S valid positions.
        past_value: Cached values.
        last: Position of each sample's last key, [B].
        total: The largest number of keys, P + S.
        cos: Rotary cache [max, H/2].
        sin: Rotary cache [max, H/2].
        positions: Positions of the queries [B, S]; by default they follow the cache.
        added: Bias of the scores.
        unsupported: Sinks, quantization scales and per-head norms.
    """
    if any(call.get(name, 0) for name in _REFUSED) or any(x is not None for x in unsupported):
        raise UnsupportedOperator(
            f"node {call.node.name!r}: GroupQueryAttention with sinks, quantization, per-head "
            "norms or a windowed cache cannot be evaluated with numpy"
        )
    heads, groups = call.get("num_heads"), call.get("kv_num_heads")
    if key is None or value is None:
        size = query.shape[-1] // (heads + 2 * groups)
        query, key, value = np.split(query, [heads * size, (heads + groups) * size], axis=-1)
    q, k, v = split_heads(query, heads), split_heads(key, groups), split_heads(value, groups)
    batch, _, steps, _ = q.shape
    prompt = steps == int(total.reshape(()))
    past = np.zeros(batch, dtype=np.int64) if prompt else last.reshape(-1) + 1 - steps
    if call.get("do_rotary", 0) and cos is not None and sin is not None:
        where = past[:, None] + np.arange(steps) if positions is None else positions
        how = bool(call.get("rotary_interleaved", 0))
        q = rotate(q, cos[where], sin[where], interleaved=how)
        k = rotate(k, cos[where], sin[where], interleaved=how)
    keys, values = _append(past_key, k, past, total), _append(past_value, v, past, total)
    scores = scaled_scores(call, q, np.repeat(keys, heads // groups, axis=1))
    cap = call.get("softcap", 0.0)
    if cap:
        scores = cap * np.tanh(scores / cap)
    bias = _visible_bias(call, past, scores)
    result = attend(
        scores,
        np.repeat(values, heads // groups, axis=1),
        bias if added is None else bias + added,
    )
    return result, keys, values


def _append(cache: Array | None, new: Array, past: Array, total: Array) -> Array:
    """New rows [B, M, S, H] written behind each sample's valid part of the cache."""
    steps = new.shape[2]
    capacity = max(int(total.reshape(())), 0 if cache is None else cache.shape[2])
    whole = np.zeros((*new.shape[:2], capacity, new.shape[3]), dtype=new.dtype)
    if cache is not None:
        whole[:, :, : cache.shape[2]] = cache
    for sample, rows, start in zip(whole, new, past.tolist(), strict=True):
        sample[:, start : start + steps] = rows
    return whole


def _visible_bias(call: Call, past: Array, scores: Array) -> Array:
    """[B, 1, S, T]: causal and inside ``local_window_size``."""
    at = (past[:, None] + np.arange(scores.shape[2]))[:, None, :, None]
    key = np.arange(scores.shape[3])
    visible = key <= at if call.get("causal", 1) else np.ones_like(key <= at)
    window = call.get("local_window_size", -1)
    if window > 0:
        visible &= key > at - window
    return np.where(visible, 0, -np.inf).astype(scores.dtype)


MICROSOFT_KERNELS: dict[str, Kernel] = {"GroupQueryAttention": _group_query_attention}
