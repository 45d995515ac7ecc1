"""The operators of the domain graphopt, each with a body in ONNX operators."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import onnx.parser
import onnx_ir as ir

__all__ = [
    "CRMS_NORM",
    "DOMAIN",
    "HALF",
    "MINIMUM_OPSET",
    "RMS_NORM",
    "SKIP_CRMS_NORM",
    "SKIP_RMS_NORM",
    "define_operators",
]

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
CRMS_NORM = "CRMSNorm"
"""CRMSNorm(X) -> Y with the attribute epsilon (float): the RMS normalization of a centred vector of
d features that is given by its first d - 1, for the last is minus their sum:

    Y = X / sqrt((sum(X^2) + sum(X)^2) / d + epsilon)       X, Y [..., d - 1]

It has no gamma: a scale of each feature does not keep a vector centred.
"""
SKIP_CRMS_NORM = "SkipCRMSNorm"
"""SkipCRMSNorm(X, residual, bias?) -> (Y, sum) with the attribute epsilon (float):

    sum = X + bias + residual                   X, residual, sum, Y [..., d - 1], bias [d - 1]
    Y = CRMSNorm(sum)
"""
MINIMUM_OPSET = 12
"""The first opset in which a Constant can refer to an attribute of the function around it."""

HALF = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
"""The types that the bodies compute in float32."""

_OPERANDS = {
    RMS_NORM: ("X", "gamma"),
    SKIP_RMS_NORM: ("X", "residual", "gamma", "bias"),
    CRMS_NORM: ("X",),
    SKIP_CRMS_NORM: ("X", "residual", "bias"),
}
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
    x, operands = node.inputs[0], _OPERANDS[node.op_type]
    assert x is not None and x.dtype is not None
    return _Form(x.dtype, opset, operands[-1] == "bias" and len(node.inputs) == len(operands))


def _function(name: str, form: _Form) -> ir.Function:
    """The body of an operator, in the spelling that ONNX Runtime is fastest with."""
    normalize = _rms if name in (RMS_NORM, SKIP_RMS_NORM) else _crms
    operands = [operand for operand in _OPERANDS[name] if operand != "bias" or form.has_bias]
    if "residual" not in operands:
        results, body = "Y", normalize("X", form)
    else:
        added = "biased = Add(X, bias) sum = Add(biased, residual)"
        total = added if form.has_bias else "sum = Add(X, residual)"
        results, body = "Y, sum", f"{total} {normalize('sum', form)}"
    text = f'<domain: "{DOMAIN}", opset_import: ["" : {form.opset}]> '
    text += f"{name} <epsilon> ({', '.join(operands)}) => ({results}) {{ {body} }}"
    return ir.serde.deserialize_function(onnx.parser.parse_function(text))


def _rms(x: str, form: _Form) -> str:
    """Nodes that compute Y from ``x`` and gamma, in float32 at least.

    ONNX Runtime inlines the function and folds its constants first; it then fuses this one spelling
    to its RMS kernel, and reads epsilon there: a float32 constant and the second input of the Add.
    What it fuses and what it does not is told at :class:`~graphopt.passes.lower_norms.LowerNorms`.
    """
    before, value = _widened(x, form)
    after = "Y = Mul(normalized, gamma)"
    if form.dtype in HALF:
        after = f"narrow = Cast<to = {form.dtype.value}>(normalized) Y = Mul(narrow, gamma)"
    square = f"two = Constant<value = float {{2.0}}>() square = Pow({value}, two)"
    if form.dtype == ir.DataType.DOUBLE:  # a Mul keeps the fusion away, which loses precision
        square = f"square = Mul({value}, {value})"
    return f"""{before} {square} {_reduced("ReduceMean", "moment", "square", form)} {_epsilon(form)}
        shifted = Add(moment, epsilon) root = Sqrt(shifted) normalized = Div({value}, root)
        {after}"""


def _crms(x: str, form: _Form) -> str:
    """Nodes that compute Y from ``x``, in float32 at least.

    ONNX Runtime has no kernel to fuse them to. This spelling takes less than half the time of the
    obvious one: its ReduceSum is vectorized where its ReduceSumSquare is not, and multiplies a row
    by a number faster than it divides it. The size comes from the shape: nodes of several sizes
    share a body.
    """
    before, value = _widened(x, form)
    wide = ir.DataType.FLOAT if form.dtype in HALF else form.dtype
    after = f"Y = Mul({value}, factor)"
    if form.dtype in HALF:
        after = f"normalized = Mul({value}, factor) Y = Cast<to = {form.dtype.value}>(normalized)"
    return f"""{before} square = Mul({value}, {value})
        {_reduced("ReduceSum", "squares", "square", form)}
        {_reduced("ReduceSum", "total", value, form)} total_square = Mul(total, total)
        energy = Add(squares, total_square)
        shape = Shape({x}) last = Constant<value = int64 {{-1}}>() length = Gather(shape, last)
        size = Cast<to = {wide.value}>(length)
        one = Constant<value = {wide.name.lower()} {{1.0}}>() d = Add(size, one)
        moment = Div(energy, d) {_epsilon(form)}
        shifted = Add(moment, epsilon) root = Sqrt(shifted) factor = Reciprocal(root)
        {after}"""


def _widened(x: str, form: _Form) -> tuple[str, str]:
    """The Cast of a half as wide ``x`` to float32, and the name of what to compute with."""
    if form.dtype not in HALF:
        return "", x
    return f"wide = Cast<to = {ir.DataType.FLOAT.value}>({x})", "wide"


def _epsilon(form: _Form) -> str:
    if form.dtype != ir.DataType.DOUBLE:
        return "epsilon = Constant<value_float : float = @epsilon>()"
    return f"""narrow_epsilon = Constant<value_float : float = @epsilon>()
        epsilon = Cast<to = {ir.DataType.DOUBLE.value}>(narrow_epsilon)"""


def _reduced(op_type: str, result: str, x: str, form: _Form) -> str:
    """A reduction over the last axis, which an attribute names up to the opset of its operator."""
    if form.opset < {"ReduceMean": 18, "ReduceSum": 13}[op_type]:
        return f"{result} = {op_type}<axes = [-1], keepdims = 1>({x})"
    return f"""{result}_axes = Constant<value = int64[1] {{-1}}>()
        {result} = {op_type}<keepdims = 1>({x}, {result}_axes)"""
