"""Give the Casts of a body that serves any element type the type that it was called with."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.operators.custom_ops import ANY_TYPE
from graphopt.passes.rewrite import Rewrite

__all__ = ["SettleTypes"]


class SettleTypes(Rewrite):
    """Undoes what a body of an operator of the domain graphopt needs to serve every type.

    1. It looks at the Casts and CastLikes that UnfuseCustomNorms marked, and at no others: those of
       the model are its own.
    2. One that changes no type is removed. It stays where its result is a graph output and what it
       reads cannot take over the name: another output, or what nothing computes.
    3. A CastLike that changes the type becomes a Cast to it.
    4. Where a type is not known, the node stays.
    """

    needs_shapes = True

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Settle in place; ``record`` counts the nodes."""
        self.record = {"casts settled": 0}
        for graph in model.graphs():
            for node in list(graph):
                if node.meta.pop(ANY_TYPE, False):
                    self.record["casts settled"] += _settle(node)
        return ir.passes.PassResult(model, modified=self.record["casts settled"] > 0)


def _settle(node: ir.Node) -> bool:
    x, y, graph = node.inputs[0], node.outputs[0], node.graph
    if x is None or graph is None or y.dtype is None or x.dtype is None:
        return False
    if x.dtype == y.dtype and not y.is_graph_output():
        y.replace_all_uses_with(x)
    elif x.dtype == y.dtype and x.producer() is not None and not x.is_graph_output():
        ir.convenience.replace_all_uses_with(y, x, replace_graph_outputs=True)
        x.name, x.type, x.shape = y.name, y.type, y.shape
        x.meta.update(y.meta)
    elif node.op_type == "CastLike":
        cast = ir.node("Cast", [x], {"to": y.dtype.value}, name=node.name)
        graph.insert_before(node, cast)
        result = cast.outputs[0]
        ir.convenience.replace_all_uses_with(y, result, replace_graph_outputs=True)
        result.name, result.type, result.shape = y.name, y.type, y.shape
        result.meta.update(y.meta)
    else:
        return False
    graph.remove(node, safe=True)
    return True
