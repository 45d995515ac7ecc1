"""Give the norms that were kept their original spelling back."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.fuse_skip_norms import fuse_skip_norm
from graphopt.passes.naming import Names
from graphopt.passes.original_spelling import ORIGINAL, OriginalSkipNorm, rebuild

__all__ = ["RestoreNorms"]


class RestoreNorms(ir.passes.InPlacePass):
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
                self.record["restored"] += rebuild(node, values, names)
        for node in list(graph):
            for attribute in node.attributes.values():
                if attribute.type == ir.AttributeType.GRAPH:
                    self._restore(model, attribute.as_graph(), values, names)
                elif attribute.type == ir.AttributeType.GRAPHS:
                    for nested in attribute.as_graphs():
                        self._restore(model, nested, values, names)
