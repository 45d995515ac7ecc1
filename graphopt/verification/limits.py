"""The two values between which an operator holds an output, and at which it is saturated."""

from __future__ import annotations

__all__ = ["limits"]

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph.constants import constant_tensor
from graphopt.verification.precision import MOVES

Limits = tuple[float, float]

_LIMITS = {
    "Erf": (-1.0, 1.0),
    "HardSigmoid": (0.0, 1.0),
    "Sigmoid": (0.0, 1.0),
    "Softmax": (0.0, 1.0),
    "Softsign": (-1.0, 1.0),
    "Tanh": (-1.0, 1.0),
}
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "Add": lambda x, y: x + y,
    "Mul": lambda x, y: x * y,
    "Sub": lambda x, y: x - y,
}
_KEEPS = (MOVES - {"Concat"}) | {"Cast"}


def limits(output: ir.Value | None) -> Limits | None:
    """The least and the largest value that ``output`` can come near to, or None.

    They are those of the operator that computes it: 0 and 1 of Sigmoid, Softmax and HardSigmoid, -1
    and 1 of Tanh, Erf and Softsign, the bounds of a Clip; behind it elements may be moved, cast,
    and multiplied by or added to a constant.
    """
    behind: list[Callable[[float], float]] = []
    node = None if output is None else output.producer()
    while node is not None and not node.domain and node.inputs:
        found = _bounds(node) if node.op_type == "Clip" else _LIMITS.get(node.op_type)
        if found is not None:
            for apply in reversed(behind):
                found = (apply(found[0]), apply(found[1]))
            return min(found), max(found)
        value = node.inputs[0]
        if node.op_type in _ARITHMETIC:
            numbers = [_number(operand) for operand in node.inputs]
            if len(numbers) != 2 or numbers.count(None) != 1:
                return None
            behind.append(_applied(node.op_type, *numbers))
            value = node.inputs[numbers.index(None)]
        elif node.op_type not in _KEEPS:
            return None
        node = None if value is None else value.producer()
    return None


def _applied(operator: str, first: float | None, second: float | None) -> Callable[[float], float]:
    """The function of the one operand that is no constant."""
    apply = _ARITHMETIC[operator]

    def function(x: float) -> float:
        return apply(x if first is None else first, x if second is None else second)

    return function


def _bounds(node: ir.Node) -> Limits | None:
    """Those of a Clip: inputs from opset 11 on, attributes before."""
    given = [_number(value) for value in (*node.inputs[1:], None, None)[:2]]
    low, high = (
        node.attributes.get_float(name, np.nan) if number is None else number
        for name, number in zip(("min", "max"), given, strict=True)
    )
    return (low, high) if low < high else None


def _number(value: ir.Value | None) -> float | None:
    """A constant of one finite number."""
    tensor = None if value is None else constant_tensor(value)
    if tensor is None or tensor.size != 1 or tensor.dtype == ir.DataType.STRING:
        return None
    number = float(np.asarray(tensor.numpy()).reshape(-1)[0])
    return number if np.isfinite(number) else None
