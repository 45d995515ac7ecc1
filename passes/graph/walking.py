"""Steps from a value to what computes it, and to what alone reads it."""

from __future__ import annotations

import onnx_ir as ir

__all__ = ["only_reader", "orders", "peel_casts", "produced_by"]

_WIDTH = {
    ir.DataType.FLOAT16: 1,
    ir.DataType.BFLOAT16: 1,
    ir.DataType.FLOAT: 2,
    ir.DataType.DOUBLE: 3,
}


def produced_by(value: ir.Value | None, *op_types: str) -> ir.Node | None:
    """The node that computes ``value`` if it is one of the ONNX operators ``op_types``."""
    node = None if value is None else value.producer()
    if node is None or node.domain != "" or node.op_type not in op_types:
        return None
    return node


def only_reader(value: ir.Value, *op_types: str) -> ir.Node | None:
    """The node of the same graph that alone reads what a node computes: not its caller either.

    None, too, where ``op_types`` are named and it is none of these ONNX operators.
    """
    uses, producer = list(value.uses()), value.producer()
    if len(uses) != 1 or value.is_graph_output() or producer is None:
        return None
    node = uses[0].node
    if op_types and (node.domain != "" or node.op_type not in op_types):
        return None
    return node if node.graph is producer.graph else None


def orders(node: ir.Node | None) -> tuple[tuple[ir.Value, ir.Value], ...]:
    """Both operand orders of a commutative binary node; none for an absent node or operand."""
    if node is None or len(node.inputs) != 2:
        return ()
    left, right = node.inputs
    if left is None or right is None:
        return ()
    return ((left, right), (right, left))


def peel_casts(value: ir.Value) -> ir.Value:
    """``value`` before the Casts that lose nothing."""
    while (node := produced_by(value, "Cast")) is not None:
        source = node.inputs[0]
        if source is None or not _loses_nothing(source.dtype, value.dtype):
            break
        value = source
    return value


def _loses_nothing(source: ir.DataType | None, target: ir.DataType | None) -> bool:
    if source is None or target is None or source not in _WIDTH or target not in _WIDTH:
        return False
    return source == target or _WIDTH[source] < _WIDTH[target]
