"""A value as a polynomial in another value x and in a gate, made by Mul, Add and their kin."""

from __future__ import annotations

import math

import onnx_ir as ir

from graphopt.passes.graph.axes import rank
from graphopt.passes.graph.constants import constant_tensor
from graphopt.passes.graph.walking import produced_by
from graphopt.passes.norms.numbers import scalar

__all__ = ["STEPS", "Polynomial", "Terms"]

STEPS = ("Add", "Div", "Identity", "Mul", "Neg", "Pow", "Sub", "Sum")
"""The operators that a polynomial is spelled with."""

Terms = dict[tuple[int, int], float]
"""The coefficient of x^i gate^j for each (i, j)."""

_HIGHEST = 3  # the degree of the tanh approximation
_DEEPEST = 12


class Polynomial:
    """Reads values as polynomials.

    Args:
        x: The value that the polynomials are in.
        gate: The other one, or None.

    Attributes:
        nodes: The nodes that were read so far: what computes the polynomials from x and the gate.
    """

    def __init__(self, x: ir.Value, gate: ir.Value | None = None) -> None:
        self.x, self.gate = x, gate
        self.nodes: set[ir.Node] = set()

    def terms(self, value: ir.Value | None, depth: int = 0) -> Terms | None:
        """The coefficients of ``value``, or None where it is no such polynomial.

        A constant is one number that does not raise the rank of x. Coefficients are computed in
        float64 from constants as they are rounded.
        """
        if value is None or depth > _DEEPEST:
            return None
        if value is self.x:
            return {(1, 0): 1.0}
        if value is self.gate:
            return {(0, 1): 1.0}
        number = self._number(value)
        if number is not None:
            return {(0, 0): number}
        node = produced_by(value, *STEPS)
        if node is None:
            return None
        found = self._of_node(node, depth + 1)
        self.nodes.add(node)
        return found

    def _of_node(self, node: ir.Node, depth: int) -> Terms | None:
        if node.op_type == "Pow":
            base, exponent = node.inputs
            power = self._number(exponent)
            terms = self.terms(base, depth) if power in (2, 3) else None
            if power is None or terms is None:
                return None
            square = _product(terms, terms)
            return square if power == 2 else _product(square, terms)
        operands = [self.terms(operand, depth) for operand in node.inputs]
        known = [terms for terms in operands if terms is not None]
        if len(known) < len(operands) or not known:
            return None
        first, *others = known
        for other in others:
            if node.op_type == "Mul":
                result = _product(first, other)
            elif node.op_type == "Div":
                divisor = other.get((0, 0), 0.0)
                if len(other) > 1 or divisor == 0.0:
                    return None
                result = {key: number / divisor for key, number in first.items()}
            else:
                result = _sum(first, other, -1.0 if node.op_type == "Sub" else 1.0)
            if result is None:
                return None
            first = result
        return _sum({}, first, -1.0) if node.op_type == "Neg" else first

    def _number(self, value: ir.Value | None) -> float | None:
        """A constant of one entry, or the root of one."""
        root = produced_by(value, "Sqrt")
        if root is not None:
            square = self._number(root.inputs[0])
            return None if square is None or square < 0 else math.sqrt(square)
        number = scalar(value, self.x)
        tensor = constant_tensor(value)
        count = 0 if tensor is None else len(tensor.shape)
        if number is None or not math.isfinite(number):
            return None
        known = rank(self.x)
        return number if count == 0 or (known is not None and count <= known) else None


def _product(a: Terms | None, b: Terms | None) -> Terms | None:
    if a is None or b is None:
        return None
    found: Terms = {}
    for (i, j), left in a.items():
        for (k, m), right in b.items():
            if i + k > _HIGHEST or j + m > 1:
                return None
            found[i + k, j + m] = found.get((i + k, j + m), 0.0) + left * right
    return found


def _sum(a: Terms, b: Terms, sign: float) -> Terms:
    return {key: a.get(key, 0.0) + sign * b.get(key, 0.0) for key in a.keys() | b.keys()}
