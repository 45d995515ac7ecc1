"""Remove the guards behind Softmax that can never act."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph.intervals import Intervals
from graphopt.passes.graph.naming import all_nodes
from graphopt.passes.graph.not_finite import NotFinite
from graphopt.passes.graph.unread import replace
from graphopt.passes.rewrite import Rewrite

__all__ = ["DropNanGuards"]

_LARGEST_SCORE = 1e30


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


def largest_product(dtype: ir.DataType) -> float:
    """What the entries of a product of matrices are taken not to exceed."""
    if dtype == ir.DataType.FLOAT16:
        return float(np.finfo(np.float16).max)
    return _LARGEST_SCORE


def _drop(intervals: Intervals, not_finite: NotFinite, node: ir.Node) -> bool:
    if node.graph is None or node.op_type != "Where" or node.domain:
        return False
    condition, filler, kept = node.inputs
    test = None if condition is None else condition.producer()
    if test is not None and test.op_type == "Not" and not test.domain:
        filler, kept = kept, filler
        test = None if test.inputs[0] is None else test.inputs[0].producer()
    if test is None or test.op_type != "IsNaN" or test.domain or test.inputs[0] is not kept:
        return False
    softmax = None if kept is None else kept.producer()
    if softmax is None or softmax.op_type != "Softmax" or softmax.domain or kept is None:
        return False
    scores = intervals.of(softmax.inputs[0])
    if scores is None or not scores.is_finite or not _is_scalar(filler, kept):
        return False
    if node.outputs[0].is_graph_output() or not_finite.reaches(softmax.inputs[0]):
        return False
    replace(node.outputs[0], kept)
    return True


def _is_scalar(filler: ir.Value | None, kept: ir.Value) -> bool:
    if filler is None or filler.shape is None or any(dim != 1 for dim in filler.shape):
        return False
    # Softmax has at least one axis.
    return len(filler.shape) <= (1 if kept.shape is None else max(1, len(kept.shape)))
