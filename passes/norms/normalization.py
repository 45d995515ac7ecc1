"""The core of a norm that a graph spells out in primitive operators, without what follows it.

The walk starts at the node that normalizes (Div by a standard deviation, Mul by a reciprocal one,
or the Add of the folded form x * f + (beta - mean * f)) and goes from producer to producer.
"""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from graphopt.passes.norms.moments import (
    Axes,
    centred,
    mean,
    orders,
    peel_casts,
    produced_by,
    scalar,
    square_base,
)

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


@dataclasses.dataclass(frozen=True)
class _Deviation:
    """sqrt(mean((x - mean(x))^2) + epsilon) or its reciprocal, perhaps times gamma."""

    root: ir.Value
    axes: Axes
    epsilon: float
    centred: bool
    scale: ir.Value | None = None


def normalization(node: ir.Node) -> Normalization | None:
    """Read ``node`` as the one that normalizes, for a LayerNorm or RMSNorm over any axes."""
    if node.domain != "" or node.op_type not in ("Div", "Mul", "Add", "Sub"):
        return None
    if node.op_type == "Div":
        return _product(node, node.inputs[0], _deviation(node.inputs[1], 0.5))
    if node.op_type == "Mul":
        for numerator, factor in orders(node):
            found = _product(node, numerator, _factor(factor))
            if found is not None:
                return found
        return None
    return _folded(node)


def _product(
    node: ir.Node, numerator: ir.Value | None, deviation: _Deviation | None
) -> Normalization | None:
    """The norm ``numerator`` * ``deviation``; gamma may already be a factor of either."""
    if numerator is None or deviation is None:
        return None
    choices: list[tuple[ir.Value, ir.Value | None]] = [(numerator, deviation.scale)]
    if deviation.scale is None:
        choices += orders(produced_by(numerator, "Mul"))
    for value, scale in choices:
        difference = centred(value)
        if deviation.centred and difference is not None:
            source, root = difference.source, difference.root
        elif not deviation.centred:
            source, root = value, peel_casts(value)
        else:
            continue
        if root is deviation.root:
            return Normalization(
                source,
                root,
                deviation.axes,
                deviation.epsilon,
                deviation.centred,
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
            deviation = _factor(factor)
            if deviation is None or not deviation.centred or peel_casts(x) is not deviation.root:
                continue
            found, bias = _shift(shift, factor, deviation, negative=node.op_type == "Add")
            if found:
                return Normalization(
                    x,
                    deviation.root,
                    deviation.axes,
                    deviation.epsilon,
                    True,
                    deviation.scale,
                    bias,
                    node.outputs[0],
                )
    return None


def _shift(
    value: ir.Value, factor: ir.Value, deviation: _Deviation, *, negative: bool
) -> tuple[bool, ir.Value | None]:
    """Whether ``value`` is mean * f (if ``negative``: beta - mean * f or -mean * f), and beta."""
    if not negative:
        return _is_mean_times(value, factor, deviation), None
    difference = produced_by(value, "Sub")
    if difference is not None:
        return _is_mean_times(difference.inputs[1], factor, deviation), difference.inputs[0]
    negation = produced_by(value, "Neg")
    if negation is not None:
        return _is_mean_times(negation.inputs[0], factor, deviation), None
    for other, average in orders(produced_by(value, "Mul")):
        negation = produced_by(average, "Neg")
        if other is factor and negation is not None:
            return _is_mean(negation.inputs[0], deviation), None
    return False, None


def _is_mean_times(value: ir.Value | None, factor: ir.Value, deviation: _Deviation) -> bool:
    product = orders(produced_by(value, "Mul"))
    return any(other is factor and _is_mean(average, deviation) for other, average in product)


def _is_mean(value: ir.Value | None, deviation: _Deviation) -> bool:
    average = mean(value)
    return (
        average is not None
        and peel_casts(average.source) is deviation.root
        and average.axes == deviation.axes
    )


def _factor(value: ir.Value) -> _Deviation | None:
    """Read ``value`` as the reciprocal deviation, perhaps times gamma."""
    reciprocal = _reciprocal_deviation(value)
    if reciprocal is not None:
        return reciprocal
    for inverse, scale in orders(produced_by(value, "Mul")):
        reciprocal = _reciprocal_deviation(inverse)
        if reciprocal is not None:
            return dataclasses.replace(reciprocal, scale=scale)
    return None


def _reciprocal_deviation(value: ir.Value) -> _Deviation | None:
    node = produced_by(value, "Reciprocal", "Div", "Pow")
    if node is None:
        return None
    if node.op_type == "Reciprocal":
        return _deviation(node.inputs[0], 0.5)
    if node.op_type == "Div":
        one = scalar(node.inputs[0], node.inputs[1]) == 1.0
        return _deviation(node.inputs[1], 0.5) if one else None
    return _deviation(value, -0.5)


def _deviation(value: ir.Value | None, power: float) -> _Deviation | None:
    """Read ``value`` as (variance + epsilon) to ``power``: 0.5 or -0.5."""
    node = produced_by(value, "Sqrt", "Pow")
    if node is None:
        return None
    found = 0.5 if node.op_type == "Sqrt" else scalar(node.inputs[1], node.inputs[0])
    if found != power:
        return None
    for variance, epsilon in _shifted(node.inputs[0]):
        average = mean(variance)
        base = None if average is None else square_base(average.source)
        if average is None or base is None:
            continue
        difference = centred(base)
        if difference is not None and difference.axes == average.axes:
            return _Deviation(difference.root, average.axes, epsilon, centred=True)
        return _Deviation(peel_casts(base), average.axes, epsilon, centred=False)
    return None


def _shifted(value: ir.Value | None) -> list[tuple[ir.Value, float]]:
    """The readings of ``value`` as a variance plus epsilon; optimizers drop a tiny epsilon."""
    if value is None:
        return []
    readings = []
    for variance, constant in orders(produced_by(value, "Add")):
        epsilon = scalar(constant, variance)
        if epsilon is not None and epsilon >= 0:
            readings.append((variance, epsilon))
    return readings or [(value, 0.0)]
