"""Sizes of what is reshaped, expanded, sliced, split, padded or resized."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from graphopt.passes.facts.broadcasting import broadcast
from graphopt.passes.facts.context import Facts
from graphopt.passes.graph.axes import Dim

__all__ = ["constant_of_shape", "expand", "pad", "reshape", "resize", "slice_", "split", "squeeze"]

_TO_THE_END = (1 << 31) - 1
_FEW = 16
_MOST_AXES = 64
"""A file may declare millions of sizes, each of which would become a symbol."""
_CROPS = "tf_crop_and_resize"


def _operand(node: ir.Node, index: int) -> ir.Value | None:
    return node.inputs[index] if len(node.inputs) > index else None


def _data(facts: Facts, node: ir.Node) -> list[Dim] | None:
    """The sizes of the first operand, whose type the results have."""
    value = _operand(node, 0)
    for result in node.outputs:
        if value is not None and value.dtype is not None:
            facts.set_dtype(result, value.dtype)
    return None if value is None or value.shape is None else list(value.shape)


def _numbers(facts: Facts, node: ir.Node, index: int, attribute: str) -> list[Dim] | None:
    """The entries of an operand, or of the attribute that older opsets have; None if unknown."""
    if attribute in node.attributes:
        return list(node.attributes.get_ints(attribute, ()))
    return facts.get_symbolic_value(_operand(node, index))


def _axes(facts: Facts, node: ir.Node, index: int, rank: int) -> list[int] | None:
    """The axes that a node names, non-negative; all where it names none; None if unknown."""
    if _operand(node, index) is None and "axes" not in node.attributes:
        return list(range(rank))
    return _known(_numbers(facts, node, index, "axes"), rank)


def _known(entries: Sequence[Dim] | None, rank: int) -> list[int] | None:
    found = [entry % rank for entry in entries or () if isinstance(entry, int)]
    return found if entries is not None and len(found) == len(entries) else None


def _count(sizes: ir.Value | None) -> int | None:
    """How many sizes an operand holds; None where that is open, or more than a tensor has axes."""
    if sizes is None or sizes.shape is None or len(sizes.shape) != 1:
        return None
    count = sizes.shape[0]
    return count if isinstance(count, int) and count <= _MOST_AXES else None


def reshape(facts: Facts, node: ir.Node) -> None:
    """The sizes asked for; what is left is as large as the number of entries makes it."""
    dims, sizes = _data(facts, node), _operand(node, 1)
    asked, count = facts.get_symbolic_value(sizes), _count(sizes)
    if asked is None:
        asked = None if count is None else [facts.fresh() for _ in range(count)]
    if asked is None:
        return
    copies = not node.attributes.get_int("allowzero", 0)
    found: list[Dim | None] = []
    for axis, size in enumerate(asked):
        if size == 0 and copies:
            found.append(dims[axis] if dims is not None and axis < len(dims) else None)
        else:
            found.append(size if facts.is_size(size) else None)
    if dims is not None and found.count(None) == 1:
        found[found.index(None)] = _rest(dims, [dim for dim in found if dim is not None])
    facts.set_shape(node.outputs[0], [facts.fresh() if dim is None else dim for dim in found])
    entries = facts.get_symbolic_value(node.inputs[0])
    if entries is not None:
        facts.set_symbolic_value(node.outputs[0], entries)


def _rest(whole: list[Dim], parts: list[Dim]) -> Dim | None:
    """The product of ``whole`` divided by that of ``parts``, which divides it."""
    left = list(whole)
    for part in list(parts):
        if part in left and not isinstance(part, int):
            left.remove(part)
            parts.remove(part)
    total, divisor = math.prod(left), math.prod(parts)
    if isinstance(divisor, ir.SymbolicDim):
        return None if isinstance(total, int) else total // divisor
    return total // divisor if divisor else None


def expand(facts: Facts, node: ir.Node) -> None:
    """The operand and the sizes, broadcast; by the number of sizes alone, what is not 1 stays."""
    dims, sizes = _data(facts, node), _operand(node, 1)
    asked, count = facts.get_symbolic_value(sizes), _count(sizes)
    if asked is None and count is not None:
        asked = [facts.fresh() for _ in range(count)]
    if asked is not None:
        asked = [facts.fresh() if isinstance(size, int) and size < 1 else size for size in asked]
    facts.set_shape(node.outputs[0], broadcast(facts, [dims, asked]))


def constant_of_shape(facts: Facts, node: ir.Node) -> None:
    """The sizes asked for."""
    value = node.attributes.get("value")
    facts.set_dtype(
        node.outputs[0], ir.DataType.FLOAT if value is None else value.as_tensor().dtype
    )
    asked, count = facts.get_symbolic_value(node.inputs[0]), _count(node.inputs[0])
    if asked is None and count is not None:
        asked = [facts.fresh() for _ in range(count)]
    facts.set_shape(node.outputs[0], asked)
    if asked is not None and len(asked) == 1 and isinstance(asked[0], int) and asked[0] <= _FEW:
        fill = 0 if value is None else value.as_tensor().numpy().reshape(-1)[0]
        facts.set_symbolic_value(node.outputs[0], [int(fill)] * asked[0])


def slice_(facts: Facts, node: ir.Node) -> None:
    """An axis that is not named keeps its size; a named one only where all of it is taken."""
    dims = _data(facts, node)
    if dims is None:
        return
    starts, ends = (
        _numbers(facts, node, 1, "starts"),
        _numbers(facts, node, 2, "ends"),
    )
    count = _count(_operand(node, 1)) if starts is None else len(starts)
    axes = _axes(facts, node, 3, len(dims))
    if axes is None or count is None:
        facts.set_shape(node.outputs[0], [facts.fresh() for _ in dims])
        return
    steps: list[Dim] | None = [1] * count
    if _operand(node, 4) is not None:
        steps = facts.get_symbolic_value(_operand(node, 4))
    entries = facts.get_symbolic_value(node.inputs[0])
    for index, axis in enumerate(axes[:count]):
        bounds = [None if named is None else named[index] for named in (starts, ends, steps)]
        taken = _taken(dims[axis], *bounds)
        if entries is not None and isinstance(taken, slice):
            facts.set_shape(node.outputs[0], [len(entries[taken])])
            facts.set_symbolic_value(node.outputs[0], entries[taken])
            return
        size = dims[axis]
        if isinstance(taken, slice):
            size = len(range(*taken.indices(size))) if isinstance(size, int) else size
        elif bounds[::2] == [0, 1] and isinstance(bounds[1], ir.SymbolicDim):
            size = facts.clipped(bounds[1]) if facts.is_size(bounds[1]) else facts.fresh()
        elif bounds == [0, -1, 1]:
            size = size - 1
        else:
            size = facts.fresh()
        dims[axis] = size
    facts.set_shape(node.outputs[0], dims)


def _taken(size: Dim, start: Dim | None, end: Dim | None, step: Dim | None) -> slice | None:
    """What is taken of an axis, where it is known; of an axis of symbolic size only all of it."""
    if start == 0 and step == 1 and (end == size or (isinstance(end, int) and end >= _TO_THE_END)):
        return slice(None)
    if not all(isinstance(bound, int) for bound in (size, start, end, step)):
        return None
    assert isinstance(size, int) and isinstance(start, int)
    return slice(max(start, -size), end, step)  # ONNX steps back from the first entry, too


def squeeze(facts: Facts, node: ir.Node) -> None:
    """The named axes go; without names those of size 1, where every size is a number."""
    dims = _data(facts, node)
    if dims is None:
        return
    if _operand(node, 1) is None and "axes" not in node.attributes:
        static = all(isinstance(dim, int) for dim in dims)
        gone = [axis for axis, dim in enumerate(dims) if dim == 1] if static else None
    else:
        gone = _axes(facts, node, 1, len(dims))
    if gone is None:
        return
    facts.set_shape(node.outputs[0], [dim for axis, dim in enumerate(dims) if axis not in gone])
    entries = facts.get_symbolic_value(node.inputs[0])
    if entries is not None:
        facts.set_symbolic_value(node.outputs[0], entries)


def split(facts: Facts, node: ir.Node) -> None:
    """The sizes asked for, or equal parts of an axis whose size is a number."""
    dims, results = _data(facts, node), node.outputs
    if dims is None:
        return
    axis = node.attributes.get_int("axis", 0) % len(dims)
    whole, count = dims[axis], len(results)
    sizes = _numbers(facts, node, 1, "split")
    if _operand(node, 1) is None and "split" not in node.attributes and isinstance(whole, int):
        part = -(-whole // count)
        sizes = [max(0, min(part, whole - part * index)) for index in range(count)]
    entries = facts.get_symbolic_value(node.inputs[0])
    start = 0
    for index, result in enumerate(results):
        size = facts.fresh() if sizes is None else sizes[index]
        facts.set_shape(result, [*dims[:axis], size, *dims[axis + 1 :]])
        if entries is not None and isinstance(size, int):
            facts.set_symbolic_value(result, entries[start : start + size])
            start += size


def pad(facts: Facts, node: ir.Node) -> None:
    """Each axis grows by what is put before and behind it; one that shrinks may end at 0."""
    dims = _data(facts, node)
    if dims is None:
        return
    axes = _axes(facts, node, 3, len(dims)) if len(node.inputs) > 3 else list(range(len(dims)))
    amounts = _numbers(facts, node, 1, "pads")
    if axes is None or amounts is None:
        named = range(len(dims)) if axes is None else axes
        sizes = [facts.fresh() if axis in named else dim for axis, dim in enumerate(dims)]
        facts.set_shape(node.outputs[0], sizes)
        return
    for index, axis in enumerate(axes):
        total = amounts[index] + amounts[index + len(axes)]
        if not isinstance(total, int) or (total < 0 and not isinstance(dims[axis], int)):
            dims[axis] = facts.fresh()
        else:
            dims[axis] = dims[axis] + total
    facts.set_shape(node.outputs[0], dims)


def resize(facts: Facts, node: ir.Node) -> None:
    """The sizes asked for, under the policy "stretch", or a number times its scale in float32.

    A symbol is followed where its scale is 1.
    """
    dims = _data(facts, node)
    if dims is None:
        return
    axes = [axis % len(dims) for axis in node.attributes.get_ints("axes", range(len(dims)))]
    plain = node.attributes.get_string("keep_aspect_ratio_policy", "stretch") == "stretch"
    crops = node.attributes.get_string("coordinate_transformation_mode", "") == _CROPS
    sizes = facts.get_symbolic_value(_operand(node, 3))
    scales = _operand(node, 2 if len(node.inputs) > 2 else 1)
    tensor = None if scales is None or crops else ir.convenience.get_const_tensor(scales)
    factors = None if tensor is None else tensor.numpy()
    for index, axis in enumerate(axes):
        size = dims[axis]
        if _operand(node, 3) is not None:
            known = sizes is not None and plain
            dims[axis] = sizes[index] if known and sizes is not None else facts.fresh()
        elif factors is None or (not isinstance(size, int) and factors[index] != 1.0):
            dims[axis] = facts.fresh()
        elif isinstance(size, int):
            dims[axis] = int(np.float32(factors[index]) * np.float32(size))
    facts.set_shape(node.outputs[0], dims)
