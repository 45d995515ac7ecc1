"""Make one Transpose of several, and none of those that do nothing."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from graphopt.passes.graph import axes
from graphopt.passes.graph.axes import Dim
from graphopt.passes.graph.naming import Names, all_nodes
from graphopt.passes.graph.sizes import same_dimensions
from graphopt.passes.graph.unread import remove_unread, replace
from graphopt.passes.graph.walking import produced_by
from graphopt.passes.rewrite import Rewrite

__all__ = ["ComposeTransposes"]

_SWAPS_LAST_TWO = (0, 2, 1)


class ComposeTransposes(Rewrite):
    """The keys of an attention are transposed once, and not at all where nobody sees it.

    1. Reshape(Transpose(Reshape(x, [m, s, d]), (0, 2, 1)), [.., d, s]), as PyTorch's exporters
       transpose keys of any rank, becomes Transpose(x) of the last two axes. It is proved that x is
       [.., s, d] and that the result has the leading dimensions of x.
    2. Transpose(Transpose(x, p), q) becomes Transpose(x, r) with r[i] = p[q[i]], if nobody else
       reads what lies between: a key that is also kept for the next token is transposed for the
       multiplication alone, which can take it transposed.
    3. A Transpose that keeps the order of the axes becomes its operand.
    4. What is a graph output stays, because the output needs its name. Nodes of one graph only.
    """

    needs_shapes = True

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites ``model`` in place."""
        names = Names(model)
        self.record = {"reshaped transposes": 0, "transposes composed": 0, "transposes dropped": 0}
        for node in all_nodes(model):
            if node.domain or node.graph is None or node.outputs[0].is_graph_output():
                continue
            if node.op_type == "Reshape" and _unfold(names, node):
                self.record["reshaped transposes"] += 1
        for node in all_nodes(model):
            if node.domain or node.graph is None or node.op_type != "Transpose":
                continue
            self.record["transposes composed"] += _compose(node)
            self.record["transposes dropped"] += _drop(node)
        return ir.passes.PassResult(model, modified=any(self.record.values()))


def _unfold(names: Names, last: ir.Node) -> bool:
    """Rule 1."""
    swap = produced_by(last.inputs[0], "Transpose")
    first = None if swap is None else produced_by(swap.inputs[0], "Reshape")
    if swap is None or first is None or _permutation(swap) != _SWAPS_LAST_TWO:
        return False
    if last.graph is None or swap.graph is not last.graph or first.graph is not last.graph:
        return False
    x, folded, result = first.inputs[0], first.outputs[0], last.outputs[0]
    before, between, after = _dimensions(x), _dimensions(folded), _dimensions(result)
    if x is None or before is None or between is None or after is None or len(before) < 3:
        return False
    if not same_dimensions(before[-2:], between[1:]):
        return False
    if not same_dimensions([*before[:-2], before[-1], before[-2]], after):
        return False
    count = len(before)
    permutation = [*range(count - 2), count - 1, count - 2]
    name = names.fresh(f"{result.name}.transposed")
    transpose = ir.node("Transpose", [x], {"perm": permutation}, name=name)
    value = transpose.outputs[0]
    value.name, value.type, value.shape = name, result.type, result.shape
    last.graph.insert_before(last, transpose)
    replace(result, value)
    return True


def _compose(node: ir.Node) -> bool:
    """Rule 2."""
    inner = produced_by(node.inputs[0], "Transpose")
    if inner is None or inner.graph is not node.graph or node.outputs[0].is_graph_output():
        return False
    between = inner.outputs[0]
    if len(between.uses()) != 1 or between.is_graph_output():
        return False
    inner_order, order = _permutation(inner), _permutation(node)
    if inner_order is None or order is None or len(inner_order) != len(order):
        return False
    node.attributes["perm"] = ir.AttrInt64s("perm", [inner_order[axis] for axis in order])
    node.replace_input_with(0, inner.inputs[0])
    remove_unread([between])
    return True


def _drop(node: ir.Node) -> bool:
    """Rule 3."""
    order, result, x = _permutation(node), node.outputs[0], node.inputs[0]
    if order is None or order != tuple(range(len(order))) or result.is_graph_output() or x is None:
        return False
    replace(result, x)
    return True


def _permutation(node: ir.Node) -> tuple[int, ...] | None:
    """The order of the axes; None where it is unknown, or not one of so many axes."""
    if "perm" in node.attributes:
        order = tuple(node.attributes.get_ints("perm", ()))
        return order if sorted(order) == list(range(len(order))) else None
    count = axes.rank(node.inputs[0])
    return None if count is None else tuple(reversed(range(count)))


def _dimensions(value: ir.Value | None) -> Sequence[Dim | None] | None:
    count = axes.rank(value)
    if value is None or count is None:
        return None
    return [axes.dimension(value, axis) for axis in range(count)]
