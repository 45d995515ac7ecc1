"""Inline model-local functions, so that the analysis sees what they compute."""

from __future__ import annotations

import onnx_ir as ir
import onnx_ir.passes.common as common_passes

from graphopt.passes.rewrite import Rewrite

__all__ = ["InlineFunctions"]


class InlineFunctions(Rewrite):
    """The nodes of a model-local function take the place of every call of it.

    Shapes that a function declares for its values are forgotten: the symbol N of two calls is two
    sizes, and ONNX Runtime plans its memory by the names that a graph declares. What the graph
    declares for the results of a call stays.
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
        return ir.passes.PassResult(model, modified=result.modified)
