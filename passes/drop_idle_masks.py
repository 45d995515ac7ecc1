"""Remove masks that mask nothing."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph import axes
from graphopt.passes.graph.intervals import Intervals
from graphopt.passes.graph.naming import all_nodes
from graphopt.passes.graph.sizes import broadcasts_into
from graphopt.passes.graph.unread import remove_unread, replace
from graphopt.passes.rewrite import Rewrite

__all__ = ["DropIdleMasks"]

_SCORES = frozenset({"Softmax", "LogSoftmax"})


class DropIdleMasks(Rewrite):
    """Replaces what a constant mask leaves as it is by what it was computed from.

    1. The entries of the mask are proved to be one number (``passes/graph/intervals.py``), for
       every input of the model: x And True, x Or False, Where(True, x, y), Where(False, y, x),
       x * 1, x / 1, x + 0, x - 0.
    2. Each dimension of the other operands is proved to be 1 or that of x, which they must not
       broadcast.
    3. x + 0 and x - 0 turn -0 into 0 and so count only where nothing but Softmax reads the result,
       directly or behind more such sums.
    4. A result that is a graph output stays, because the output needs its name.
    5. The mask of ONNX's Attention goes where it is True, or 0, throughout, and proved to be as
       long as the keys: what a shorter one lacks is masked.
    """

    needs_shapes = True

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites ``model`` in place."""
        intervals = Intervals()
        nodes = all_nodes(model)
        dropped = sum(_drop(intervals, node) or _drop_operand(intervals, node) for node in nodes)
        self.record = {"idle masks dropped": dropped}
        return ir.passes.PassResult(model, modified=dropped > 0)


def _drop(intervals: Intervals, node: ir.Node) -> bool:
    if node.graph is None or node.domain or len(node.outputs) != 1:
        return False
    result, kept = node.outputs[0], _kept(intervals, node)
    if kept is None or kept.dtype != result.dtype or result.is_graph_output():
        return False
    if not all(value is kept or broadcasts_into(value, kept) for value in node.inputs):
        return False
    replace(result, kept)
    return True


def _drop_operand(intervals: Intervals, node: ir.Node) -> bool:
    """Rule 5."""
    if node.graph is None or node.op_type != "Attention" or node.domain or len(node.inputs) < 4:
        return False
    keys, mask = node.inputs[1], node.inputs[3]
    if keys is None or mask is None or any(node.inputs[4:]):
        return False
    interval = intervals.of(mask)
    if interval is None or interval.only != int(mask.dtype == ir.DataType.BOOL):
        return False
    place = {3: 1, 4: 2}.get(axes.rank(keys) or 0)
    length = None if place is None else axes.dimension(keys, place)
    if length is None or axes.dimension(mask, (axes.rank(mask) or 0) - 1) != length:
        return False
    node.resize_inputs(3)
    remove_unread([mask])
    return True


def _kept(intervals: Intervals, node: ir.Node) -> ir.Value | None:
    """The operand that the others leave as it is, or None."""
    if node.op_type == "Where":
        condition = intervals.of(node.inputs[0])
        if condition is None or condition.only is None:
            return None
        return node.inputs[1] if condition.only else node.inputs[2]
    if node.op_type not in _NEUTRAL or len(node.inputs) != 2:
        return None
    neutral, commutes = _NEUTRAL[node.op_type]
    for kept, mask in ((0, 1), (1, 0)) if commutes else ((0, 1),):
        interval = intervals.of(node.inputs[mask])
        if interval is None or interval.only != neutral:
            continue
        is_sum = node.op_type in ("Add", "Sub")
        return None if is_sum and not _only_softmax_reads(node.outputs[0]) else node.inputs[kept]
    return None


_NEUTRAL = {
    "Add": (0, True),
    "Sub": (0, False),
    "Mul": (1, True),
    "Div": (1, False),
    "And": (1, True),
    "Or": (0, True),
}
"""The number that leaves the other operand as it is, and whether it may be the first."""


def _only_softmax_reads(value: ir.Value) -> bool:
    readers = list(dict.fromkeys(use.node for use in value.uses()))
    seen = set(readers)  # many paths may lead to one sum
    while readers:
        reader = readers.pop()
        if reader.domain:
            return False
        if reader.op_type in ("Add", "Sub") and not reader.outputs[0].is_graph_output():
            found = {use.node for use in reader.outputs[0].uses()} - seen
            seen |= found
            readers.extend(found)
        elif reader.op_type not in _SCORES:
            return False
    return bool(value.uses())
