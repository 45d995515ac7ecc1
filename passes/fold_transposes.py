"""Store a transposed weight instead of transposing it at run time."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph import constants
from graphopt.passes.graph.naming import Names
from graphopt.passes.rewrite import Rewrite

__all__ = ["FoldTransposes"]


class FoldTransposes(Rewrite):
    """Transpose(W) of a constant that nobody else reads becomes a constant.

    A tied table, which an embedding reads as well, stays: the transposed copy would double it. So
    does an order that is not one of all its axes, which no runtime takes.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fold every transposed weight of ``model``."""
        names = Names(model)
        self.record = {"transposes folded": 0}
        for node in list(model.graph.all_nodes()):
            if node.op_type == "Transpose" and not node.domain and _fold(names, node):
                self.record["transposes folded"] += 1
        return ir.passes.PassResult(model, modified=self.record["transposes folded"] > 0)


def _fold(names: Names, node: ir.Node) -> bool:
    source, result = node.inputs[0], node.outputs[0]
    tensor = constants.constant_tensor(source)
    if source is None or tensor is None or len(source.uses()) != 1 or result.is_graph_output():
        return False
    if constants.stored_tensor(source) is not None:  # as it is, it takes fewer bytes
        return False
    if not tensor.dtype.is_floating_point() or source.is_graph_output():
        return False
    rank = len(tensor.shape)
    permutation = node.attributes.get_ints("perm", tuple(reversed(range(rank))))
    if sorted(permutation) != list(range(rank)):
        return False
    dims = [tensor.shape.numpy()[axis] for axis in permutation]

    def compute() -> ir.TensorProtocol:
        moved = np.ascontiguousarray(np.transpose(tensor.numpy(), permutation))
        constants.release(tensor)
        return ir.Tensor(moved, dtype=tensor.dtype)

    folded = names.initializer(
        f"{source.name}.transposed", ir.LazyTensor(compute, tensor.dtype, ir.Shape(dims))
    )
    ir.convenience.replace_all_uses_with(result, folded)
    assert node.graph is not None
    node.graph.remove(node, safe=True)
    return True
