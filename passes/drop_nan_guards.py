"""Remove the guards behind Softmax that can never act."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.attention.guards import guard_of, largest_product
from graphopt.passes.graph.intervals import Intervals
from graphopt.passes.graph.naming import all_nodes
from graphopt.passes.graph.not_finite import NotFinite
from graphopt.passes.graph.unread import replace
from graphopt.passes.rewrite import Rewrite

__all__ = ["DropNanGuards"]


class DropNanGuards(Rewrite):
    """Where(IsNaN(p), f, p) with p = Softmax(s) becomes p, where no row of s can give NaN.

    Softmax gives NaN for a row that holds NaN or +Inf, and for a row that is -Inf throughout, which
    is what masking all of it with -Inf makes. Exporters write the guard for that row; with a mask
    that is finite, as -3.4e38, it has nothing to do.

    1. Every entry of s is proved finite (``passes/graph/intervals.py``), from the product of two
       matrices that the scores are and the masks that are added to them or chosen in their place.
       So the guard stays with a mask that holds -Inf, with two masks whose sum may be -Inf, and
       with one that is an input of the model.
    2. Of a product of matrices it is assumed that its entries are finite and at most 1e30; in
       float16, whose masks leave no room, any finite number is reckoned with. So -65504 keeps its
       guard there: scores below -16 turn it into -Inf.
    3. No constant that holds NaN or Inf reaches s (``passes/graph/not_finite.py``), except for
       masks that a Softmax before it took in: a broken weight may make every product NaN.
    4. f has one entry, and does not give the result more axes than p has.
    5. A result that is a graph output stays, because the output needs its name.

    A model whose scores overflow to Inf or NaN gives zeros for such a row with the guard, and NaN
    without it: that is all that changes.
    """

    needs_shapes = True

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites ``model`` in place."""
        intervals, not_finite = Intervals(largest_product), NotFinite(model)
        dropped = sum(_drop(intervals, not_finite, node) for node in all_nodes(model))
        self.record = {"NaN guards dropped": dropped}
        return ir.passes.PassResult(model, modified=dropped > 0)


def _drop(intervals: Intervals, not_finite: NotFinite, node: ir.Node) -> bool:
    guard = guard_of(node)
    if guard is None:
        return False
    scores = intervals.of(guard.softmax.inputs[0])
    if scores is None or not scores.is_finite:
        return False
    if node.outputs[0].is_graph_output() or not_finite.reaches(guard.softmax.inputs[0]):
        return False
    replace(node.outputs[0], guard.weights)
    return True
