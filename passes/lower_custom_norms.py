"""Write RMSNorms and CRMSNorms in the operators of the domain graphopt."""

from __future__ import annotations

import collections
from collections.abc import Iterator

import onnx_ir as ir

from graphopt.passes.graph.constants import HALF
from graphopt.passes.graph.naming import Names
from graphopt.passes.norms.canonical import epsilon_of, keeps_epsilon
from graphopt.passes.operators.custom_ops import (
    CRMS_NORM,
    DOMAIN,
    MINIMUM_OPSET,
    RMS_NORM,
    TYPES,
    define_operators,
    has_foreign_operators,
)
from graphopt.passes.rewrite import Rewrite

__all__ = ["LowerCustomNorms"]

_OPERATORS = {"RMSNormalization": RMS_NORM, "CRMSNormalization": CRMS_NORM}


class LowerCustomNorms(Rewrite):
    """RMSNormalization and CRMSNormalization become graphopt.RMSNorm and graphopt.CRMSNorm.

    The operators have bodies, for runtimes without kernels for them.

    1. The norm is over the last axis, gamma is [d] and has the type of x: float32, float16,
       bfloat16 or float64. In float64 epsilon is a float32 number, as an attribute is. A CRMSNorm,
       which has no gamma, may be of any size.
    2. In a model of several element types the type of most norms gets the operator: a body is of
       one type (see :func:`~graphopt.passes.operators.custom_ops.define_operators`).
    3. Each float16 and bfloat16 RMSNorm gets a gamma of its own: where kernels are missing and ONNX
       Runtime fuses the bodies, the Casts that it inserts on the CPU keep it from a shared one.
    4. What is left is for LowerNorms; so is everything below opset 12, and in a model that calls
       operators of the domain that have no body.
    """

    needs_shapes = True

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Lower in place; ``record`` counts the norms by operator."""
        self.record = dict.fromkeys(_OPERATORS.values(), 0)
        if model.graph.opset_imports[""] < MINIMUM_OPSET or has_foreign_operators(model):
            return ir.passes.PassResult(model, modified=False)
        names = Names(model)
        for internal, operator in _OPERATORS.items():
            found = list(_norms(model, internal))
            types = collections.Counter(dtype for _, dtype in found)
            for node, dtype in found:
                if dtype == types.most_common(1)[0][0]:
                    if dtype in HALF and operator == RMS_NORM:
                        _own_gamma(node, names)
                    _rewrite(node, operator)
                    self.record[operator] += 1
        define_operators(model)
        return ir.passes.PassResult(model, modified=any(self.record.values()))


def _norms(model: ir.Model, op_type: str) -> Iterator[tuple[ir.Node, ir.DataType]]:
    """The norms of an internal type that the operator can compute, each with its element type."""
    for graph in model.graphs():
        for node in graph:
            if node.domain or node.op_type != op_type:
                continue
            x = node.inputs[0]
            if (
                x is not None
                and _takes_x(node, x)
                and keeps_epsilon(node)
                and all(gamma is not None and _takes_gamma(gamma, x) for gamma in node.inputs[1:])
            ):
                assert x.dtype is not None
                yield node, x.dtype


def _takes_x(node: ir.Node, x: ir.Value) -> bool:
    axis = node.attributes.get_int("axis", -1)
    is_last = axis == -1 or (x.shape is not None and axis == len(x.shape) - 1)
    return x.dtype in TYPES and is_last


def _takes_gamma(gamma: ir.Value, x: ir.Value) -> bool:
    if gamma.dtype != x.dtype or gamma.shape is None or not x.shape:
        return False
    return isinstance(x.shape[-1], int) and list(gamma.shape) == [x.shape[-1]]


def _own_gamma(node: ir.Node, names: Names) -> None:
    gamma = node.inputs[1]
    assert gamma is not None
    node.replace_input_with(1, names.unshared(gamma, f"{node.outputs[0].name}.gamma"))


def _rewrite(node: ir.Node, operator: str) -> None:
    epsilon = epsilon_of(node)
    node.domain, node.op_type = DOMAIN, operator
    node.attributes.clear()
    node.attributes.add(ir.AttrFloat32("epsilon", epsilon))
