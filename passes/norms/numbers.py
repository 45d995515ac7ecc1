"""Constant numbers of a spelled norm: epsilon, exponents, and the share 1 / d of a sum."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph.constants import constant_tensor
from graphopt.passes.graph.walking import orders, produced_by

__all__ = ["Factor", "factor", "inverts", "is_root_of_share", "scalar"]

_DIGITS = {
    ir.DataType.FLOAT16: 11,
    ir.DataType.BFLOAT16: 8,
    ir.DataType.FLOAT: 24,
    ir.DataType.DOUBLE: 53,
}
"""Binary digits of a mantissa."""


@dataclasses.dataclass(frozen=True)
class Factor:
    """``operand`` times a constant, or over it.

    Attributes:
        operand: What is scaled.
        number: The constant.
        divides: True for operand / number.
        dtype: The type of the constant, to which it is rounded.
    """

    operand: ir.Value
    number: float
    divides: bool
    dtype: ir.DataType | None


def scalar(value: ir.Value | None, beside: ir.Value | None = None) -> float | None:
    """The one entry of a constant that does not raise the rank of the operand ``beside`` it.

    The constant may stand behind Casts; the number is what they make of it.
    """
    array = _single(value)
    if array is None or (array.ndim > 1 and not _has_rank(beside, array.ndim)):
        return None
    return float(array.reshape(()))


def factor(node: ir.Node | None) -> Factor | None:
    """Read a Div or a Mul as a value and a number that scales it."""
    if node is None:
        return None
    pairs = orders(node)
    for operand, constant in pairs[:1] if node.op_type == "Div" else pairs:
        number = scalar(constant, operand)
        if number is not None:
            return Factor(operand, number, node.op_type == "Div", constant.dtype)
    return None


def inverts(share: Factor, count: int | None) -> bool:
    """True where ``share`` makes a mean of a sum of ``count`` entries.

    A divisor is ``count`` itself. A multiplier is 1 / ``count``, rounded once to its own type.
    """
    if count is None or not np.isfinite(share.number):
        return False
    if share.divides:
        return share.number == count
    if share.dtype not in _DIGITS:
        return False
    return abs(Fraction(share.number) * count - 1) <= Fraction(1, 2 ** _DIGITS[share.dtype])


def is_root_of_share(share: Factor, count: int | None) -> bool:
    """True where ``share`` makes the root of a mean of the root of a sum, exactly."""
    if count is None or not np.isfinite(share.number) or share.number <= 0:
        return False
    square = Fraction(share.number) ** 2
    return square == count if share.divides else square * count == 1


def _single(value: ir.Value | None) -> np.ndarray | None:
    """A constant of one entry, with its rank; behind Casts rounded as they round."""
    tensor = constant_tensor(value)
    if tensor is not None:
        return np.asarray(tensor.numpy()) if tensor.size == 1 else None
    node = produced_by(value, "Cast")
    array = None if node is None else _single(node.inputs[0])
    if node is None or array is None:
        return None
    target = ir.DataType(node.attributes.get_int("to", ir.DataType.UNDEFINED))
    return array.astype(target.numpy()) if target in _DIGITS else None


def _has_rank(value: ir.Value | None, rank: int) -> bool:
    return value is not None and value.shape is not None and len(value.shape) >= rank
