"""Fuse a residual Add and the norm of the domain graphopt behind it."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from graphopt.passes.norms.residual_sums import full_sum, put_fused
from graphopt.passes.operators.custom_ops import (
    CRMS_NORM,
    DOMAIN,
    RMS_NORM,
    SKIP_CRMS_NORM,
    SKIP_RMS_NORM,
    define_operators,
    has_foreign_operators,
)
from graphopt.passes.rewrite import Rewrite

__all__ = ["FuseCustomNorms"]

_FUSED = {RMS_NORM: SKIP_RMS_NORM, CRMS_NORM: SKIP_CRMS_NORM}


class FuseCustomNorms(Rewrite):
    """Add and a norm of the domain graphopt become one node, which reads and writes a row once.

    RMSNorm becomes SkipRMSNorm, CRMSNorm SkipCRMSNorm.

    1. The sum (the residual stream) is the second output, also where nothing else reads it: ONNX
       refuses a call of a function that takes fewer outputs than the body has.
    2. Both operands are proved to have the shape and the type of the sum.
    3. A second Add of a constant bias [d] before or after the residual Add is taken in; it must
       have one reader.
    4. gamma is not computed from the sum.
    5. All fused norms of an operator take in a bias, or none does, whichever spares more Adds: a
       body cannot tell whether there is a bias (see
       :func:`~graphopt.passes.operators.custom_ops.define_operators`).
    """

    needs_shapes = True

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fuse in place; ``record`` counts the fused norms by operator."""
        self.record = {}
        if has_foreign_operators(model):
            return ir.passes.PassResult(model, modified=False)
        for operator, fused in _FUSED.items():
            norms = list(_norms(model, operator))
            spared = {
                has_bias: (1 + has_bias) * _count_sums(norms, has_bias)
                for has_bias in (True, False)
            }
            has_bias = spared[True] > spared[False]
            self.record[fused] = sum(_fuse(node, has_bias) for node in norms)
        define_operators(model)
        return ir.passes.PassResult(model, modified=any(self.record.values()))


def _norms(model: ir.Model, operator: str) -> Iterator[ir.Node]:
    for graph in model.graphs():
        yield from (node for node in graph if (node.domain, node.op_type) == (DOMAIN, operator))


def _count_sums(norms: list[ir.Node], has_bias: bool) -> int:
    """The number of sums that can be fused; two norms may read one."""
    return len({node.inputs[0] for node in norms if full_sum(node, has_bias) is not None})


def _fuse(norm: ir.Node, has_bias: bool) -> bool:
    read = full_sum(norm, has_bias)
    if read is None:
        return False
    inputs = [read.first, read.second, *norm.inputs[1:]]
    fused = ir.Node(
        DOMAIN,
        _FUSED[norm.op_type],
        inputs if read.bias is None else [*inputs, read.bias],
        norm.attributes.values(),
        num_outputs=2,
        name=norm.name,
    )
    put_fused(fused, norm, read, fused.outputs[1])
    return True
