"""Fuse what stands behind the first projection of an MLP: a bias and GELU become one node."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator

import onnx_ir as ir

from graphopt.passes.gelus.spellings import ReadGelu, read_gelu
from graphopt.passes.graph.constants import HALF, constant_tensor
from graphopt.passes.graph.naming import all_nodes
from graphopt.passes.graph.unread import remove_unread
from graphopt.passes.graph.walking import produced_by
from graphopt.passes.operators.custom_ops import (
    DOMAIN,
    MINIMUM_OPSET,
    TYPES,
    define_operators,
    has_foreign_operators,
)
from graphopt.passes.rewrite import Rewrite

__all__ = ["FuseGelus"]


class FuseGelus(Rewrite):
    """Every spelling of GELU, and an Add of a bias before it, becomes one operator of graphopt.

    graphopt.Gelu is the exact one, graphopt.TanhGelu and graphopt.QuickGelu are its approximations.

    1. What is a GELU says :func:`~graphopt.passes.gelus.spellings.read_gelu`.
    2. An Add before it is taken in where the GELU alone reads it and it adds a constant [d] to a
       value whose last axis is proved to have d entries; so is the bias of an operator.
    3. Casts around it are taken in where a 16-bit type is widened before it (and before the bias)
       and the result, which nothing else reads, is rounded to the same type: the operator computes
       in float32 and rounds once, too.
    4. All GELUs of an operator have one element type, and a bias or none, whichever is more often
       there: a body knows neither (see
       :func:`~graphopt.passes.operators.custom_ops.define_operators`). Others stay as they are.
    5. Nothing is done below opset 12, or where an operator of the domain has no body.

    For -Inf the operators give 0, the limit, where most spellings give NaN; no other result is less
    exact than what ONNX Runtime computes.
    """

    needs_shapes = True

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fuse in place; ``record`` counts the GELUs by operator, and the Adds taken in."""
        self.record = {}
        if model.graph.opset_imports[""] < MINIMUM_OPSET or has_foreign_operators(model):
            return ir.passes.PassResult(model, modified=False)
        by_operator: dict[str, list[ReadGelu]] = collections.defaultdict(list)
        for node in all_nodes(model):
            found = read_gelu(node)
            if found is not None and (taken := _at_large(found)) is not None:
                by_operator[taken.operator].append(taken)
        taken_over: dict[ir.Value, ir.Value] = {}
        for operator, gelus in by_operator.items():
            chosen = list(_of_one_form(gelus))
            for gelu in chosen:
                # What goes in may be what came out of one that is fused by now.
                x = taken_over.get(gelu.x, gelu.x)
                bias = None if gelu.bias is None else taken_over.get(gelu.bias, gelu.bias)
                taken_over[gelu.result] = _fuse(dataclasses.replace(gelu, x=x, bias=bias))
            self.record[operator] = len(chosen)
        define_operators(model)
        return ir.passes.PassResult(model, modified=any(self.record.values()))


def _at_large(gelu: ReadGelu) -> ReadGelu | None:
    """The GELU with the bias and the Casts around it, or None where the operator cannot take it."""
    if gelu.x.dtype not in TYPES or (gelu.bias is not None and not _fits(gelu.bias, gelu.x)):
        return None
    # The bias may be added between the Casts, or before them.
    return _with_bias(_narrowed(_with_bias(gelu)))


def _with_bias(gelu: ReadGelu) -> ReadGelu:
    """Rule 2: the GELU of what a bias is added to, or as it is."""
    add = None if gelu.bias is not None else produced_by(gelu.x, "Add")
    if add is None or not _is_read_by(gelu.x, gelu.nodes) or add.graph is not gelu.last.graph:
        return gelu
    for x, bias in (add.inputs, reversed(add.inputs)):
        if x is None or bias is None or constant_tensor(bias) is None:
            continue
        if _fits(bias, x):
            return dataclasses.replace(gelu, x=x, bias=bias, nodes=gelu.nodes | {add})
    return gelu


def _fits(bias: ir.Value, x: ir.Value) -> bool:
    """True where ``bias`` is [d], and d the last dimension of ``x``."""
    if bias.shape is None or not x.shape or bias.dtype != x.dtype or len(bias.shape) != 1:
        return False
    return isinstance(x.shape[-1], int) and x.shape[-1] == bias.shape[0]


def _stored(value: ir.Value) -> ir.Value | None:
    """What a Cast widens to ``value``."""
    cast = produced_by(value, "Cast")
    return None if cast is None else cast.inputs[0]


def _narrowed(gelu: ReadGelu) -> ReadGelu:
    """Rule 3: the GELU of 16-bit values, or as it is where no Casts are around it."""
    readers = {use.node for use in gelu.result.uses()}
    if gelu.x.dtype != ir.DataType.FLOAT or gelu.result.is_graph_output() or len(readers) != 1:
        return gelu
    (last,) = readers
    if last.domain or last.op_type != "Cast" or last.graph is not gelu.last.graph:
        return gelu
    result, x = last.outputs[0], _stored(gelu.x)
    bias = None if gelu.bias is None else _stored(gelu.bias)
    if x is None or x.dtype not in HALF or result.dtype != x.dtype:
        return gelu
    if gelu.bias is not None and (bias is None or not _fits(bias, x)):
        return gelu
    nodes = gelu.nodes | {last}
    if (widened := gelu.x.producer()) is not None and _is_read_by(gelu.x, nodes):
        nodes |= {widened}
    return dataclasses.replace(gelu, x=x, bias=bias, result=result, last=last, nodes=nodes)


def _is_read_by(value: ir.Value, nodes: Iterable[ir.Node]) -> bool:
    inside = set(nodes)
    return not value.is_graph_output() and all(use.node in inside for use in value.uses())


def _of_one_form(gelus: list[ReadGelu]) -> Iterator[ReadGelu]:
    """Rule 4."""
    forms = collections.Counter((gelu.x.dtype, gelu.bias is not None) for gelu in gelus)
    most = max(forms, key=lambda form: (forms[form], form[1]))
    yield from (gelu for gelu in gelus if (gelu.x.dtype, gelu.bias is not None) == most)


def _fuse(gelu: ReadGelu) -> ir.Value:
    """Put the operator in the place of what computes the GELU; returns the new result."""
    graph, old = gelu.last.graph, gelu.result
    assert graph is not None
    inputs = [gelu.x] if gelu.bias is None else [gelu.x, gelu.bias]
    fused = ir.Node(DOMAIN, gelu.operator, inputs, name=gelu.last.name)
    graph.insert_before(gelu.last, fused)
    new, operands = fused.outputs[0], list(gelu.last.inputs)
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    new.name, new.type, new.shape = old.name, old.type, old.shape
    graph.remove(gelu.last, safe=True)
    remove_unread(operands)
    return new
