"""Sizes that a file writes as expressions of other sizes: ``past_sequence + 1``.

A dimension's name may be any text, so it is read by a small grammar, and nothing beyond it is
worked out: ``2**10**9`` is a name like ``batch size``.
"""

from __future__ import annotations

__all__ = ["evaluate", "symbols"]

import ast
import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction

_LONGEST = 200
"""Characters of an expression; a longer text is a name."""

_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction | int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_FUNCTIONS: dict[str, Callable[..., Fraction | int]] = {
    "max": max,
    "min": min,
    "floor": math.floor,
    "ceil": math.ceil,
    "ceiling": math.ceil,
    "mod": operator.mod,
}


def symbols(text: str) -> list[str]:
    """The names in an expression; text that is none, or has none, is one name."""
    tree = _parse(text)
    return [text] if tree is None else sorted(_names(tree))


def evaluate(text: str, sizes: Mapping[str, int]) -> int | None:
    """The value of an expression, or None where it is no integer or a size is missing."""
    tree = _parse(text)
    if tree is None:
        return sizes.get(text)
    try:
        value = Fraction(_value(tree, sizes))
    except (KeyError, ZeroDivisionError, TypeError):
        return None
    return value.numerator if value.denominator == 1 else None


def _parse(text: str) -> ast.expr | None:
    if len(text) > _LONGEST:
        return None
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if _is_taken(tree) and _names(tree) else None


def _is_taken(tree: ast.expr) -> bool:
    match tree:
        case ast.Name():
            return True
        case ast.Constant():
            return type(tree.value) is int
        case ast.BinOp():
            return type(tree.op) in _OPERATORS and _is_taken(tree.left) and _is_taken(tree.right)
        case ast.UnaryOp():
            return isinstance(tree.op, ast.USub) and _is_taken(tree.operand)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return name.lower() in _FUNCTIONS and bool(arguments) and all(map(_is_taken, arguments))
    return False


def _names(tree: ast.expr) -> set[str]:
    match tree:
        case ast.Name():
            return {tree.id}
        case ast.BinOp():
            return _names(tree.left) | _names(tree.right)
        case ast.UnaryOp():
            return _names(tree.operand)
        case ast.Call():
            return {name for argument in tree.args for name in _names(argument)}
    return set()


def _value(tree: ast.expr, sizes: Mapping[str, int]) -> Fraction | int:
    match tree:
        case ast.Name():
            return Fraction(sizes[tree.id])
        case ast.Constant():
            return Fraction(tree.value)  # type: ignore[arg-type]  # an int: checked when parsed
        case ast.BinOp():
            left, right = _value(tree.left, sizes), _value(tree.right, sizes)
            return _OPERATORS[type(tree.op)](Fraction(left), Fraction(right))
        case ast.UnaryOp():
            return -_value(tree.operand, sizes)
        case ast.Call(func=ast.Name(id=name)):
            return _FUNCTIONS[name.lower()](*(_value(part, sizes) for part in tree.args))
    raise TypeError(f"{ast.dump(tree)} is not taken")
