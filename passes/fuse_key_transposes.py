"""Let the multiplication take the keys as they lie."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph import constants
from graphopt.passes.graph.naming import Names, all_nodes
from graphopt.passes.graph.unread import remove_unread
from graphopt.passes.rewrite import Rewrite

__all__ = ["FuseKeyTransposes"]

_MICROSOFT = "com.microsoft"


class FuseKeyTransposes(Rewrite):
    """MatMul(q, Transpose(k, p)) becomes FusedMatMul(q, Transpose(k, p')) with transB.

    p' is p with its last two entries swapped: it moves whole runs of entries, where p moves single
    ones. ONNX Runtime does this itself only where p' moves nothing.

    1. p moves the last axis of k away from the end, and p' leaves it there. k is computed: a weight
       is transposed once, when the session starts.
    2. Nobody else reads the transposed keys.
    3. float32, the one type that ONNX Runtime has a kernel for on every provider.
    """

    needs_shapes = True

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites ``model`` in place."""
        names = Names(model)
        fused = sum(_fuse(names, node) for node in all_nodes(model))
        self.record = {"key transposes fused": fused}
        if fused:
            model.opset_imports.setdefault(_MICROSOFT, 1)
        return ir.passes.PassResult(model, modified=fused > 0)


def _fuse(names: Names, node: ir.Node) -> bool:
    if node.op_type != "MatMul" or node.domain or node.graph is None:
        return False
    keys, result = node.inputs[1], node.outputs[0]
    turn = None if keys is None else keys.producer()
    if keys is None or turn is None or turn.op_type != "Transpose" or turn.domain:
        return False
    if result.dtype != ir.DataType.FLOAT or len(keys.uses()) != 1 or keys.is_graph_output():
        return False
    if constants.constant_tensor(turn.inputs[0]) is not None:
        return False
    order = list(turn.attributes.get_ints("perm", ()))
    if len(order) < 2 or order[-2] != len(order) - 1 or turn.graph is not node.graph:
        return False
    order[-2:] = [order[-1], order[-2]]
    node.replace_input_with(1, _turned(names, turn, keys, order))
    remove_unread([keys])
    node.domain, node.op_type = _MICROSOFT, "FusedMatMul"
    node.attributes["transB"] = ir.AttrInt64("transB", 1)
    return True


def _turned(names: Names, turn: ir.Node, keys: ir.Value, order: list[int]) -> ir.Value | None:
    """The operand of ``turn`` in another order."""
    if order == sorted(order):
        return turn.inputs[0]
    name = names.fresh(f"{keys.name}.rows")
    node = ir.node("Transpose", turn.inputs[:1], {"perm": order}, name=name)
    value = node.outputs[0]
    value.name, value.type = name, keys.type
    if keys.shape is not None:
        value.shape = ir.Shape([*keys.shape[:-2], keys.shape[-1], keys.shape[-2]])
    assert turn.graph is not None
    turn.graph.insert_before(turn, node)
    return value
