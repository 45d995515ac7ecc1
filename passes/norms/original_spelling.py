"""How a norm was written before it became canonical.

The record lives in the canonical node's ``meta``. It names values instead of holding them, so it
stays true when other passes change what the norm reads.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import onnx_ir as ir

from graphopt.passes.graph.constants import constant_tensor

__all__ = [
    "NAME",
    "ORIGINAL",
    "SPELLING",
    "Operand",
    "OriginalNorm",
    "OriginalSkipNorm",
    "record",
    "reported_name",
    "spelling_of",
]

ORIGINAL = "graphopt.original"
"""Key of the :class:`OriginalNorm` or :class:`OriginalSkipNorm`."""
SPELLING = "graphopt.spelling"
"""Key of the spelling: "LayerNormalization", "decomposed" or "SkipLayerNormalization"."""
NAME = "graphopt.name"
"""Key of the name under which the norm is reported."""


@dataclasses.dataclass(frozen=True)
class Operand:
    """What a node read: by then an input of the canonical node, a constant, or another node.

    Attributes:
        name: Name of the value.
        slot: Index of the canonical node's input that stands for it, or None.
        tensor: Its tensor where it is a constant, or None.
    """

    name: str | None
    slot: int | None
    tensor: ir.TensorProtocol | None


@dataclasses.dataclass(frozen=True)
class OriginalNorm:
    """The nodes of a norm as they were.

    Attributes:
        nodes: The nodes (only their operators, names, attributes and outputs are read), each after
            those that it reads.
        operands: What each of the nodes read; None for an absent input.
        made: For each input of the canonical node the name of the constant that was made for it,
            or None where it is a value of the original graph (or absent).
    """

    nodes: tuple[ir.Node, ...]
    operands: tuple[tuple[Operand | None, ...], ...]
    made: tuple[str | None, ...]


@dataclasses.dataclass(frozen=True)
class OriginalSkipNorm:
    """The norm was one node with the Add that computes what it reads.

    Attributes:
        first: Name of the operand that has the shape of the sum.
        second: Name of the other operand, which may broadcast.
        bias: Name of the bias, or None.
    """

    first: str | None
    second: str | None
    bias: str | None


def spelling_of(node: ir.Node) -> str | None:
    """How the input graph wrote the LayerNorm ``node``, or None for a node that is none."""
    spelling = node.meta.get(SPELLING)
    return spelling if isinstance(spelling, str) else None


def record(
    nodes: Sequence[ir.Node],
    originals: Sequence[ir.Value | None],
    inputs: Sequence[ir.Value | None],
) -> OriginalNorm:
    """Describe ``nodes`` before they are removed.

    Args:
        nodes: The nodes of the norm, each after those that it reads.
        originals: x, gamma and beta as these nodes read them; None where they have none.
        inputs: x, gamma and beta of the canonical node.
    """
    slots = {value: slot for slot, value in enumerate(originals) if value is not None}
    operands = tuple(
        tuple(
            None if value is None else Operand(value.name, slots.get(value), constant_tensor(value))
            for value in node.inputs
        )
        for node in nodes
    )
    made = tuple(
        None if value is None or (value is original and slots[value] == slot) else value.name
        for slot, (value, original) in enumerate(zip(inputs, originals, strict=True))
    )
    return OriginalNorm(tuple(nodes), operands, made)


def reported_name(node: ir.Node) -> str:
    """The name that a norm is reported under."""
    return str(node.meta.get(NAME) or node.name or node.outputs[0].name)
