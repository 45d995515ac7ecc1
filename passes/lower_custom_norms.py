"""Write RMSNorms in the operators of the domain graphopt."""

from __future__ import annotations

import collections
from collections.abc import Iterator

import onnx_ir as ir

from graphopt.passes.custom_ops import DOMAIN, HALF, MINIMUM_OPSET, RMS_NORM, define_operators
from graphopt.passes.naming import Names

__all__ = ["LowerCustomNorms"]

_TYPES = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE)


class LowerCustomNorms(ir.passes.InPlacePass):
    """RMSNormalization(x, gamma) becomes graphopt.RMSNorm, with a body for runtimes without it.

    1. The norm is over the last axis, gamma is [d] and has the type of x: float32, float16,
       bfloat16 or float64.
    2. In a model of several element types the type of most norms gets the operator: a body is of
       one type (see :func:`~graphopt.passes.custom_ops.define_operators`).
    3. Each float16 and bfloat16 norm gets a gamma of its own: where kernels are missing and ONNX
       Runtime fuses the bodies, the Casts that it inserts on the CPU keep it from a shared one.
    4. What is left, and everything below opset 12, is for LowerNorms.
    """

    def __init__(self) -> None:
        self.record: dict[str, int] = {}

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Lower in place; ``record`` counts the norms."""
        self.record = {RMS_NORM: 0}
        if model.graph.opset_imports[""] < MINIMUM_OPSET:
            return ir.passes.PassResult(model, modified=False)
        found = list(_norms(model))
        types = collections.Counter(dtype for _, dtype in found)
        names = Names(model)
        for node, dtype in found:
            if dtype == types.most_common(1)[0][0]:
                if dtype in HALF:
                    _own_gamma(node, names)
                _rewrite(node)
                self.record[RMS_NORM] += 1
        define_operators(model)
        return ir.passes.PassResult(model, modified=bool(found))


def _norms(model: ir.Model) -> Iterator[tuple[ir.Node, ir.DataType]]:
    """The norms that the operator can compute, each with its element type."""
    for graph in model.graphs():
        for node in graph:
            if node.domain or node.op_type != "RMSNormalization":
                continue
            x, gamma = node.inputs
            if x is not None and gamma is not None and _takes(node, x, gamma):
                assert x.dtype is not None
                yield node, x.dtype


def _takes(node: ir.Node, x: ir.Value, gamma: ir.Value) -> bool:
    if x.dtype not in _TYPES or gamma.dtype != x.dtype or not x.shape or gamma.shape is None:
        return False
    if node.attributes.get_int("axis", -1) not in (-1, len(x.shape) - 1):
        return False
    return isinstance(x.shape[-1], int) and list(gamma.shape) == [x.shape[-1]]


def _own_gamma(node: ir.Node, names: Names) -> None:
    gamma = node.inputs[1]
    assert gamma is not None
    node.replace_input_with(1, names.unshared(gamma, f"{node.outputs[0].name}.gamma"))


def _rewrite(node: ir.Node) -> None:
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    node.domain, node.op_type = DOMAIN, RMS_NORM
    node.attributes.clear()
    node.attributes.add(ir.AttrFloat32("epsilon", epsilon))
