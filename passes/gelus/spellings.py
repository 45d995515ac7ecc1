"""Every way to write GELU and its approximations, read as one thing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping

import onnx_ir as ir

from graphopt.passes.gelus.polynomials import STEPS, Polynomial, Terms
from graphopt.passes.graph.walking import produced_by
from graphopt.passes.operators.gelus import GELU, QUICK_GELU, TANH_GELU

__all__ = ["ReadGelu", "read_gelu"]

_DIGITS = {
    ir.DataType.FLOAT16: 11,
    ir.DataType.BFLOAT16: 8,
    ir.DataType.FLOAT: 24,
    ir.DataType.DOUBLE: 53,
}
_ROUNDINGS = 4
"""A coefficient may be off by so many halves of the last digit of the type: it is a product of two
or three constants, each rounded."""
_MOST_STEPS = 6
_ROOT = math.sqrt(2 / math.pi)
_HALVES: Terms = {(1, 0): 0.5, (1, 1): 0.5}


@dataclasses.dataclass(frozen=True)
class _Spelling:
    """x and a gate, and what the gate is of.

    Attributes:
        operator: The operator of the domain graphopt that computes it.
        inside: What the gate is applied to, as a polynomial in x.
        result: The result, as a polynomial in x and the gate.
    """

    operator: str
    inside: Terms
    result: Terms


_SPELLINGS: Mapping[str, _Spelling] = {
    "Erf": _Spelling(GELU, {(1, 0): math.sqrt(0.5)}, _HALVES),
    "Tanh": _Spelling(TANH_GELU, {(1, 0): _ROOT, (3, 0): _ROOT * 0.044715}, _HALVES),
    "Sigmoid": _Spelling(QUICK_GELU, {(1, 0): 1.702}, {(1, 1): 1.0}),
}


@dataclasses.dataclass(frozen=True)
class ReadGelu:
    """A GELU: ``result`` = operator(x + bias).

    Attributes:
        operator: The operator of the domain graphopt that computes it.
        x: What goes in.
        bias: What one operator adds to x, or None.
        result: What comes out.
        last: The node that computes ``result``.
        nodes: All nodes that compute it of x, of which nothing else reads anything.
    """

    operator: str
    x: ir.Value
    bias: ir.Value | None
    result: ir.Value
    last: ir.Node
    nodes: frozenset[ir.Node]


def read_gelu(node: ir.Node) -> ReadGelu | None:
    """The GELU that ``node`` is: an operator, or the Erf, Tanh or Sigmoid of one spelled out.

    1. The operators are Gelu of ONNX and Gelu, BiasGelu, FastGelu and QuickGelu of ONNX Runtime,
       this one with the alpha 1.702.
    2. Spelled out, the argument of Erf, Tanh or Sigmoid is a polynomial in one value x, and the
       result one in x and in what the node gives, whatever the order of the Mul, Div, Add, Sub,
       Neg, Pow and Sum that compute them:

           x / 2 + x erf(x / sqrt(2)) / 2
           x / 2 + x tanh(sqrt(2 / pi) (x + 0.044715 x^3)) / 2
           x sigmoid(1.702 x)

       Each coefficient is within four halves of the last digit of the type, so that constants of
       fewer digits (1.4142) are another function. Constants have one entry, and no more axes than
       x.
    3. Nothing else reads what is computed in between, and it is no graph output. All nodes are of
       one graph, and all values of one type.
    """
    gate = _SPELLINGS.get(node.op_type) if node.domain == "" else None
    return _read_operator(node) if gate is None else _read_spelled(node, gate)


def _read_operator(node: ir.Node) -> ReadGelu | None:
    key = (node.domain, node.op_type)
    if key == ("", "Gelu"):
        approximate = node.attributes.get_string("approximate", "none")
        operator = {"none": GELU, "tanh": TANH_GELU}.get(approximate)
    elif key == ("com.microsoft", "QuickGelu"):
        alpha = node.attributes.get_float("alpha", 1.702)
        operator = QUICK_GELU if _is_near(alpha, 1.702, ir.DataType.FLOAT) else None
    else:
        operator = _MICROSOFT.get(node.op_type) if node.domain == "com.microsoft" else None
    x = node.inputs[0] if node.inputs else None
    if operator is None or x is None:
        return None
    bias = node.inputs[1] if len(node.inputs) > 1 else None
    return ReadGelu(operator, x, bias, node.outputs[0], node, frozenset([node]))


_MICROSOFT = {"Gelu": GELU, "BiasGelu": GELU, "FastGelu": TANH_GELU}


def _read_spelled(gate: ir.Node, spelling: _Spelling) -> ReadGelu | None:
    inside, opened = gate.inputs[0], gate.outputs[0]
    dtype = opened.dtype
    if inside is None or dtype not in _DIGITS:
        return None
    for x in _sources(inside):
        argument = Polynomial(x)
        if not _are_near(argument.terms(inside), spelling.inside, dtype):
            continue
        for result in _results(opened):
            whole = Polynomial(x, opened)
            last = result.producer()
            if last is None or not _are_near(whole.terms(result), spelling.result, dtype):
                continue
            nodes = argument.nodes | whole.nodes | {gate}
            if _is_closed(nodes, last) and x.dtype == result.dtype == dtype:
                return ReadGelu(spelling.operator, x, None, result, last, frozenset(nodes))
    return None


def _sources(value: ir.Value) -> Iterator[ir.Value]:
    """The values that ``value`` may be a polynomial in, the nearest first."""
    queue = [value]
    for _ in range(4 * _MOST_STEPS):
        if not queue:
            return
        current = queue.pop(0)
        yield current
        node = produced_by(current, *STEPS)
        if node is not None:
            queue.extend(operand for operand in node.inputs if operand is not None)


def _results(opened: ir.Value) -> Iterator[ir.Value]:
    """What is computed of a value, as long as one node reads it."""
    value = opened
    for _ in range(_MOST_STEPS):
        readers = {use.node for use in value.uses()}
        if len(readers) != 1 or value.is_graph_output():
            return
        (reader,) = readers
        if reader.domain or reader.op_type not in STEPS:
            return
        value = reader.outputs[0]
        yield value


def _is_closed(nodes: set[ir.Node], last: ir.Node) -> bool:
    """True where nothing but ``last`` is read from outside, and all is in one graph."""
    for node in nodes:
        if node.graph is not last.graph:
            return False
        for value in node.outputs if node is not last else ():
            if value.is_graph_output() or any(use.node not in nodes for use in value.uses()):
                return False
    return True


def _are_near(found: Terms | None, wanted: Terms, dtype: ir.DataType) -> bool:
    if found is None:
        return False
    terms = {key: number for key, number in found.items() if number != 0.0}
    return terms.keys() == wanted.keys() and all(
        _is_near(terms[key], wanted[key], dtype) for key in wanted
    )


def _is_near(number: float, wanted: float, dtype: ir.DataType) -> bool:
    return abs(number - wanted) <= _ROUNDINGS * 2.0 ** -_DIGITS[dtype] * abs(wanted)
