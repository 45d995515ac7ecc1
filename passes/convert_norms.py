"""Turn LayerNorms of centred values into RMSNorms."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph import constants
from graphopt.passes.graph.naming import Names
from graphopt.passes.norms.canonical import epsilon_of
from graphopt.passes.planning.plan import Plan
from graphopt.passes.rewrite import PlannedRewrite
from graphopt.passes.streams.trace import Norm

__all__ = ["ConvertNorms"]


class ConvertNorms(PlannedRewrite):
    """LN(x) = RMS(C x) + beta (arXiv 2305.14858, section 3): where x = C x, LN becomes RMSNorm.

    Emits the internal node RMSNormalization(x, gamma) with axis, epsilon and stash_type, whatever
    the model's opset, and an Add where the norm still has a beta. A norm that is compressed in the
    basis ``drop`` becomes the internal node CRMSNormalization(x), which has no gamma.

    Args:
        plan: The plan; recentring and affine folding have been applied.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.crms = plan.compressed_norms if plan.basis == "drop" else frozenset()

    @property
    def after(self) -> tuple[str, ...]:
        """What must have been applied: a CRMSNorm reads what is compressed already."""
        return ("Recentre", "Compress") if self.plan.compressed_norms else ("Recentre",)

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Convert the norms that the plan converts."""
        names = Names(model)
        self.record = {"norms converted": 0, "betas kept": 0}
        for norm in self.plan.converted:
            self._convert(names, norm)
        return ir.passes.PassResult(model, modified=bool(self.plan.converted))

    def _convert(self, names: Names, norm: Norm) -> None:
        old = norm.node
        bias = old.inputs[2] if len(old.inputs) > 2 else None
        is_crms = norm in self.crms
        rms = ir.node(
            "CRMSNormalization" if is_crms else "RMSNormalization",
            [old.inputs[0]] if is_crms else [old.inputs[0], old.inputs[1]],
            attributes={
                "axis": norm.stream.axis.axis,
                "epsilon": epsilon_of(old),
                "stash_type": old.attributes.get_int("stash_type", 1),
            },
            name=old.name,
        )
        nodes, result = [rms], rms.outputs[0]
        self.record["norms converted"] += 1
        if bias is not None and constants.uniform_value(bias) != 0.0:
            result.name = names.fresh(f"{old.outputs[0].name}.unbiased")
            result.type, result.shape = old.outputs[0].type, old.outputs[0].shape
            add = ir.node("Add", [result, bias], name=names.fresh(f"{old.name}.add_beta"))
            nodes.append(add)
            result = add.outputs[0]
            self.record["betas kept"] += 1
        _replace(old, nodes, result)


def _replace(old: ir.Node, nodes: list[ir.Node], result: ir.Value) -> None:
    """Put ``nodes`` in the place of ``old``; the new result takes over its name."""
    before = old.outputs[0]
    name, graph = before.name, old.graph
    assert graph is not None
    result.type, result.shape = before.type, before.shape
    result.meta.update(before.meta)
    graph.insert_before(old, nodes)
    ir.convenience.replace_all_uses_with(before, result, replace_graph_outputs=True)
    graph.remove(old, safe=True)
    result.name = name
