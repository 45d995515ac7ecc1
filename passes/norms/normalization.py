"""The core of a norm that a graph spells out in primitive operators, without what follows it.

The walk starts at the node that normalizes (Div by a standard deviation, Mul by a reciprocal one,
or the Add of the folded form x * f + (beta - mean * f)) and goes from producer to producer.
"""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from graphopt.passes.graph.walking import orders, peel_casts, produced_by
from graphopt.passes.norms.deviation import Deviation, deviation, reciprocal_deviation
from graphopt.passes.norms.moments import centred, mean
from graphopt.passes.norms.row_layouts import Axes

__all__ = ["Normalization", "normalization"]


@dataclasses.dataclass(frozen=True)
class Normalization:
    """y = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon), or the same without the means.

    Attributes:
        source: x in the type that y has.
        root: x before the Casts that widen it.
        axes: Axes of the means.
        epsilon: Added under the root.
        centred: False for the form without the means (RMS).
        scale: gamma where it is multiplied in before y, else None.
        bias: beta where it is added before y, else None.
        output: y.
    """

    source: ir.Value
    root: ir.Value
    axes: Axes
    epsilon: float
    centred: bool
    scale: ir.Value | None
    bias: ir.Value | None
    output: ir.Value

    @property
    def is_over_last_axis(self) -> bool:
        """True where the one axis is proved to be the last."""
        return self.axes == (-1 if self.root.shape is None else len(self.root.shape) - 1,)


def normalization(node: ir.Node) -> Normalization | None:
    """Read ``node`` as the one that normalizes, for a LayerNorm or RMSNorm over any axes."""
    if node.domain != "" or node.op_type not in ("Div", "Mul", "Add", "Sub"):
        return None
    if node.op_type == "Div":
        return _product(node, node.inputs[0], deviation(node.inputs[1]))
    if node.op_type == "Mul":
        for numerator, factor in orders(node):
            found = _product(node, numerator, _factor(factor))
            if found is not None:
                return found
        return None
    return _folded(node)


def _product(
    node: ir.Node, numerator: ir.Value | None, spread: Deviation | None
) -> Normalization | None:
    """The norm ``numerator`` over ``spread``; gamma may already be a factor of either."""
    if numerator is None or spread is None or spread.layout != "kept":
        return None
    choices: list[tuple[ir.Value, ir.Value | None]] = [(numerator, spread.scale)]
    if spread.scale is None:
        choices += orders(produced_by(numerator, "Mul"))
    for value, scale in choices:
        difference = centred(value)
        if spread.centred and difference is not None and difference.axes == spread.axes:
            source, root = difference.source, difference.root
        elif not spread.centred:
            source, root = value, peel_casts(value)
        else:
            continue
        if root is spread.root:
            return Normalization(
                source,
                root,
                spread.axes,
                spread.epsilon,
                spread.centred,
                scale,
                None,
                node.outputs[0],
            )
    return None


def _folded(node: ir.Node) -> Normalization | None:
    """x * f + (beta - mean * f), f the reciprocal deviation, perhaps times gamma; beta may lack."""
    pairs = orders(node) if node.op_type == "Add" else orders(node)[:1]
    for scaled, shift in pairs:
        for x, factor in orders(produced_by(scaled, "Mul")):
            spread = _factor(factor)
            if spread is None or not spread.centred or peel_casts(x) is not spread.root:
                continue
            if spread.layout != "kept":
                continue
            found, bias = _shift(shift, factor, spread, negative=node.op_type == "Add")
            if found:
                return Normalization(
                    x,
                    spread.root,
                    spread.axes,
                    spread.epsilon,
                    True,
                    spread.scale,
                    bias,
                    node.outputs[0],
                )
    return None


def _shift(
    value: ir.Value, factor: ir.Value, spread: Deviation, *, negative: bool
) -> tuple[bool, ir.Value | None]:
    """Whether ``value`` is mean * f (if ``negative``: beta - mean * f or -mean * f), and beta."""
    if not negative:
        return _is_mean_times(value, factor, spread), None
    difference = produced_by(value, "Sub")
    if difference is not None:
        return _is_mean_times(difference.inputs[1], factor, spread), difference.inputs[0]
    negation = produced_by(value, "Neg")
    if negation is not None:
        return _is_mean_times(negation.inputs[0], factor, spread), None
    for other, average in orders(produced_by(value, "Mul")):
        negation = produced_by(average, "Neg")
        if other is factor and negation is not None:
            return _is_mean(negation.inputs[0], spread), None
    return False, None


def _is_mean_times(value: ir.Value | None, factor: ir.Value, spread: Deviation) -> bool:
    product = orders(produced_by(value, "Mul"))
    return any(other is factor and _is_mean(average, spread) for other, average in product)


def _is_mean(value: ir.Value | None, spread: Deviation) -> bool:
    average = mean(value)
    return (
        average is not None
        and average.layout == "kept"
        and peel_casts(average.source) is spread.root
        and average.axes == spread.axes
    )


def _factor(value: ir.Value) -> Deviation | None:
    """Read ``value`` as the reciprocal deviation, perhaps times gamma."""
    reciprocal = reciprocal_deviation(value)
    if reciprocal is not None:
        return reciprocal
    for inverse, scale in orders(produced_by(value, "Mul")):
        reciprocal = reciprocal_deviation(inverse)
        if reciprocal is not None:
            return dataclasses.replace(reciprocal, scale=scale)
    return None
