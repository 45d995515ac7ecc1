"""The operators of the domain graphopt, each with a body in ONNX operators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx_ir as ir

from graphopt.passes.operators.gelus import GELUS

__all__ = [
    "ANY_TYPE",
    "CRMS_NORM",
    "DOMAIN",
    "LAYER_NORM",
    "MINIMUM_OPSET",
    "RMS_NORM",
    "SKIP_CRMS_NORM",
    "SKIP_LAYER_NORM",
    "SKIP_RMS_NORM",
    "TYPES",
    "define_operators",
    "has_custom_operators",
    "has_foreign_operators",
    "is_own_body",
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
LAYER_NORM = "LayerNorm"
"""LayerNorm(X, gamma, beta) -> Y with the attribute epsilon (float), over the last axis:

    Y = gamma * (X - mean(X)) / sqrt(mean((X - mean(X))^2) + epsilon) + beta

X, Y [..., d], gamma, beta [d]. It is for norms that keep their mean. A norm without beta has zeros
there, so that all of a model have one form.
"""
SKIP_LAYER_NORM = "SkipLayerNorm"
"""SkipLayerNorm(X, residual, gamma, beta, bias?) -> (Y, sum?) with the attribute epsilon (float):

    sum = X + bias + residual                   X, residual, sum, Y [..., d], bias [d]
    Y = LayerNorm(sum, gamma, beta)
"""
TYPES = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE)
"""The element types of every operator, float32 first."""
MINIMUM_OPSET = 12
"""The first opset in which a Constant can refer to an attribute of the function around it."""

ANY_TYPE = "graphopt.any_type"
"""Key of ``meta``, true for a Cast of an inlined body that other types may need."""

_OPERANDS = {
    RMS_NORM: ("X", "gamma"),
    SKIP_RMS_NORM: ("X", "residual", "gamma", "bias"),
    CRMS_NORM: ("X",),
    SKIP_CRMS_NORM: ("X", "residual", "bias"),
    LAYER_NORM: ("X", "gamma", "beta"),
    SKIP_LAYER_NORM: ("X", "residual", "gamma", "beta", "bias"),
    **dict.fromkeys(GELUS, ("X", "bias")),
}
_FEWEST_OPERANDS = {
    RMS_NORM: 2,
    SKIP_RMS_NORM: 3,
    CRMS_NORM: 1,
    SKIP_CRMS_NORM: 2,
    LAYER_NORM: 3,
    SKIP_LAYER_NORM: 4,
    **dict.fromkeys(GELUS, 1),
}
_Form = tuple[ir.DataType, Sequence[str], bool]
_VERSION = 1
_MINIMUM_IR = 8  # the first with functions


def has_custom_operators(model: ir.Model) -> bool:
    """True where a node of ``model`` is of the domain graphopt."""
    return next(_calls(model), None) is not None


def define_operators(model: ir.Model) -> bool:
    """Give every operator of the domain that ``model`` uses a body; remove the other bodies.

    A runtime that has no kernel for an operator runs its body, a model-local function. The IR
    version rises to 8, the first with functions, where it is lower.

    A function cannot tell whether an optional input is there, or an output read, and below opset 15
    it needs Casts that name types. So each operator has one element type in a model, and a bias at
    all its nodes or none, and so with the sum of a SkipLayerNorm
    (:func:`~graphopt.passes.operators.custom_op_bodies.build_body`).

    Returns:
        True where the functions of the model changed.

    Raises:
        ValueError: An operator is used with two element types, or both with and without a bias or
            a sum.
    """
    forms: dict[str, _Form] = {}
    for node in _calls(model):
        form = _form(node)
        if forms.setdefault(node.op_type, form) != form:
            raise ValueError(
                f"{DOMAIN}.{node.op_type} at node {node.name!r} differs from the node before it in "
                "its element type, its bias or its sum: one model can hold one form of it"
            )
    before = {key: str(body) for key, body in model.functions.items() if key[0] == DOMAIN}
    for key in before:
        del model.functions[key]
    if forms:
        # It takes a tenth of a second to import, and only a model with these operators needs it.
        from graphopt.passes.operators.custom_op_bodies import build_body

        for name, (dtype, operands, has_sum) in forms.items():
            key = (DOMAIN, name, "")
            opset = model.graph.opset_imports[""]
            model.functions[key] = build_body(key, operands, dtype, opset, has_sum)
        model.graph.opset_imports[DOMAIN] = _VERSION
        model.ir_version = max(model.ir_version, _MINIMUM_IR)
    return before.keys() != {(DOMAIN, name, "") for name in forms}


def has_foreign_operators(model: ir.Model) -> bool:
    """True where a node of the domain has no body: whatever it means, it is not ours to define."""
    return any(node.op_identifier() not in model.functions for node in _calls(model))


def is_own_body(function: ir.Function) -> bool:
    """True for a body that :func:`define_operators` gives to the operator of this name.

    A domain is a name that others may use, too.
    """
    from graphopt.passes.operators.custom_op_bodies import build_body

    key, opset = function.identifier(), function.opset_imports.get("", 0)
    operands = _OPERANDS.get(function.name, ())[: len(function.inputs)]
    if key != (DOMAIN, function.name, "") or len(operands) != len(function.inputs):
        return False
    if opset < MINIMUM_OPSET or len(operands) < _FEWEST_OPERANDS[function.name]:
        return False
    written, has_sum = _structure(function), len(function.outputs) > 1
    return any(written == _structure(build_body(key, operands, t, opset, has_sum)) for t in TYPES)


def _structure(function: ir.Function) -> list[object]:
    """What a function computes, its values numbered in the order in which they appear."""
    numbers: dict[ir.Value | None, int] = {None: -1}
    for value in function.inputs:
        numbers[value] = len(numbers)
    found: list[object] = [len(function.inputs)]
    for node in function:
        reads = [numbers.get(value, -2) for value in node.inputs]
        for value in node.outputs:
            numbers[value] = len(numbers)
        attributes = sorted(
            ir.to_proto(attribute).SerializeToString(deterministic=True)
            for attribute in node.attributes.values()
        )
        found.append((node.op_identifier(), reads, len(node.outputs), attributes))
    found.append([numbers.get(value, -2) for value in function.outputs])
    return found


def _calls(model: ir.Model) -> Iterator[ir.Node]:
    for graph in model.graphs():
        yield from (node for node in graph if node.domain == DOMAIN)


def _form(node: ir.Node) -> _Form:
    """What the body of its operator depends on: element type, operands, and if it gives a sum."""
    x = node.inputs[0]
    assert x is not None and x.dtype is not None
    return x.dtype, _OPERANDS[node.op_type][: len(node.inputs)], len(node.outputs) > 1
