"""Cuts an output where the model joins what it computes apart, so that each has its own scale."""

from __future__ import annotations

__all__ = ["Cut", "cuts", "words"]

from collections.abc import Sequence

import onnx_ir as ir

from graphopt.passes.graph import axes

Cut = tuple[slice, ...]
"""A part of a tensor: one slice for each axis up to that of the cut."""

_ALIKE = ("Cast", "Identity")


def cuts(output: ir.Value | None, shape: Sequence[int]) -> list[Cut]:
    """The operands of the Concat that gives ``output``, as parts of it.

    Boxes in pixels and scores below one are one output of many detectors: the typical size of
    both together would hide any error of the scores. Behind a Concat may stand Transpose, Cast and
    Identity. Sizes are those that the file declares, of which one may be missing. They decide the
    scales alone, so that a wrong one does no harm.

    Args:
        output: The output.
        shape: Its shape where it was computed.

    Returns:
        Two or more parts, which cover the output; none where it is not joined, or the sizes are
        not known.
    """
    order = list(range(len(shape)))
    node = None if output is None else output.producer()
    while node is not None and not node.domain and node.op_type in (*_ALIKE, "Transpose"):
        if node.op_type == "Transpose":
            turn = node.attributes.get_ints("perm", tuple(reversed(range(len(shape)))))
            if sorted(turn) != sorted(order):
                return []
            order = [turn[axis] for axis in order]
        value = node.inputs[0]
        node = None if value is None else value.producer()
    if node is None or node.domain or node.op_type != "Concat" or not shape:
        return []
    axis = node.attributes.get_int("axis", 0)
    if not -len(shape) <= axis < len(shape):
        return []
    joined = axis % len(shape)
    return _along(order.index(joined), _sizes(node.inputs, joined, shape[order.index(joined)]))


def words(cut: Cut) -> str:
    """Where a part is, as numpy writes it: ``[:, 4:84]``."""
    return f"[{', '.join(_range(each) for each in cut)}]"


def _along(axis: int, sizes: Sequence[int]) -> list[Cut]:
    found, start = [], 0
    for size in sizes:
        if size:
            found.append((*[slice(None)] * axis, slice(start, start + size)))
        start += size
    return found if len(found) > 1 else []


def _sizes(operands: Sequence[ir.Value | None], axis: int, total: int) -> list[int]:
    """The size of each operand along an axis; empty where they do not make up the total."""
    known = [None if each is None else axes.dimension(each, axis) for each in operands]
    numbers = [size for size in known if isinstance(size, int)]
    rest = total - sum(numbers)
    missing = len(known) - len(numbers)
    if missing > 1 or rest < 0 or (rest and not missing):
        return []
    return [size if isinstance(size, int) else rest for size in known]


def _range(part: slice) -> str:
    return ":" if part.start is None else f"{part.start}:{part.stop}"
