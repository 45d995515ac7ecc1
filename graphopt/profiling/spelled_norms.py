"""Finds what is left of normalizations in a graph that spells them out in primitive operators."""

from __future__ import annotations

__all__ = ["is_constant", "is_per_feature", "spelled_out_norms"]

import dataclasses
from collections.abc import Iterable

import onnx_ir as ir

from graphopt.passes.norms.numbers import scalar

_MOMENTS = ("ReduceMean", "ReduceSum", "ReduceSumSquare", "ReduceL2")
_ELEMENTWISE = ("Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Reciprocal", "Neg", "Cast")
_APPLIED_BY = ("Add", "Sub", "Mul", "Div")
_SIZES = ("Shape", "Size")
_OF_SIZES = ("Concat", "Gather", "ReduceProd", "Slice", "Squeeze", "Unsqueeze")


@dataclasses.dataclass(frozen=True)
class _Statistic:
    """A value computed from moments and sizes alone, such as a mean or a reciprocal deviation.

    Attributes:
        nodes: What computes it, the squares before the moments included.
        is_mean: True for a mean, or a multiple of one.
        is_deviation: True where a root of moments was taken on the way.
        is_size: True where no moment is among what it is computed from, but sizes alone.
    """

    nodes: frozenset[ir.Node]
    is_mean: bool = False
    is_deviation: bool = False
    is_size: bool = False


def spelled_out_norms(graph: ir.Graph) -> set[ir.Node]:
    """The nodes of decomposed norms: of LayerNorm, RMSNorm, CRMSNorm and explicit recentring.

    1. A statistic is a moment (ReduceMean, ReduceSum and their like), the size of an axis, or an
       elementwise operator of statistics and constants alone.
    2. A norm applies a statistic to a value that is none: it subtracts a mean, or multiplies or
       divides by a root of moments. Thus a softmax (no root), pooling (applied to nothing) and
       attention's division by the root of a size are no norms.
    3. The norm is what computes the statistic, what applies it, and the elementwise operators with
       per-feature constants (gamma, beta) and Casts that follow.

    Nothing is proved: this tells where time goes, and decides no rewrite.
    """
    statistics: dict[ir.Value, _Statistic] = {}
    found: set[ir.Node] = set()
    for node in graph.all_nodes():
        if node.domain != "":
            continue
        result = node.outputs[0]
        if node.op_type in _MOMENTS:
            squares = frozenset(_squares(node.inputs[0]))
            rooted = node.op_type == "ReduceL2"
            statistics[result] = _Statistic(squares | {node}, not squares, rooted)
            continue
        operands = [value for value in node.inputs if value and not is_constant(value)]
        known = [statistics[value] for value in operands if value in statistics]
        if node.op_type in _SIZES:
            statistics[result] = _Statistic(frozenset({node}), is_size=True)
        elif node.op_type in _OF_SIZES:
            if known and len(known) == len(operands) and all(part.is_size for part in known):
                statistics[result] = _combined(node, known)
        elif node.op_type in _ELEMENTWISE:
            if known and len(known) == len(operands):
                statistics[result] = _combined(node, known)
            elif known and node.op_type in _APPLIED_BY:
                found |= _application(node, known)
            elif _follows(node, operands, found):
                found.add(node)
    return found


def is_constant(value: ir.Value | None) -> bool:
    """True for an absent operand and for one that the graph stores."""
    if value is None or value.is_initializer():
        return True
    producer = value.producer()
    return producer is not None and producer.domain == "" and producer.op_type == "Constant"


def is_per_feature(value: ir.Value | None) -> bool:
    """True for a stored vector: one axis, or one beside axes of size 1."""
    if value is None or not is_constant(value) or value.shape is None:
        return False
    return sum(size != 1 for size in value.shape) == 1


def _squares(value: ir.Value | None) -> Iterable[ir.Node]:
    """The squaring, and the Casts around it, that only a moment reads."""
    squared = False
    while value is not None and (node := value.producer()) is not None:
        squares = node.op_type == "Pow" or (
            node.op_type == "Mul" and node.inputs[0] is node.inputs[1]
        )
        if len(value.uses()) != 1 or not (node.op_type == "Cast" or (squares and not squared)):
            return
        squared = squared or squares
        yield node
        value = node.inputs[0]


def _combined(node: ir.Node, parts: list[_Statistic]) -> _Statistic:
    moments = [part for part in parts if not part.is_size]
    means = all(part.is_mean for part in moments) and node.op_type not in ("Sqrt", "Pow")
    return _Statistic(
        nodes=frozenset({node}).union(*(part.nodes for part in parts)),
        is_mean=bool(moments) and means,
        is_deviation=bool(moments)
        and (_takes_a_root(node) or any(part.is_deviation for part in moments)),
        is_size=not moments,
    )


def _takes_a_root(node: ir.Node) -> bool:
    if node.op_type == "Pow":
        exponent = scalar(node.inputs[1])
        return exponent is not None and abs(exponent) == 0.5
    return node.op_type == "Sqrt"


def _application(node: ir.Node, statistics: list[_Statistic]) -> set[ir.Node]:
    if node.op_type in ("Add", "Sub"):
        applied = any(part.is_mean or part.is_deviation for part in statistics)
    else:
        applied = any(part.is_deviation for part in statistics)
    if not applied:
        return set()
    return {node}.union(*(part.nodes for part in statistics))


def _follows(node: ir.Node, operands: list[ir.Value], norms: set[ir.Node]) -> bool:
    """Whether ``node`` applies gamma or beta to a norm, or casts it back."""
    if len(operands) != 1 or operands[0].producer() not in norms:
        return False
    if node.op_type == "Cast":
        return True
    return node.op_type in ("Mul", "Add") and any(map(is_per_feature, node.inputs))
