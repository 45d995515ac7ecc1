"""What If, Loop and Scan prove of their results."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from graphopt.passes.facts.context import Facts

__all__ = ["if_else", "loop", "opaque", "scan"]


def if_else(facts: Facts, node: ir.Node) -> None:
    """A result has the sizes that both branches give it."""
    branches = [node.attributes[name].as_graph() for name in ("then_branch", "else_branch")]
    for branch in branches:
        facts.walk(branch)
    for result, *given in zip(node.outputs, *(branch.outputs for branch in branches), strict=True):
        _note_type(result, given[0])
        facts.set_shape(result, _common(facts, given[0].shape, given[1].shape))


def loop(facts: Facts, node: ir.Node) -> None:
    """What is carried has the sizes that no iteration changes; the number of iterations is unknown.

    Without an iteration ONNX Runtime gives a collected result sizes of its own: only its rank is
    proved.
    """
    body = node.attributes["body"].as_graph()
    carried = node.inputs[2:]
    results = list(_carry(facts, body, 2, carried, body.outputs[1 : 1 + len(carried)]))
    for index, (result, inner) in enumerate(zip(node.outputs, body.outputs[1:], strict=True)):
        if index < len(carried):
            _note_type(result, inner)
            facts.set_shape(result, results[index])
        else:
            _note_collected(facts, result, inner)


def scan(facts: Facts, node: ir.Node) -> None:
    """As Loop: the state is carried, and the body sees the inputs without the axis scanned."""
    body = node.attributes["body"].as_graph()
    states = len(node.inputs) - node.attributes.get_int("num_scan_inputs", 0)
    if facts.opset < 9 or states < 0:
        opaque(facts, node)
        return
    scanned = node.inputs[states:]
    places = node.attributes.get_ints("scan_input_axes", [0] * len(scanned))
    for inner, value, axis in zip(body.inputs[states:], scanned, places, strict=True):
        inner.shape = None
        if value is not None and value.shape:
            dims = list(value.shape)
            del dims[axis]
            facts.set_shape(inner, dims)
    results = _carry(facts, body, 0, node.inputs[:states], body.outputs[:states])
    for result, inner, shape in zip(node.outputs, body.outputs, results, strict=False):
        _note_type(result, inner)
        facts.set_shape(result, shape)
    for result, inner in zip(node.outputs[states:], body.outputs[states:], strict=True):
        _note_collected(facts, result, inner)


def opaque(facts: Facts, node: ir.Node) -> None:
    """Any other op with a nested graph: nothing is known of what the graph receives."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            for value in attribute.as_graph().inputs:
                value.shape = None
            facts.walk(attribute.as_graph())


def _carry(
    facts: Facts,
    body: ir.Graph,
    first: int,
    initial: Sequence[ir.Value | None],
    outputs: Sequence[ir.Value],
) -> list[list[int | ir.SymbolicDim] | None]:
    """The sizes of what a body carries, widened until an iteration gives what it received."""
    inputs = body.inputs[first : first + len(initial)]
    for value in body.inputs[:first]:
        value.shape = None
    starts = [None if value is None else value.shape for value in initial]
    for inner, given_first in zip(inputs, initial, strict=True):
        if given_first is not None:
            _note_type(inner, given_first)
    known = list(starts)
    changed = True
    while changed:
        for inner, shape in zip(inputs, known, strict=True):
            facts.set_shape(inner, shape)
        facts.walk(body)
        changed = False
        for index, result in enumerate(outputs):
            shape, given = known[index], result.shape
            if shape is None or shape == given:
                continue
            widened = None if given is None else _common(facts, shape, given, starts[index])
            known[index] = None if widened is None else ir.Shape(widened)
            changed = changed or known[index] != shape
    return [
        None if start is None or shape is None else _common(facts, start, shape)
        for start, shape in zip(starts, known, strict=True)
    ]


def _common(
    facts: Facts, left: ir.Shape | None, right: ir.Shape | None, start: ir.Shape | None = None
) -> list[int | ir.SymbolicDim] | None:
    """The sizes that two shapes share; one that differs from ``start`` is loose already."""
    if left is None or right is None or len(left) != len(right):
        return None
    return [
        a if a == b or (start is not None and a != start[axis]) else facts.fresh()
        for axis, (a, b) in enumerate(zip(left, right, strict=True))
    ]


def _note_collected(facts: Facts, result: ir.Value, inner: ir.Value) -> None:
    if result.dtype is None and inner.dtype is not None:
        result.dtype = inner.dtype
    if inner.shape is not None:
        facts.set_shape(result, [facts.fresh() for _ in range(len(inner.shape) + 1)])


def _note_type(value: ir.Value, like: ir.Value) -> None:
    if value.type is None:
        value.type = like.type
