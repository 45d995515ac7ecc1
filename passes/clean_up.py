"""Remove what the rewrites left behind."""

from __future__ import annotations

import onnx_ir as ir
import onnx_ir.passes.common as common_passes

from graphopt.passes.graph.liveness import remove_unused
from graphopt.passes.rewrite import Rewrite

__all__ = ["CleanUp"]


class CleanUp(Rewrite):
    """Remove nodes, constants and functions that nothing uses, and sort the nodes."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Clean up in place."""
        before = model.graph.num_nodes()
        remove_unused(model)
        common_passes.TopologicalSortPass()(model)
        self.record = {"nodes removed": before - model.graph.num_nodes()}
        return ir.passes.PassResult(model, modified=self.record["nodes removed"] > 0)
