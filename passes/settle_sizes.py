"""Give Reshape constant sizes where its operand says the rest, and drop what changes no shape."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.naming import Names, all_nodes
from graphopt.passes.graph.sizes import Entry, Sizes, same_dimensions, same_shape
from graphopt.passes.graph.unread import remove_unread, replace
from graphopt.passes.rewrite import Rewrite

__all__ = ["SettleSizes"]

_OPS = frozenset({"Reshape", "Expand", "Cast"})


class SettleSizes(Rewrite):
    """Sizes that Shape, Gather and Concat compute at run time become constants.

    1. A Reshape whose result is proved to have the shape of its operand, an Expand none of whose
       sizes asks for more than the operand has, and a Cast to the type that the operand has become
       their operand.
    2. The sizes of another Reshape become a constant: a number where the dimension of the result is
       proved to be that number, 0 (the operand's own) where it is proved equal to the operand's
       dimension at the same place, and at most one -1 among positive numbers. Where a dimension is
       neither, the sizes stay.
    3. What is a graph output stays, because the output needs its name.
    """

    needs_shapes = True

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites ``model`` in place."""
        names, sizes = Names(model), Sizes()
        self.record = {"reshapes dropped": 0, "sizes made constant": 0}
        for node in all_nodes(model):
            if node.domain or node.graph is None or node.op_type not in _OPS:
                continue
            if _drop(sizes, node):
                self.record["reshapes dropped"] += 1
            elif node.op_type == "Reshape" and _settle(names, node):
                self.record["sizes made constant"] += 1
        return ir.passes.PassResult(model, modified=any(self.record.values()))


def _drop(sizes: Sizes, node: ir.Node) -> bool:
    x, result = node.inputs[0], node.outputs[0]
    if x is None or result.is_graph_output() or not _changes_nothing(sizes, node, x):
        return False
    replace(result, x)
    return True


def _changes_nothing(sizes: Sizes, node: ir.Node, x: ir.Value) -> bool:
    if node.op_type == "Cast":
        return x.dtype is not None and x.dtype.value == node.attributes.get_int("to", 0)
    if same_shape(x, node.outputs[0]):
        return True
    asked, count = sizes.entries(node.inputs[1]) if len(node.inputs) > 1 else None, axes.rank(x)
    if asked is None or count is None or len(asked) > count:
        return False
    own: list[Entry] = [axes.dimension(x, axis) for axis in range(count)]
    if node.op_type == "Reshape":
        return same_dimensions(own, asked)
    pairs = zip(asked, own[count - len(asked) :], strict=True)
    return all(entry == 1 or (entry is not None and entry == dim) for entry, dim in pairs)


def _settle(names: Names, node: ir.Node) -> bool:
    if len(node.inputs) < 2 or constants.constant_tensor(node.inputs[1]) is not None:
        return False
    wanted = _constant_sizes(node)
    if wanted is None:
        return False
    computed = node.inputs[1]
    node.replace_input_with(1, names.integers(*wanted))
    remove_unread([computed])
    node.attributes.pop("allowzero", None)
    return True


def _constant_sizes(node: ir.Node) -> tuple[int, ...] | None:
    """What Reshape may be told instead of the sizes that are computed, or None."""
    x, result = node.inputs[0], node.outputs[0]
    count = axes.rank(result)
    if x is None or count is None:
        return None
    found: list[int] = []
    for axis in range(count):
        dim = axes.dimension(result, axis)
        if isinstance(dim, int):
            if dim < 1:
                return None
            found.append(dim)
        else:
            found.append(0 if dim is not None and dim == axes.dimension(x, axis) else -1)
    if found.count(-1) > 1 or (-1 in found and 0 in found):
        return None
    return tuple(found)
