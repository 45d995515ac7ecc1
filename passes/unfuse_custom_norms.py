"""Read the operators of the domain graphopt back, in a model that was optimized before."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph.naming import Names
from graphopt.passes.norms.canonical import epsilon_of
from graphopt.passes.norms.original_spelling import NAME, SPELLING
from graphopt.passes.operators.custom_ops import (
    ANY_TYPE,
    CRMS_NORM,
    DOMAIN,
    LAYER_NORM,
    RMS_NORM,
    SKIP_CRMS_NORM,
    SKIP_LAYER_NORM,
    SKIP_RMS_NORM,
    is_own_body,
)
from graphopt.passes.operators.gelus import GELUS
from graphopt.passes.rewrite import Rewrite

__all__ = ["UnfuseCustomNorms"]

_PARAMETERS = {
    RMS_NORM: slice(1, 2),
    SKIP_RMS_NORM: slice(2, 3),
    CRMS_NORM: slice(0, 0),
    SKIP_CRMS_NORM: slice(0, 0),
    LAYER_NORM: slice(1, 3),
    SKIP_LAYER_NORM: slice(2, 4),
}
"""The positions of gamma and beta."""
_BIAS = {SKIP_RMS_NORM: 3, SKIP_CRMS_NORM: 2, SKIP_LAYER_NORM: 4}

_INTERNAL = ("CRMSNormalization", "RMSNormalization", "LayerNormalization")
"""What has none, one and two of them."""


class UnfuseCustomNorms(Rewrite):
    """graphopt.RMSNorm and its kin become the internal norms again, and the Adds that they fused.

    Inlined, their bodies would come back as primitives, which no native kernel takes over. The
    bodies of GELUs are left to InlineFunctions, because FuseGelus reads primitives; their Casts are
    marked for SettleTypes, because FuseGelus reads those of a model as meant. A model that
    holds another operator of the domain, or a norm without gamma, is left alone; so is one whose
    operators have other bodies, or none: they are somebody else's, and mean what their bodies say.
    A LayerNorm comes back canonical, so that below opset 17, where ONNX has none, it is lowered.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Read back in place; ``record`` counts the operators."""
        found = [node for graph in model.graphs() for node in graph if node.domain == DOMAIN]
        self.record = {"operators read back": 0}
        called = {node.op_identifier(): model.functions.get(node.op_identifier()) for node in found}
        are_own = all(body is not None and is_own_body(body) for body in called.values())
        if not found or not are_own or not all(_is_known(node) for node in found):
            return ir.passes.PassResult(model, modified=False)
        _mark_casts(model)
        names = Names(model)
        for node in found:
            if node.op_type not in GELUS:
                _read_back(node, names)
        self.record["operators read back"] = len(found)
        for key in [key for key in model.functions if key[0] == DOMAIN and key[1] not in GELUS]:
            del model.functions[key]
        model.graph.opset_imports.pop(DOMAIN, None)
        return ir.passes.PassResult(model, modified=True)


def _mark_casts(model: ir.Model) -> None:
    for function in model.functions.values():
        if function.domain == DOMAIN:
            for node in function:
                if node.op_type in ("Cast", "CastLike"):
                    node.meta[ANY_TYPE] = True


def _is_known(node: ir.Node) -> bool:
    if node.op_type in GELUS:
        return True
    place = _PARAMETERS.get(node.op_type)
    if place is None:
        return False
    parameters = node.inputs[place]
    return len(parameters) == place.stop - place.start and None not in parameters


def _read_back(node: ir.Node, names: Names) -> None:
    graph, x = node.graph, node.inputs[0]
    assert graph is not None and x is not None
    nodes: list[ir.Node] = []
    if node.op_type in _BIAS:
        bias = node.inputs[_BIAS[node.op_type]] if len(node.inputs) > _BIAS[node.op_type] else None
        for addend in (bias, node.inputs[1]):
            if addend is not None:
                add = ir.node("Add", [x, addend], name=names.fresh(f"{node.name}.add"))
                x = add.outputs[0]
                x.name, x.type, x.shape = names.fresh(f"{node.name}.sum"), addend.type, None
                nodes.append(add)
    parameters = node.inputs[_PARAMETERS[node.op_type]]
    norm = ir.node(
        _INTERNAL[len(parameters)],
        [x, *parameters],
        {"axis": -1, "epsilon": epsilon_of(node), "stash_type": 1},
        name=node.name,
    )
    if len(parameters) == 2:
        norm.meta[SPELLING] = "LayerNormalization"
        norm.meta[NAME] = node.name or node.outputs[0].name
    graph.insert_before(node, [*nodes, norm])
    for old, new in zip(node.outputs, (norm.outputs[0], x), strict=False):
        ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
        new.name, new.type, new.shape = old.name, old.type, old.shape
    graph.remove(node, safe=True)
