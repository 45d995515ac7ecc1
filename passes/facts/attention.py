"""What attention of ONNX, and ONNX Runtime's with a cache, proves of the sizes of its results."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.facts.context import Facts
from graphopt.passes.graph.axes import Dim

__all__ = ["attention", "group_query_attention"]


def attention(facts: Facts, node: ir.Node) -> None:
    """[B, N, S, H] and V [B, M, T, G] give [B, N, S, G]; [B, S, N * H] likewise [B, S, N * G].

    What is kept for the next token, and the scores, have the type of their operands and sizes that
    are not followed.
    """
    operands = [*node.inputs, None, None, None][:3]
    for result, like in zip(node.outputs, (operands[0], *operands), strict=False):
        if like is not None and like.dtype is not None:
            facts.set_dtype(result, like.dtype)
    query, _, value = operands
    if query is None or value is None or query.shape is None or value.shape is None:
        return
    if len(query.shape) != len(value.shape) or len(query.shape) not in (3, 4):
        return
    last: Dim = value.shape[-1] if len(query.shape) == 4 else _joined(facts, node, value.shape[-1])
    facts.set_shape(node.outputs[0], [*query.shape[:-1], last])


def group_query_attention(facts: Facts, node: ir.Node) -> None:
    """[B, S, N * H] gives the same; packed, without keys, [B, S, (N + 2 M) * H] gives it too.

    ONNX Runtime takes no other rank (group_query_attention_helper.h). What is kept for the next
    token has sizes that are not followed.
    """
    query, key = (*node.inputs, None, None)[:2]
    if query is None:
        return
    if query.dtype is not None:
        facts.set_dtype(node.outputs[0], query.dtype)
    if query.shape is None or len(query.shape) != 3:
        return
    width = query.shape[-1]
    last: Dim = width if key is not None else _unpacked(facts, node, width)
    facts.set_shape(node.outputs[0], [*query.shape[:-1], last])


def _unpacked(facts: Facts, node: ir.Node, width: Dim) -> Dim:
    """N * H of the width (N + 2 M) * H."""
    heads, own = (node.attributes.get_int(name, 0) for name in ("num_heads", "kv_num_heads"))
    if heads < 1 or own < 1 or not isinstance(width, int) or width % (heads + 2 * own):
        return facts.fresh()
    return width // (heads + 2 * own) * heads


def _joined(facts: Facts, node: ir.Node, width: Dim) -> Dim:
    """N * G of the width M * G of V."""
    heads, own = (node.attributes.get_int(name, 0) for name in ("q_num_heads", "kv_num_heads"))
    if heads < 1 or own < 1 or not isinstance(width, int) or width % own:
        return facts.fresh()
    return width // own * heads
