"""Let the multiplication take the keys as they lie."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph.constants import HALF
from graphopt.passes.graph.naming import all_nodes
from graphopt.passes.graph.unread import remove_unread
from graphopt.passes.rewrite import Rewrite

__all__ = ["FuseKeyTransposes"]

_MICROSOFT = "com.microsoft"


class FuseKeyTransposes(Rewrite):
    """MatMul(q, Transpose(k, p)) becomes FusedMatMul(q, Transpose(k, p')) with transB.

    p' is p with its last two entries swapped: it moves whole runs of entries, where p moves single
    ones. ONNX Runtime does this itself only where p' moves nothing.

    1. p moves the last axis of k away from the end, and p' leaves it there.
    2. Nobody else reads the transposed keys.
    3. float32, the one type of ONNX Runtime's kernel on the CPU; on CUDA those of 16 bits, too.

    Args:
        provider: Execution provider that the result is for.
    """

    def __init__(self, provider: str = "cpu") -> None:
        super().__init__()
        self._types = {ir.DataType.FLOAT, *(HALF if provider == "cuda" else ())}

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites ``model`` in place."""
        fused = sum(self._fuse(node) for node in all_nodes(model))
        self.record = {"key transposes fused": fused}
        if fused:
            model.opset_imports.setdefault(_MICROSOFT, 1)
        return ir.passes.PassResult(model, modified=fused > 0)

    def _fuse(self, node: ir.Node) -> bool:
        if node.op_type != "MatMul" or node.domain or node.graph is None:
            return False
        keys, result = node.inputs[1], node.outputs[0]
        turn = None if keys is None else keys.producer()
        if keys is None or turn is None or turn.op_type != "Transpose" or turn.domain:
            return False
        if result.dtype not in self._types or len(keys.uses()) != 1 or keys.is_graph_output():
            return False
        order = list(turn.attributes.get_ints("perm", ()))
        if len(order) < 2 or order[-2] != len(order) - 1 or turn.graph is not node.graph:
            return False
        order[-2:] = [order[-1], order[-2]]
        turn.attributes["perm"] = ir.AttrInt64s("perm", order)
        if keys.shape is not None:
            keys.shape = ir.Shape([*keys.shape[:-2], keys.shape[-1], keys.shape[-2]])
        if order == sorted(order):
            node.replace_input_with(1, turn.inputs[0])
            remove_unread([keys])
        node.domain, node.op_type = _MICROSOFT, "FusedMatMul"
        node.attributes["transB"] = ir.AttrInt64("transB", 1)
        return True
