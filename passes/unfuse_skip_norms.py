"""Split ONNX Runtime's fused residual-and-norm operators, so that the analysis sees both parts."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from graphopt.passes.choices import PROVIDER
from graphopt.passes.graph.naming import Names
from graphopt.passes.norms.canonical import canonical_node
from graphopt.passes.norms.original_spelling import NAME, ORIGINAL, SPELLING, OriginalSkipNorm
from graphopt.passes.rewrite import Rewrite
from graphopt.passes.targets import provider_named

__all__ = ["UnfuseSkipNorms"]

# Of the com.microsoft operators; LayerNormalization has 1e-5.
_DEFAULT_EPSILON = float(np.float32(1e-12))


class UnfuseSkipNorms(Rewrite):
    """SkipLayerNormalization(a, b, gamma, beta?, bias?) becomes LayerNormalization(a + b + bias).

    1. The sum that the fourth output gives (input_skip_bias_sum) is the result of the Add.
    2. The bias is added to the operand that a MatMul writes, if there is one, because a runtime
       fuses these two; else to the sum.
    3. A node whose mean or inv_std_var is read stays.
    4. Where the provider's fused kernels are fast, the norm records that it was fused, and
       RestoreNorms fuses it again if it is kept. For the CPU it stays split: there the fused kernel
       is scalar code, 753 us against 112 us for Add, Add and LayerNormalization on 197 x 768 (ONNX
       Runtime 1.31.1, one core).
    5. SkipSimplifiedLayerNormalization has no mean to remove and is left alone.

    Args:
        provider: Execution provider that the result is made for.
    """

    def __init__(self, provider: str = PROVIDER.default) -> None:
        super().__init__()
        self.fuses_again = provider_named(provider).fuses_skip_norms

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Split in place; ``record`` counts the nodes."""
        self.record = {"SkipLayerNormalization": 0}
        names = Names(model)
        for graph in model.graphs():
            for node in list(graph):
                if (node.domain, node.op_type) == ("com.microsoft", "SkipLayerNormalization"):
                    self.record["SkipLayerNormalization"] += self._split(node, graph, names)
        return ir.passes.PassResult(model, modified=self.record["SkipLayerNormalization"] > 0)

    def _split(self, node: ir.Node, graph: ir.Graph, names: Names) -> bool:
        if any(value.uses() or value.is_graph_output() for value in node.outputs[1:3]):
            return False
        first, second, gamma, beta, bias = (*node.inputs, None, None)[:5]
        assert first is not None and second is not None and gamma is not None
        base = node.name or node.outputs[0].name
        result = node.outputs[0]
        adds = _sum(first, second, bias, f"{base}.add", names)
        total = adds[-1].outputs[0]
        total.type, total.shape = first.type, first.shape
        if len(node.outputs) > 3 and node.outputs[3].name:
            node.outputs[3].replace_all_uses_with(total, replace_graph_outputs=True)
            total.name = node.outputs[3].name
            total.meta.update(node.outputs[3].meta)
        epsilon = node.attributes.get_float("epsilon", _DEFAULT_EPSILON)
        norm = canonical_node(total, gamma, beta, epsilon, stash_type=1)
        norm.name = node.name
        norm.meta[SPELLING], norm.meta[NAME] = "SkipLayerNormalization", base
        if self.fuses_again:
            bias_name = None if bias is None else bias.name
            norm.meta[ORIGINAL] = OriginalSkipNorm(first.name, second.name, bias_name)
        new = norm.outputs[0]
        new.name, new.type, new.shape = result.name, total.type, total.shape
        new.meta.update(result.meta)
        graph.insert_before(node, [*adds, norm])
        result.replace_all_uses_with(new, replace_graph_outputs=True)
        graph.remove(node, safe=True)
        return True


def _sum(
    first: ir.Value, second: ir.Value, bias: ir.Value | None, name: str, names: Names
) -> list[ir.Node]:
    """The Adds of ``first`` + ``second`` + ``bias``; the last one gives the sum."""
    if bias is None:
        return [_add(first, second, name, names)]
    for operand, other in ((first, second), (second, first)):
        producer = operand.producer()
        if producer is not None and producer.op_type in ("MatMul", "FusedMatMul"):
            biased = _add(operand, bias, f"{name}_bias", names)
            return [biased, _add(biased.outputs[0], other, name, names)]
    unbiased = _add(first, second, name, names)
    return [unbiased, _add(unbiased.outputs[0], bias, f"{name}_bias", names)]


def _add(left: ir.Value, right: ir.Value, name: str, names: Names) -> ir.Node:
    node = ir.node("Add", [left, right], name=names.fresh(name))
    result = node.outputs[0]
    result.name, result.type, result.shape = names.fresh(f"{name}.sum"), left.type, left.shape
    return node
