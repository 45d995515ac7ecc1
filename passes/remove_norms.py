"""Removes every LayerNorm: not the same function, but the floor that no faster norm can beat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph.constants import constant_tensor
from graphopt.passes.graph.edits import Edit, Scale
from graphopt.passes.graph.naming import Names, all_nodes
from graphopt.passes.rewrite import Rewrite
from graphopt.passes.streams import algebra

__all__ = ["RemoveNorms", "layer_norms"]


def layer_norms(model: ir.Model) -> list[ir.Node]:
    """The LayerNormalization nodes of a canonical model whose Mean and InvStdDev nobody reads."""
    return [
        node
        for node in all_nodes(model)
        if node.domain == ""
        and node.op_type == "LayerNormalization"
        and not any(out.uses() or out.is_graph_output() for out in node.outputs[1:])
    ]


class RemoveNorms(Rewrite):
    """Lets every LayerNormalization pass its input through. The result computes something else.

    1. The readers of a norm read its input instead; gamma and beta are dropped. A graph output
       that a norm produced becomes an Identity of its input.
    2. ``factors`` keeps activations at the magnitude that they had, so that the floor is not timed
       on infinities or denormal numbers: the factor of a norm is multiplied into the weight of each
       linear map that reads it (through reshapes, transposes, casts and slices), where it costs no
       node. Other readers (a residual Add behind a Post-LN norm) read the input as it is.
    3. Each such linear map gets a weight of its own, so tied weights are safe.

    Norms of a graph in canonical form are recognised, RMSNormalization is not one of them.

    Args:
        factors: For the name of a norm's output, the factor that stands for the norm, such as
            rms(output) / rms(input) in one evaluation. 1 where it is left out.

    After ``call``, ``record`` counts the norms removed and the weights scaled.
    """

    def __init__(self, factors: Mapping[str, float] | None = None) -> None:
        super().__init__()
        self.factors = dict(factors or {})

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Removes the norms of ``model`` in place."""
        names = Names(model)
        norms = layer_norms(model)
        scaled = 0
        for norm in norms:
            factor = self.factors.get(norm.outputs[0].name or "", 1.0)
            if factor != 1.0:
                for reader in _linear_readers(norm.outputs[0]):
                    _scale_weight(reader, factor, names)
                    scaled += 1
            _bypass(norm)
        self.record = {"norms removed": len(norms), "weights scaled": scaled}
        return ir.passes.PassResult(model, bool(norms))


def _linear_readers(value: ir.Value) -> Iterator[ir.Node]:
    for node, operand in value.uses():
        if operand != 0:
            continue
        op = algebra.op_of(node)
        if op is None:
            continue
        if op.linear is not None and constant_tensor(node.inputs[1]) is not None:
            yield node
        elif op.moves_entries:
            for result in node.outputs:
                yield from _linear_readers(result)


def _scale_weight(node: ir.Node, factor: float, names: Names) -> None:
    weight = node.inputs[1]
    assert weight is not None
    tensor = constant_tensor(weight)
    assert tensor is not None
    edits: list[Edit] = [Scale(0, np.full(tensor.shape.numpy()[0], factor))]
    node.replace_input_with(1, names.edited_copy(weight, edits, "_norm_free"))


def _bypass(norm: ir.Node) -> None:
    source, result = norm.inputs[0], norm.outputs[0]
    assert source is not None
    assert norm.graph is not None
    if result.is_graph_output():
        # The output keeps its name and type, which a value that others read cannot take over.
        identity = ir.node("Identity", [source], outputs=[_like(result)])
        norm.graph.insert_after(norm, identity)
        outputs = norm.graph.outputs
        outputs[list(outputs).index(result)] = identity.outputs[0]
    result.replace_all_uses_with(source)
    norm.graph.remove(norm, safe=True)


def _like(value: ir.Value) -> ir.Value:
    return ir.Value(name=value.name, type=value.type, shape=value.shape)
