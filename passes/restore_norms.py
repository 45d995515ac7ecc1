"""Give the norms that were kept their original spelling back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph.constants import constant_tensor
from graphopt.passes.graph.naming import Names
from graphopt.passes.norms.original_spelling import (
    ORIGINAL,
    Operand,
    OriginalNorm,
    OriginalSkipNorm,
)
from graphopt.passes.norms.skip_norms import fuse_skip_norm
from graphopt.passes.rewrite import Rewrite

__all__ = ["RestoreNorms"]


class RestoreNorms(Rewrite):
    """Rebuild the original nodes of every canonical LayerNormalization that has a record of them.

    1. Operators, attributes, wiring, node and value names are those of the input graph; x, gamma
       and beta are what the canonical node reads by now.
    2. A node of the original that other readers kept alive is used again.
    3. A norm whose scale or bias was changed, where the original had none, stays canonical.
    4. A norm that UnfuseSkipNorms split for CUDA is fused with the Add before it again.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Restore in place; ``record`` counts the restored norms."""
        self.record = {"restored": 0}
        self._restore(model, model.graph, {}, Names(model))
        return ir.passes.PassResult(model, modified=self.record["restored"] > 0)

    def _restore(
        self, model: ir.Model, graph: ir.Graph, outer: dict[str, ir.Value], names: Names
    ) -> None:
        inner = ir.convenience.create_value_mapping(graph, include_subgraphs=False)
        values = {**outer, **inner}
        for node in list(graph):
            original = node.meta.get(ORIGINAL)
            if isinstance(original, OriginalSkipNorm):
                fused = fuse_skip_norm(model, node, original) or fuse_skip_norm(model, node)
                self.record["restored"] += fused
            elif original is not None:
                self.record["restored"] += _rebuild(node, values, names)
        for node in list(graph):
            for attribute in node.attributes.values():
                if attribute.type == ir.AttributeType.GRAPH:
                    self._restore(model, attribute.as_graph(), values, names)
                elif attribute.type == ir.AttributeType.GRAPHS:
                    for nested in attribute.as_graphs():
                        self._restore(model, nested, values, names)


def _rebuild(node: ir.Node, values: dict[str, ir.Value], names: Names) -> bool:
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
    operand: Operand,
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
