"""How a norm was written before it became canonical, and how to write it that way again.

The record lives in the canonical node's ``meta``. It names values instead of holding them, so it
stays true when other passes change what the norm reads.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from graphopt.passes.constants import constant_tensor
from graphopt.passes.naming import Names

__all__ = [
    "NAME",
    "ORIGINAL",
    "SPELLING",
    "OriginalNorm",
    "OriginalSkipNorm",
    "rebuild",
    "record",
    "spelling_of",
]

ORIGINAL = "graphopt.original"
"""Key of the :class:`OriginalNorm` or :class:`OriginalSkipNorm`."""
SPELLING = "graphopt.spelling"
"""Key of the spelling: "LayerNormalization", "decomposed" or "SkipLayerNormalization"."""
NAME = "graphopt.name"
"""Key of the name under which the norm is reported."""


@dataclasses.dataclass(frozen=True)
class _Operand:
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
    operands: tuple[tuple[_Operand | None, ...], ...]
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
            None
            if value is None
            else _Operand(value.name, slots.get(value), constant_tensor(value))
            for value in node.inputs
        )
        for node in nodes
    )
    made = tuple(
        None if value is None or value is original else value.name
        for value, original in zip(inputs, originals, strict=True)
    )
    return OriginalNorm(tuple(nodes), operands, made)


def rebuild(node: ir.Node, values: dict[str, ir.Value], names: Names) -> bool:
    """Replace the canonical ``node`` by its original nodes, reading what ``node`` reads by now.

    A node of the original that is still in the graph and reads the same (it had other readers) is
    used again; one that reads something else by now keeps its name, and the copy of it gets a new
    one. Nothing changes, and False is returned, where the record cannot express what
    ``node`` reads by now (a scale or bias where the original had none), or where a size that the
    original read is gone.

    Args:
        node: A canonical LayerNormalization with a record.
        values: Every value that the graph of ``node`` sees, by name; kept up to date.
        names: Registers the constants that are gone again.
    """
    original, graph = node.meta[ORIGINAL], node.graph
    assert isinstance(original, OriginalNorm) and graph is not None
    if not _expresses(original, node) or not _reads_are_there(original, values):
        return False
    result = node.outputs[0]
    computed: dict[str | None, ir.Value] = {}  # by the name in the original
    rebuilt: ir.Node | None = None
    for prototype, operands in zip(original.nodes, original.operands, strict=True):
        inputs = [
            computed.get(operand.name) or _resolve(operand, original, node, values, names)
            if operand is not None
            else None
            for operand in operands
        ]
        rebuilt = _survivor(prototype, inputs, node, values)
        if rebuilt is None:
            rebuilt = _copy(prototype, inputs)
            for output in rebuilt.outputs:
                if output.name and output.name != result.name and output.name in values:
                    output.name = names.fresh(output.name)
            graph.insert_before(node, rebuilt)
            values.update((output.name, output) for output in rebuilt.outputs if output.name)
        for before, now in zip(prototype.outputs, rebuilt.outputs, strict=True):
            computed[before.name] = now
    assert rebuilt is not None
    restored = rebuilt.outputs[0]
    restored.name, restored.type, restored.shape = result.name, result.type, result.shape
    result.replace_all_uses_with(restored, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    return True


def _expresses(original: OriginalNorm, node: ir.Node) -> bool:
    slots = {
        operand.slot
        for operands in original.operands
        for operand in operands
        if operand is not None
    }
    for slot, made in enumerate(original.made):
        current = node.inputs[slot] if slot < len(node.inputs) else None
        if slot in slots and current is None:
            return False
        if slot not in slots and current is not None and current.name != made:
            return False
    return True


def _reads_are_there(original: OriginalNorm, values: dict[str, ir.Value]) -> bool:
    computed = {output.name for node in original.nodes for output in node.outputs}
    return all(
        operand.name in computed or operand.name in values
        for operands in original.operands
        for operand in operands
        if operand is not None and operand.slot is None and operand.tensor is None
    )


def _resolve(
    operand: _Operand,
    original: OriginalNorm,
    node: ir.Node,
    values: dict[str, ir.Value],
    names: Names,
) -> ir.Value | None:
    if operand.slot is not None:
        current = node.inputs[operand.slot]
        if current is None or current.name != original.made[operand.slot]:
            return current
    assert operand.name is not None
    value = values.get(operand.name)
    if operand.tensor is None or (value is not None and _holds(value, operand.tensor)):
        return value
    constant = names.initializer(operand.name, operand.tensor)
    values[operand.name] = constant
    return constant


def _holds(value: ir.Value, tensor: ir.TensorProtocol) -> bool:
    current = constant_tensor(value)
    if current is None or current.dtype != tensor.dtype:
        return False
    return current is tensor or np.array_equal(current.numpy(), tensor.numpy())


def _survivor(
    prototype: ir.Node,
    inputs: Sequence[ir.Value | None],
    canonical: ir.Node,
    values: dict[str, ir.Value],
) -> ir.Node | None:
    value = values.get(prototype.outputs[0].name or "")
    node = None if value is None else value.producer()
    if node is None or node is canonical or node.graph is not canonical.graph:
        return None
    same: bool = (
        node.op_identifier() == prototype.op_identifier()
        and tuple(node.inputs) == tuple(inputs)
        and node.attributes == prototype.attributes
    )
    return node if same else None


def _copy(prototype: ir.Node, inputs: Sequence[ir.Value | None]) -> ir.Node:
    return ir.Node(
        prototype.domain,
        prototype.op_type,
        inputs,
        prototype.attributes.values(),
        overload=prototype.overload,
        outputs=[_copy_value(output) for output in prototype.outputs],
        version=prototype.version,
        name=prototype.name,
        doc_string=prototype.doc_string,
        metadata_props=dict(prototype.metadata_props),
    )


def _copy_value(value: ir.Value) -> ir.Value:
    copy = ir.Value(
        name=value.name,
        type=value.type,
        shape=value.shape,
        doc_string=value.doc_string,
        metadata_props=dict(value.metadata_props),
    )
    copy.meta.update(value.meta)
    return copy
