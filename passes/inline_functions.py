"""Inline model-local functions, so that the analysis sees what they compute."""

from __future__ import annotations

import onnx_ir as ir
import onnx_ir.passes.common as common_passes

from graphopt.passes.graph.scopes import separate
from graphopt.passes.rewrite import Rewrite

__all__ = ["InlineFunctions"]


class InlineFunctions(Rewrite):
    """The nodes of a model-local function take the place of every call of it.

    Shapes that a function declares for its values are forgotten: the symbol N of two calls is two
    sizes, and ONNX Runtime plans its memory by the names that a graph declares. What the graph
    declares for the results of a call stays.

    A value of a nested graph gets another name where one around it has the same: what is inlined
    into a loop body, or moved there later, would read another value.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Inline in place."""
        before = len(model.functions)
        for function in model.functions.values():
            for node in function.all_nodes():
                for value in node.outputs:
                    value.shape = None
        result = common_passes.InlinePass()(model)
        self.record = {"functions inlined": before - len(model.functions)}
        if renamed := separate(model):
            self.record["hidden names"] = renamed
        return ir.passes.PassResult(model, modified=result.modified or renamed > 0)
