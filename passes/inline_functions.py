"""Inline model-local functions, so that the analysis sees what they compute."""

from __future__ import annotations

import onnx_ir as ir
import onnx_ir.passes.common as common_passes

from graphopt.passes.rewrite import Rewrite

__all__ = ["InlineFunctions"]


class InlineFunctions(Rewrite):
    """The nodes of a model-local function take the place of every call of it."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Inline in place."""
        before = len(model.functions)
        result = common_passes.InlinePass()(model)
        self.record = {"functions inlined": before - len(model.functions)}
        return ir.passes.PassResult(model, modified=result.modified)
