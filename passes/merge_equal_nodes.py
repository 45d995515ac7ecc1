"""Compute once what every layer computes anew: masks, positions and sizes."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph import constants
from graphopt.passes.graph.naming import all_nodes
from graphopt.passes.graph.unread import remove_unread
from graphopt.passes.rewrite import Rewrite

__all__ = ["MergeEqualNodes"]

_FEW = 64
_STAYS = frozenset(
    {
        "Constant",
        "LayerNormalization",
        "Bernoulli",
        "Dropout",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    }
)


_COUNTS_RESULTS = frozenset({"BatchNormalization", "Split"})
"""How many results such a node has says what they are: the sizes of the parts, or training."""


class MergeEqualNodes(Rewrite):
    """Two nodes that compute the same from the same become one.

    1. Both are of one graph, and of one operator of ONNX; of other domains it is not known that
       they give the same twice. Not those that draw at random, not those with nested graphs, and
       not LayerNormalization: the report names each norm that stays.
    2. Their attributes are equal, and so are their operands: one value, or constants of one type
       and shape with at most 64 equal entries. The first has every result that the other has, and
       no more of them where their number decides what they are (a Split without sizes).
    3. A node with a graph output stays, because the output needs its name.

    The pass of onnx_ir merges Bernoulli, operators of any domain and nodes whose optional results
    differ, and takes constants for equal only where they are one value.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites ``model`` in place, in the order of its nodes."""
        first: dict[Hashable, ir.Node] = {}
        merged = 0
        for node in all_nodes(model):
            key = _key(node)
            if key is None:
                continue
            twin = first.setdefault(key, node)
            if twin.graph is None:  # removed with a merged node, which alone read it
                twin = first[key] = node
            if twin is not node and _replace(node, twin):
                merged += 1
        self.record = {"equal nodes merged": merged}
        return ir.passes.PassResult(model, modified=merged > 0)


def _key(node: ir.Node) -> Hashable | None:
    """What two nodes must share to be one; None for those that stay."""
    if node.graph is None or node.domain or node.op_type in _STAYS:
        return None
    attributes = []
    for name, attribute in sorted(node.attributes.items()):
        content = _content(attribute)
        if content is None:
            return None
        attributes.append((name, attribute.type, content))
    operands = tuple(_operand(value) for value in node.inputs)
    results = len(node.outputs) if node.op_type in _COUNTS_RESULTS else None
    return (id(node.graph), node.op_type, node.version, operands, tuple(attributes), results)


def _content(attribute: ir.Attr) -> Hashable | None:
    if attribute.is_ref() or attribute.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS):
        return None
    if attribute.type == ir.AttributeType.TENSOR:
        return _entries(attribute.value)
    value = attribute.value
    return repr(tuple(value) if isinstance(value, list | tuple) else value)


def _operand(value: ir.Value | None) -> Hashable:
    if value is None:
        return None
    tensor = constants.constant_tensor(value)
    entries = None if tensor is None else _entries(tensor)
    return id(value) if entries is None else entries


def _entries(tensor: ir.TensorProtocol) -> Hashable | None:
    if tensor.size > _FEW or tensor.dtype == ir.DataType.STRING:
        return None
    return (tensor.dtype, tuple(tensor.shape.numpy()), np.array(tensor.numpy()).tobytes())


def _replace(node: ir.Node, twin: ir.Node) -> bool:
    """Let the readers of ``node`` read its twin."""
    if len(node.outputs) > len(twin.outputs):
        return False
    if any(value.is_graph_output() for value in node.outputs):
        return False
    pairs = list(zip(node.outputs, twin.outputs, strict=False))
    if any(value.name and not other.name for value, other in pairs):
        return False
    for value, other in pairs:
        ir.convenience.replace_all_uses_with(value, other)
    remove_unread(node.outputs)
    return True
