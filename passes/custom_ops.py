"""The operators of the domain graphopt, each with a body in ONNX operators."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import onnx.parser
import onnx_ir as ir

__all__ = ["DOMAIN", "HALF", "MINIMUM_OPSET", "RMS_NORM", "SKIP_RMS_NORM", "define_operators"]

DOMAIN = "graphopt"
RMS_NORM = "RMSNorm"
"""RMSNorm(X, gamma) -> Y with the attribute epsilon (float): RMS normalization over the last axis,

    Y = gamma * X / sqrt(mean(X^2) + epsilon)        X, Y [..., d], gamma [d]
"""
SKIP_RMS_NORM = "SkipRMSNorm"
"""SkipRMSNorm(X, residual, gamma, bias?) -> (Y, sum) with the attribute epsilon (float):

    sum = X + bias + residual                        X, residual, sum, Y [..., d], bias [d]
    Y = RMSNorm(sum, gamma)

``residual`` has the shape of X; nothing is broadcast.
"""
MINIMUM_OPSET = 12
"""The first opset in which a Constant can refer to an attribute of the function around it."""

HALF = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
"""The types that the bodies compute in float32."""

_VERSION = 1
_MINIMUM_IR = 8  # the first with functions


@dataclasses.dataclass(frozen=True)
class _Form:
    """What the body of an operator depends on, beside its name."""

    dtype: ir.DataType
    opset: int
    has_bias: bool


def define_operators(model: ir.Model) -> bool:
    """Give every operator of the domain that ``model`` uses a body; remove the other bodies.

    A runtime that has no kernel for an operator runs its body, a model-local function. The IR
    version rises to 8, the first with functions, where it is lower.

    The bodies are written in ONNX text: onnxscript, which would write them in Python, compiles for
    one opset at a time and would become a dependency of every run.

    A function is untyped but needs Casts that name types, and cannot tell whether an optional input
    is there. So each operator has one element type in a model, and a bias at all its nodes or none.

    Returns:
        True where the functions of the model changed.

    Raises:
        ValueError: An operator is used with two element types, or both with and without a bias.
    """
    forms: dict[str, _Form] = {}
    for node in _calls(model):
        form = _form(node, model.graph.opset_imports[""])
        if forms.setdefault(node.op_type, form) != form:
            raise ValueError(
                f"{DOMAIN}.{node.op_type} at node {node.name!r} differs from the node before it in "
                "its element type or its bias: one model can hold one form of it"
            )
    before = {key: str(body) for key, body in model.functions.items() if key[0] == DOMAIN}
    for key in before:
        del model.functions[key]
    for name, form in forms.items():
        body = _function(name, form)
        model.functions[body.identifier()] = body
    if forms:
        model.graph.opset_imports[DOMAIN] = _VERSION
        model.ir_version = max(model.ir_version, _MINIMUM_IR)
    return before.keys() != {(DOMAIN, name, "") for name in forms}


def _calls(model: ir.Model) -> Iterator[ir.Node]:
    for graph in model.graphs():
        yield from (node for node in graph if node.domain == DOMAIN)


def _form(node: ir.Node, opset: int) -> _Form:
    x = node.inputs[0]
    assert x is not None and x.dtype is not None
    return _Form(x.dtype, opset, len(node.inputs) > 3)


def _function(name: str, form: _Form) -> ir.Function:
    """The body of an operator: for RMSNorm the one spelling that ONNX Runtime fuses to its kernel.

    ONNX Runtime inlines the function and folds its constants first; the fusion then reads epsilon,
    a float32 constant and the second input of the Add. What it fuses and what it does not is told
    at :class:`~graphopt.passes.lower_norms.LowerNorms`.
    """
    if name == RMS_NORM:
        signature, body = "(X, gamma) => (Y)", _normalization("X", form)
    elif form.has_bias:
        signature = "(X, residual, gamma, bias) => (Y, sum)"
        body = f"biased = Add(X, bias) sum = Add(biased, residual) {_normalization('sum', form)}"
    else:
        signature = "(X, residual, gamma) => (Y, sum)"
        body = f"sum = Add(X, residual) {_normalization('sum', form)}"
    text = f'<domain: "{DOMAIN}", opset_import: ["" : {form.opset}]> '
    text += f"{name} <epsilon> {signature} {{ {body} }}"
    return ir.serde.deserialize_function(onnx.parser.parse_function(text))


def _normalization(x: str, form: _Form) -> str:
    """Nodes that compute Y from ``x`` and gamma, in float32 at least."""
    if form.dtype in HALF:
        before, value = f"wide = Cast<to = {ir.DataType.FLOAT.value}>({x})", "wide"
        after = f"narrow = Cast<to = {form.dtype.value}>(normalized) Y = Mul(narrow, gamma)"
    else:
        before, value = "", x
        after = "Y = Mul(normalized, gamma)"
    epsilon = "epsilon = Constant<value_float : float = @epsilon>()"
    square = f"two = Constant<value = float {{2.0}}>() square = Pow({value}, two)"
    if form.dtype == ir.DataType.DOUBLE:  # a Mul keeps the fusion away, which loses precision
        epsilon = f"""narrow_epsilon = Constant<value_float : float = @epsilon>()
            epsilon = Cast<to = {ir.DataType.DOUBLE.value}>(narrow_epsilon)"""
        square = f"square = Mul({value}, {value})"
    if form.opset < 18:
        mean = "moment = ReduceMean<axes = [-1], keepdims = 1>(square)"
    else:
        mean = """axes = Constant<value = int64[1] {-1}>()
            moment = ReduceMean<keepdims = 1>(square, axes)"""
    return f"""{before} {square} {mean} {epsilon}
        shifted = Add(moment, epsilon) root = Sqrt(shifted) normalized = Div({value}, root)
        {after}"""
