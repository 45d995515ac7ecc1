"""What names the sizes of an op's result, as the row of the op answers it."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable

import onnx_ir as ir

__all__ = ["OF_EXPAND", "OF_RESHAPE", "OF_RESIZE", "Sizes", "SizesOperand"]


class Sizes(enum.Enum):
    """What an op does with the sizes of its first operand, where no other operand names sizes."""

    FOLLOW = "the result has the sizes that follow from the operands"
    FIXED = "another operand has the size of the feature axis, too, and keeps it"
    TOLD = "the result is the sizes: one of them is set back"
    COUNTED = "the result is the number of entries, which cannot be set back"


@dataclasses.dataclass(frozen=True)
class SizesOperand:
    """An operand that names the sizes of the result.

    Attributes:
        position: Its position.
        entry: The entry of the sizes that belongs to an axis of the result, or None where none
            does; of the node, the number of sizes, the rank of the result and the axis.
        copies_zeros: True where a size of 0 stands for the size of the first operand.
    """

    position: int
    entry: Callable[[ir.Node, int | None, int, int], int | None]
    copies_zeros: bool


def _same_entry(node: ir.Node, count: int | None, rank: int, axis: int) -> int | None:
    return axis


def _aligned_entry(node: ir.Node, count: int | None, rank: int, axis: int) -> int | None:
    """Expand broadcasts: its sizes are aligned with the last axes."""
    if count is None:
        return axis
    aligned = axis - (rank - count)
    return aligned if aligned >= 0 else None


def _named_entry(node: ir.Node, count: int | None, rank: int, axis: int) -> int | None:
    """Resize may name the axes that it resizes."""
    if "axes" not in node.attributes:
        return axis
    resized = [i % rank for i in node.attributes.get_ints("axes", ())]
    return resized.index(axis) if axis in resized else None


OF_RESHAPE = SizesOperand(1, _same_entry, copies_zeros=True)
OF_EXPAND = SizesOperand(1, _aligned_entry, copies_zeros=False)
OF_RESIZE = SizesOperand(3, _named_entry, copies_zeros=False)
