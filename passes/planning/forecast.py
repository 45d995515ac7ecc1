"""What the plan is worth: the time that it saves, beside the time that the model takes."""

from __future__ import annotations

import math

import onnx_ir as ir

from graphopt.passes.graph import axes
from graphopt.passes.graph.naming import all_nodes
from graphopt.passes.planning.costs import Costs, RowCounts, provider_costs
from graphopt.passes.planning.plan import Plan
from graphopt.passes.report import Forecast
from graphopt.passes.streams import readers

__all__ = ["forecast"]

_PRODUCTS = frozenset({"MatMul", "Gemm", "Conv"})


def forecast(model: ir.Model, plan: Plan, provider: str) -> Forecast | None:
    """What converting the norms of ``plan`` saves, and which share of a call that is, about.

    A product of matrices takes as long as its multiplications, and any other node as long as an Add
    of as many elements. Nothing else is counted, not even what is fused beside the norms.

    Args:
        model: The model that the plan was made for, as it is before the plan is applied.
        plan: The plan.
        provider: Whose costs count.

    Returns:
        The forecast, or None where no norm converts.
    """
    if not plan.converted:
        return None
    costs, counts = provider_costs(provider), RowCounts(model)
    rows = [counts.elements(norm.stream) // norm.stream.axis.size for norm in plan.converted]
    share = None
    if costs.multiply_add is not None:
        total = sum(_time(node, counts, costs, costs.multiply_add) for node in all_nodes(model))
        share = min(1.0, plan.saving_ns / total) if total else None
    return Forecast((max(1, min(rows)), max(1, max(rows))), plan.saving_ns / 1000, share)


def _time(node: ir.Node, counts: RowCounts, costs: Costs, multiply_add: float) -> float:
    """Nanoseconds of one run of a node, about."""
    if node.op_type == "Constant" and not node.domain:
        return 0.0
    elements = sum(counts.count(value) for value in node.outputs if value.shape is not None)
    if not node.domain and node.op_type in _PRODUCTS:
        return costs.launch + elements * _depth(node, counts) * multiply_add
    if readers.is_norm(node):
        return costs.launch + elements * costs.layer_norm
    return costs.launch + elements * costs.add


def _depth(node: ir.Node, counts: RowCounts) -> int:
    """How many products each entry of the result is the sum of."""
    left, right = node.inputs[:2]
    if node.op_type == "Conv":
        return _volume(right, counts)
    if left is None or not (rank := axes.rank(left)):
        return 1
    is_transposed = node.op_type == "Gemm" and node.attributes.get_int("transA", 0) == 1
    return counts.size(left, 0 if is_transposed else rank - 1)


def _volume(kernel: ir.Value | None, counts: RowCounts) -> int:
    """The entries of a kernel for each channel that it makes."""
    rank = 0 if kernel is None else axes.rank(kernel) or 0
    return math.prod(counts.size(kernel, axis) for axis in range(1, rank)) if kernel else 1
