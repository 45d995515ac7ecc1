"""Sizes of what is broadcast together: two different symbols give a third."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from graphopt.passes.facts.context import Facts
from graphopt.passes.graph.axes import Dim

__all__ = ["broadcast", "einsum", "joint", "matmul", "matmul_fused"]


def broadcast(facts: Facts, shapes: Sequence[Sequence[Dim] | None]) -> list[Dim] | None:
    """The sizes of the result, or None where a rank is unknown."""
    known = [list(shape) for shape in shapes if shape is not None]
    if len(known) < len(shapes) or not known:
        return None
    rank = max(len(shape) for shape in known)
    return [
        joint(facts, [shape[-back] for shape in known if len(shape) >= back])
        for back in range(rank, 0, -1)
    ]


def joint(facts: Facts, dims: Sequence[Dim]) -> Dim:
    """The one size of dimensions that are broadcast: that which is not 1, where it is proved.

    Beside n, a size that is clipped to n is n, or 1, or refused.
    """
    distinct = {dim for dim in dims if dim != 1}
    distinct -= {dim for dim in distinct if facts.bound(dim) in distinct}
    numbers = {dim for dim in distinct if isinstance(dim, int)}
    if len(numbers) > 1:
        raise ValueError(f"sizes {sorted(numbers)} cannot be broadcast")
    if numbers:
        return numbers.pop()
    if len(distinct) > 1:
        return facts.fresh()
    return distinct.pop() if distinct else 1


def matmul(facts: Facts, node: ir.Node) -> None:
    """[.., m, k] times [.., k, n]; a vector has no m or no n."""
    left, right = (None if value is None else value.shape for value in node.inputs[:2])
    _note_product(facts, node, left, right)


def matmul_fused(facts: Facts, node: ir.Node) -> None:
    """com.microsoft.FusedMatMul: the last two axes of each operand may be swapped first."""
    if {"transBatchA", "transBatchB"} & {n for n, a in node.attributes.items() if a.value}:
        return
    shapes = [None if value is None else value.shape for value in node.inputs[:2]]
    for index, name in enumerate(("transA", "transB")):
        shape, swapped = shapes[index], node.attributes.get_int(name, 0)
        if shape is not None and len(shape) > 1 and swapped:
            shapes[index] = ir.Shape([*shape[:-2], shape[-1], shape[-2]])
    _note_product(facts, node, *shapes)


def _note_product(
    facts: Facts, node: ir.Node, left: ir.Shape | None, right: ir.Shape | None
) -> None:
    if node.inputs[0] is not None and node.inputs[0].dtype is not None:
        facts.set_dtype(node.outputs[0], node.inputs[0].dtype)
    if not left or not right:
        return
    batch = broadcast(facts, [list(left[:-2]), list(right[:-2])])
    rows = [left[-2]] if len(left) > 1 else []
    columns = [right[-1]] if len(right) > 1 else []
    facts.set_shape(node.outputs[0], [*(batch or ()), *rows, *columns])


def einsum(facts: Facts, node: ir.Node) -> None:
    """A letter has the joint size of the axes that it names, an ellipsis those that are left."""
    first = node.inputs[0]
    if first is not None and first.dtype is not None:
        facts.set_dtype(node.outputs[0], first.dtype)
    equation = node.attributes.get_string("equation", "").replace(" ", "").replace("...", ".")
    left, arrow, output = equation.partition("->")
    named: dict[str, list[Dim]] = {}
    rests: list[list[Dim]] = []
    for value, term in zip(node.inputs, left.split(","), strict=True):
        if value is None or value.shape is None:
            return
        dims = list(value.shape)
        if "." in term:
            start, rest = term.index("."), len(dims) - len(term) + 1
            rests.append(dims[start : start + rest])
            dims[start : start + rest] = []
        for letter, dim in zip(term.replace(".", ""), dims, strict=True):
            named.setdefault(letter, []).append(dim)
    if not arrow:
        output = "." * bool(rests) + "".join(sorted(k for k in named if left.count(k) == 1))
    sizes: list[Dim] = []
    for letter in output:
        known = broadcast(facts, rests) or [] if letter == "." else [joint(facts, named[letter])]
        sizes.extend(known)
    facts.set_shape(node.outputs[0], sizes)
