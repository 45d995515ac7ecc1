"""Merge norms that compute the same thing."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph import constants
from graphopt.passes.norms.canonical import epsilon_of
from graphopt.passes.rewrite import Rewrite

__all__ = ["MergeTwins"]

_NORMS = ("RMSNormalization", "CRMSNormalization")


class MergeTwins(Rewrite):
    """Merge norms of one value with equal gamma, epsilon, axis and stash_type into the first.

    RMSNorms with RMSNorms, and CRMSNorms, which have no gamma, with CRMSNorms.
    Parallel-residual blocks (GPT-NeoX) normalize one value twice. Nodes of one graph only: a norm
    in a branch that may not run stays there.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Merge twins in every graph of ``model``."""
        self.record = {"twins merged": 0}
        first: dict[tuple[object, ...], list[ir.Node]] = {}
        for node in list(model.graph.all_nodes()):
            if node.op_type not in _NORMS or node.domain:
                continue
            group = first.setdefault(_key(node), [])
            twin = next((other for other in group if _same_scale(node, other)), None)
            if twin is None:
                group.append(node)
                continue
            value = node.outputs[0]
            if value.is_graph_output():
                continue
            ir.convenience.replace_all_uses_with(value, twin.outputs[0])
            assert node.graph is not None
            node.graph.remove(node, safe=True)
            self.record["twins merged"] += 1
        return ir.passes.PassResult(model, modified=self.record["twins merged"] > 0)


def _key(node: ir.Node) -> tuple[object, ...]:
    return (
        node.graph,
        node.op_type,
        node.inputs[0],
        node.attributes.get_int("axis", -1),
        epsilon_of(node),
        node.attributes.get_int("stash_type", 1),
    )


def _same_scale(node: ir.Node, other: ir.Node) -> bool:
    if node.inputs[1:] == other.inputs[1:]:
        return True
    left, right = node.inputs[1], other.inputs[1]
    one, two = constants.constant_tensor(left), constants.constant_tensor(right)
    if one is None or two is None or one.dtype != two.dtype:
        return False
    return np.array_equal(one.numpy(), two.numpy())
