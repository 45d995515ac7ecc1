"""Write a new node where it may stand in a graph."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

from graphopt.passes.graph.naming import Names

__all__ = ["place", "squeezed", "written"]

_AXES_ARE_AN_INPUT = 13


def place(node: ir.Node, graph: ir.Graph) -> None:
    """Insert ``node`` as early as it may stand: behind what makes its operands, or at the head.

    What several nodes are to read then stands before all of them, in whatever order the file has
    them.

    Args:
        node: A new node, whose operands ``graph`` or one around it makes.
        graph: One that has nodes.
    """
    makers = {value.producer() for value in node.inputs if value is not None}
    last = next((other for other in reversed(graph) if other in makers), None)
    if last is None:
        graph.insert_before(graph[0], node)
    else:
        graph.insert_after(last, node)


def written(
    names: Names,
    graph: ir.Graph,
    op_type: str,
    operands: list[ir.Value],
    base: str,
    dtype: ir.DataType | None,
    shape: ir.Shape | None,
    **attributes: Any,
) -> ir.Value:
    """What a new node of an ONNX operator gives, of this type and shape; it is placed.

    Args:
        names: Hands out the name.
        graph: Where the node goes.
        op_type: The operator.
        operands: What it reads.
        base: Its name, where that is free.
        dtype: The type of the result, or None where it is not known.
        shape: The shape of the result, or None where it is not known.
        **attributes: Those of the node.
    """
    name = names.fresh(base)
    node = ir.node(op_type, operands, attributes, name=name)
    result = node.outputs[0]
    result.name, result.shape = name, shape
    result.type = None if dtype is None else ir.TensorType(dtype)
    place(node, graph)
    return result


def squeezed(
    names: Names, graph: ir.Graph, opset: int, value: ir.Value, base: str, *axes: int
) -> ir.Value:
    """``value`` without these axes of size 1, which are an attribute of Squeeze below opset 13."""
    shape = None
    if value.shape is not None:
        shape = ir.Shape([dim for axis, dim in enumerate(value.shape) if axis not in axes])
    if opset < _AXES_ARE_AN_INPUT:
        return written(names, graph, "Squeeze", [value], base, value.dtype, shape, axes=list(axes))
    operands = [value, names.integers(*axes)]
    return written(names, graph, "Squeeze", operands, base, value.dtype, shape)
