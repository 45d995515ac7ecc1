"""An If hands on what its branches give: C if(c, x, y) = if(c, C x, C y).

A result is centred where both branches give it centred, and its readers read what either of them
gives. The other results of the node have nothing to do with it.
"""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph import axes
from graphopt.passes.graph.axes import Stream
from graphopt.passes.graph.branches import Use, branches_of

__all__ = ["commutes", "given", "results"]


def given(node: ir.Node, result: ir.Value) -> list[Use]:
    """What each branch of ``node``, an If, gives for one of its results."""
    index = node.outputs.index(result)
    return [Use(branch, index) for branch in branches_of(node)]


def commutes(node: ir.Node, stream: Stream) -> bool:
    """True where ``stream``, a result of ``node``, is what both branches of an If give.

    Both give it in the type of the result and with the same features, proved for each. Each is of
    its branch: a value of the graph around it is no result in ONNX Runtime.
    """
    branches = branches_of(node)
    if not branches or any(len(graph.outputs) != len(node.outputs) for graph in branches):
        return False
    if not stream.axis.fits(stream.value):
        return False
    uses = given(node, stream.value)
    return all(_is_given(use, stream) for use in uses)


def _is_given(use: Use, stream: Stream) -> bool:
    value, axis = use.value, stream.axis
    if value is None or value.dtype != stream.value.dtype or value.is_graph_input():
        return False
    producer = value.producer()
    if producer is None and not value.is_initializer():
        return False
    owner = value.graph if producer is None else producer.graph
    return (
        owner is use.reader
        and axes.rank(value) == axes.rank(stream.value)
        and axes.dimension(value, axis.axis) == axes.dimension(stream.value, axis.axis)
    )


def results(node: ir.Node | None, stream: Stream) -> list[Stream] | None:
    """The results of an If that hand on ``stream``, which its branch gives.

    Returns:
        One stream for each result, or None where it is not proved for all of them, or ``node``,
        whose nested graph gives the stream, is no If.
    """
    if node is None:
        return None
    merged = [
        Stream(result, stream.axis)
        for graph in branches_of(node)
        for result, value in zip(node.outputs, graph.outputs, strict=False)
        if value is stream.value
    ]
    return merged if merged and all(commutes(node, other) for other in merged) else None
