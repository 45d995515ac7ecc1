"""Fuse a residual Add and the LayerNorm behind it that stays."""

from __future__ import annotations

import collections

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph.naming import Names
from graphopt.passes.norms.canonical import epsilon_of, keeps_epsilon
from graphopt.passes.norms.original_spelling import ORIGINAL, OriginalNorm
from graphopt.passes.norms.residual_sums import ResidualSum, full_sum, put_fused
from graphopt.passes.operators.custom_ops import (
    DOMAIN,
    LAYER_NORM,
    MINIMUM_OPSET,
    SKIP_LAYER_NORM,
    TYPES,
    define_operators,
    has_foreign_operators,
)
from graphopt.passes.rewrite import Rewrite

__all__ = ["FuseKeptNorms"]


class FuseKeptNorms(Rewrite):
    """A LayerNormalization becomes graphopt.LayerNorm, or with its residual Add SkipLayerNorm.

    The norms are canonical, and keep their mean: those of Post-LN blocks, of Swin, of ConvNeXt.

    1. The norm is over the last axis; gamma and beta are [d] and have the type of x; in float64
       epsilon is a float32 number, as an attribute is. An absent beta becomes zeros. Below opset 17
       the type is float32: of the others ONNX Runtime does not fuse the bodies, and without kernels
       the file must not be slower than it was.
       A LayerNormalization that ONNX Runtime takes although its parameters have another type than x
       stays as it was written.
    2. In a model of several of these types that of most norms gets the operator: a body is of one
       type (see :func:`~graphopt.passes.operators.custom_ops.define_operators`).
    3. The norm takes in the Add that computes x, and a second one of a constant bias, under the
       rules of :class:`~graphopt.passes.fuse_custom_norms.FuseCustomNorms`: all fused norms take in
       a bias, or none does, whichever spares more Adds.
    4. The sum is an output of all fused norms, or of none where nothing else reads any of them.
    5. Nothing is done below opset 12, and in a model that calls operators of the domain that have
       no body.
    """

    needs_shapes = True

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fuse in place; ``record`` counts the norms by what they became."""
        self.record = {LAYER_NORM: 0, SKIP_LAYER_NORM: 0}
        norms = _norms(model)
        if not norms or has_foreign_operators(model):
            return ir.passes.PassResult(model, modified=False)
        has_bias = _spared(norms, has_bias=True) > _spared(norms, has_bias=False)
        sums = [full_sum(norm, has_bias) for norm in norms]
        has_sum = any(read is not None and read.is_kept for read in sums)
        betas = _Betas(Names(model))
        for norm in norms:
            if len(norm.inputs) < 3 or norm.inputs[2] is None:
                norm.resize_inputs(3)
                norm.replace_input_with(2, betas.zeros(norm))
            read = full_sum(norm, has_bias)
            if read is None:
                _rename(norm)
                self.record[LAYER_NORM] += 1
            else:
                _fuse(norm, read, has_sum)
                self.record[SKIP_LAYER_NORM] += 1
        define_operators(model)
        return ir.passes.PassResult(model, modified=True)


def _norms(model: ir.Model) -> list[ir.Node]:
    """The norms of the type that most of them have."""
    opset = model.graph.opset_imports.get("", 1)
    types = TYPES if opset >= 17 else TYPES[:1] if opset >= MINIMUM_OPSET else ()
    found = collections.defaultdict(list)
    for graph in model.graphs():
        for node in graph:
            if (node.domain, node.op_type) != ("", "LayerNormalization") or _is_mixed(node):
                continue
            if _takes(node) and keeps_epsilon(node):
                x = node.inputs[0]
                if x is not None and x.dtype in types:
                    found[x.dtype].append(node)
    return max(found.values(), key=len, default=[])


def _is_mixed(node: ir.Node) -> bool:
    """True where the node was a LayerNormalization of x itself, and reads it widened."""
    original = node.meta.get(ORIGINAL)
    if not isinstance(original, OriginalNorm) or len(original.nodes) > 1:
        return False
    return original.made[0] is not None


def _takes(node: ir.Node) -> bool:
    """True where the operator takes the axis and the parameters of the norm."""
    x, gamma = node.inputs[:2]
    if x is None or gamma is None or not x.shape or len(node.outputs) > 1:
        return False
    if node.attributes.get_int("axis", -1) not in (-1, len(x.shape) - 1):
        return False
    size = x.shape[-1]
    return (
        isinstance(size, int)
        and node.attributes.get_int("stash_type", 1) == 1
        and all(
            value.dtype == x.dtype and value.shape is not None and list(value.shape) == [size]
            for value in node.inputs[1:]
            if value is not None
        )
    )


def _spared(norms: list[ir.Node], has_bias: bool) -> int:
    """The number of Adds that are spared; two norms may read one sum."""
    sums = {norm.inputs[0] for norm in norms if full_sum(norm, has_bias) is not None}
    return (1 + has_bias) * len(sums)


class _Betas:
    """Zeros for norms without beta, once for each size."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._made: dict[int, ir.Value] = {}

    def zeros(self, norm: ir.Node) -> ir.Value:
        """The beta of ``norm``."""
        gamma = norm.inputs[1]
        assert gamma is not None and gamma.shape is not None and gamma.dtype is not None
        size = gamma.shape[0]
        assert isinstance(size, int)
        if size not in self._made:
            array = np.zeros(size, gamma.dtype.numpy())
            tensor = ir.tensor(array, dtype=gamma.dtype)
            self._made[size] = self._names.initializer("norm.beta", tensor)
        return self._made[size]


def _attributes(norm: ir.Node) -> list[ir.Attr]:
    return [ir.AttrFloat32("epsilon", epsilon_of(norm))]


def _rename(norm: ir.Node) -> None:
    attributes = _attributes(norm)
    norm.domain, norm.op_type = DOMAIN, LAYER_NORM
    norm.attributes.clear()
    norm.attributes.update((attribute.name, attribute) for attribute in attributes)
    norm.meta.clear()


def _fuse(norm: ir.Node, read: ResidualSum, has_sum: bool) -> None:
    inputs = [read.first, read.second, *norm.inputs[1:]]
    fused = ir.Node(
        DOMAIN,
        SKIP_LAYER_NORM,
        inputs if read.bias is None else [*inputs, read.bias],
        _attributes(norm),
        num_outputs=2 if has_sum else 1,
        name=norm.name,
    )
    put_fused(fused, norm, read, fused.outputs[1] if has_sum else None)
