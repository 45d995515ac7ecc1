"""Let ONNX's Attention take the heads as they lie."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.attention.gains import gains_joined
from graphopt.passes.attention.heads import Heads, joining, put, split_from
from graphopt.passes.graph import axes
from graphopt.passes.graph.naming import Names, all_nodes
from graphopt.passes.rewrite import Rewrite

__all__ = ["JoinHeads"]


class JoinHeads(Rewrite):
    """Attention of [B, N, S, H] becomes Attention of [B, S, N * H]: nothing is transposed.

    ONNX defines the second form by the first, of the same operands with their heads split off.

    1. Q, K and V are heads split off by Reshape and Transpose; N and H are numbers. Q may have
       more heads than K and V, which have one number.
    2. There is no cache, and only the first result is used.
    3. There is no mask, or one of two to four axes whose last two are proved to be the lengths of Q
       and K: ONNX Runtime checks the first of them in the first form alone.
    4. Behind, Transpose and Reshape join the heads again, and nobody else reads what lies between.
    5. float32: the kernel converts operands of 16 bits anew for each head.
    6. It is the faster spelling (``passes/attention/gains.py``).
    """

    needs_shapes = True

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites ``model`` in place."""
        names = Names(model)
        self.record = {"heads joined": sum(_join(names, node) for node in all_nodes(model))}
        return ir.passes.PassResult(model, modified=any(self.record.values()))


def _join(names: Names, node: ir.Node) -> bool:
    if node.op_type != "Attention" or node.domain or node.graph is None:
        return False
    mixed = node.outputs[0]
    parts = [split_from(value) for value in node.inputs[:3]]
    if any(part is None for part in parts) or mixed.dtype != ir.DataType.FLOAT:
        return False
    query, key, value = (part for part in parts if part is not None)
    if any(node.inputs[4:6]) or any(other.name for other in node.outputs[1:]):
        return False
    if key.count != value.count or not _covers(node, query, key) or not gains_joined(key.length):
        return False
    join = joining(mixed, query.count, value.size)
    if join is None:
        return False
    put(join, _write(names, node, query, key, value))
    return True


def _covers(node: ir.Node, query: Heads, key: Heads) -> bool:
    """Rule 3."""
    mask = node.inputs[3] if len(node.inputs) > 3 else None
    if mask is None:
        return True
    count = axes.rank(mask)
    if count is None or not 2 <= count <= 4 or query.length is None or key.length is None:
        return False
    return (axes.dimension(mask, count - 2), axes.dimension(mask, count - 1)) == (
        query.length,
        key.length,
    )


def _write(names: Names, node: ir.Node, query: Heads, key: Heads, value: Heads) -> ir.Value:
    mixed = node.outputs[0]
    assert node.graph is not None
    counts = {"q_num_heads": query.count, "kv_num_heads": key.count}
    joined = ir.Node(
        "",
        "Attention",
        [*(part.join(names, node) for part in (query, key, value)), *node.inputs[3:]],
        [
            *(each for name, each in node.attributes.items() if name not in counts),
            *(ir.AttrInt64(name, number) for name, number in counts.items()),
        ],
        num_outputs=1,
        name=names.fresh(f"{mixed.name}.joined"),
        version=node.version,
    )
    result = joined.outputs[0]
    result.name, result.type = joined.name, mixed.type
    result.shape = ir.Shape([*query.sizes[:2], query.count * value.size])
    node.graph.insert_before(node, joined)
    return result
