"""Fold the scale of attention scores into the projection of the queries."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.edits import Scale
from graphopt.passes.graph.naming import Names, all_nodes
from graphopt.passes.graph.overflow import scaling_leaves_range
from graphopt.passes.graph.scaling import Share, shares_behind
from graphopt.passes.graph.unread import remove_unread, replace
from graphopt.passes.rewrite import Rewrite

__all__ = ["FoldScales"]

_ROUNDING = 2.0**-9
"""Relative, of a number in any of the types, unless it is below the normal numbers of its type."""


class FoldScales(Rewrite):
    """(a q)(b k) c becomes q' k, where q' comes from weights and biases that hold a b c.

    1. The factors are constants of one finite entry that is not 0, which multiply or divide an
       operand of a MatMul of two computed values, or its result; nobody else reads what they scale.
    2. Their product, in float64, is folded once into the constants that the left operand is a
       multiple of (``passes/graph/scaling.py``), each rounded once to its own type.
    3. Where the left operand is no multiple of constants, the factors of both operands become one
       factor of the left one, which is the shorter where keys of earlier tokens are kept.
    4. A factor on one side behind a linear map, as Whisper has it, is folded likewise.
    5. Weights of 16 bits stay as they are, because small ones would lose digits; so do wider ones
       that the factor could take beyond their type, or below its normal numbers.
    """

    needs_shapes = True

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites ``model`` in place."""
        names = Names(model)
        nodes = all_nodes(model)
        order = {node: place for place, node in enumerate(nodes)}
        self.record = {"scales folded": 0, "scales merged": 0}
        for node in nodes:
            if node.graph is None or node.domain:
                continue
            if node.op_type == "MatMul":
                self._of_scores(names, order, node)
        for node in nodes:
            if node.graph is not None and _is_factor(node):
                self._of_queries(names, order, node)
        return ir.passes.PassResult(model, modified=any(self.record.values()))

    def _of_scores(self, names: Names, order: dict[ir.Node, int], node: ir.Node) -> None:
        """Rules 1 to 3."""
        left, right = node.inputs
        if left is None or right is None or any(map(constants.constant_tensor, (left, right))):
            return
        before = [_factor_of(value) for value in (left, right)]
        behind = _factor_behind(node.outputs[0])
        found = [factor for factor in (*before, behind) if factor is not None]
        if not found or (behind is None and before[1] is None):
            return  # a factor on the left alone is where it belongs: rule 4
        total = math.prod(factor.number for factor in found)
        query = before[0].scaled if before[0] else left
        reader = before[0].node if before[0] else node
        if not math.isfinite(total) or total == 0:
            return
        shares = shares_behind(query, reader, order) if _reads_once(query, reader) else None
        if shares is not None and _fold(names, shares, total):
            for factor in found:
                replace(factor.node.outputs[0], factor.scaled)
            self.record["scales folded"] += len(found)
        elif before[0] is not None and before[1] is not None:
            product = before[0].number * before[1].number
            if _merge(names, before[0], product):
                replace(before[1].node.outputs[0], before[1].scaled)
                self.record["scales merged"] += 1

    def _of_queries(self, names: Names, order: dict[ir.Node, int], node: ir.Node) -> None:
        """Rule 4."""
        factor = _factor_of(node.outputs[0])
        if factor is None or not _reads_once(factor.scaled, node):
            return
        shares = shares_behind(factor.scaled, node, order)
        if shares is not None and _fold(names, shares, factor.number):
            replace(node.outputs[0], factor.scaled)
            self.record["scales folded"] += 1


@dataclasses.dataclass(frozen=True)
class _Factor:
    node: ir.Node
    scaled: ir.Value
    number: float


def _is_factor(node: ir.Node) -> bool:
    return node.op_type in ("Mul", "Div") and not node.domain


def _factor_of(value: ir.Value) -> _Factor | None:
    """The constant that ``value`` has been multiplied by, if only one node reads the product."""
    node = value.producer()
    if node is None or not _is_factor(node) or len(value.uses()) != 1 or value.is_graph_output():
        return None
    return _read(node)


def _factor_behind(scores: ir.Value) -> _Factor | None:
    """The constant that ``scores`` are multiplied by, if nothing else reads them."""
    uses = list(scores.uses())
    if len(uses) != 1 or scores.is_graph_output():
        return None
    node = uses[0].node
    if not _is_factor(node) or node.outputs[0].is_graph_output():
        return None
    factor = _read(node)
    return factor if factor is not None and factor.scaled is scores else None


def _read(node: ir.Node) -> _Factor | None:
    """What a Mul or Div multiplies, and by what."""
    for index in (1, 0) if node.op_type == "Mul" else (1,):
        scaled, constant = node.inputs[1 - index], node.inputs[index]
        number = _number(constant)
        if number is None or scaled is None or constant is None or not _is_kept(scaled, constant):
            continue
        return _Factor(node, scaled, 1.0 / number if node.op_type == "Div" else number)
    return None


def _number(value: ir.Value | None) -> float | None:
    tensor = constants.constant_tensor(value)
    if tensor is None or tensor.size != 1 or not tensor.dtype.is_floating_point():
        return None
    number = float(np.asarray(tensor.numpy()).reshape(-1)[0])
    return number if math.isfinite(number) and number != 0 else None


def _is_kept(scaled: ir.Value, constant: ir.Value) -> bool:
    """True where the constant adds no axis to what it scales."""
    own, count = axes.rank(constant), axes.rank(scaled)
    return own == 0 or (own is not None and count is not None and own <= count)


def _reads_once(value: ir.Value, reader: ir.Node) -> bool:
    return [use.node for use in value.uses()] == [reader] and not value.is_graph_output()


def _fold(names: Names, shares: list[Share], factor: float) -> bool:
    for share in shares:
        tensor = constants.constant_tensor(share.constant)
        if tensor is None or tensor.dtype in constants.HALF:
            return False
        if scaling_leaves_range(tensor, np.array([factor])):
            return False
    for share in shares:
        edit = Scale(share.axis, np.where(share.marks, factor, 1.0))
        if len(share.constant.uses()) == 1 and not share.constant.is_graph_output():
            names.edit(share.constant, [edit])
        else:
            copy = names.edited_copy(share.constant, [edit], ".scaled")
            share.reader.replace_input_with(share.index, copy)
    return True


def _merge(names: Names, factor: _Factor, product: float) -> bool:
    """Let ``factor`` multiply by ``product``."""
    dtype = factor.scaled.dtype
    if dtype is None or (dtype in constants.HALF and abs(product) > 1):
        return False
    number = 1.0 / product if factor.node.op_type == "Div" else product
    with np.errstate(over="ignore", under="ignore"):
        entry = np.array(number).astype(dtype.numpy())
    if not abs(float(entry) - number) <= abs(number) * _ROUNDING:  # infinity and too small a number
        return False
    made = names.initializer(f"{factor.scaled.name}.scale", ir.tensor(entry, dtype=dtype))
    other = 1 if factor.node.inputs[0] is factor.scaled else 0
    before = factor.node.inputs[other]
    factor.node.replace_input_with(other, made)
    remove_unread([before])
    return True
