"""Infer the sizes that the analysis may use, and take back what the file did not declare."""

from __future__ import annotations

import logging

import onnx_ir as ir

from graphopt.passes.facts.inference import infer, values_of
from graphopt.passes.graph.shapes import DECLARED
from graphopt.passes.rewrite import Rewrite

__all__ = ["ForgetShapes", "InferShapes"]

_OUTPUTS = "graphopt.declared_outputs"
"""Key of a graph's ``meta``: the shapes that the file declared for its outputs, in their order."""

_LOGGER = logging.getLogger(__name__)


class InferShapes(Rewrite):
    """Replaces what the file declares of shapes by what is proved; nothing else decides.

    1. The facts are those of ``passes/facts``: from operands, attributes and the graph inputs.
    2. The shape that the file declares for a value is remembered for ForgetShapes, and not
       believed: in an output, a function or a nested graph a name is no promise.
    3. A declaration that a fact contradicts is forgotten for good: the values that are computed may
       lose the op that the runtime was lenient with. One of a graph output stays, as the
       interface that callers read.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Infer in place; ``record`` counts the contradicted declarations."""
        values = list(values_of(model))
        for value in values:
            value.meta.setdefault(DECLARED, None if value.shape is None else value.shape.copy())
        for graph in model.graphs():
            shapes = [None if v.shape is None else v.shape.copy() for v in graph.outputs]
            graph.meta.setdefault(_OUTPUTS, shapes)
        infer(model)
        contradicted = [value for value in values if _is_contradicted(value)]
        for value in contradicted:
            _LOGGER.info("%s is %s, not %s", value.name, value.shape, value.meta[DECLARED])
            if not value.is_graph_output():
                value.meta[DECLARED] = None
        self.record = {"contradicted declarations": len(contradicted)} if contradicted else {}
        return ir.passes.PassResult(model, modified=True)


class ForgetShapes(Rewrite):
    """Give every value the shape that the file declared for it; inferred shapes are not saved."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Forget in place; a value that is new to the model loses its shape, unless it is constant
        or takes the place of a graph output, whose shape is that of the output.
        """
        for value in values_of(model):
            if DECLARED in value.meta:
                value.shape = value.meta.pop(DECLARED)
            elif value.producer() is not None and not value.is_graph_output():
                value.shape = None
        for graph in model.graphs():
            declared = graph.meta.pop(_OUTPUTS, [])
            for value, shape in zip(graph.outputs, declared, strict=False):
                if value.producer() is not None:
                    value.shape = shape
        return ir.passes.PassResult(model, modified=False)


def _is_contradicted(value: ir.Value) -> bool:
    """True where the file declares another rank or number than what is proved."""
    declared: ir.Shape | None = value.meta[DECLARED]
    if declared is None or value.shape is None or value.producer() is None:
        return False
    if len(declared) != len(value.shape):
        return True
    pairs = zip(declared, value.shape, strict=True)
    return any(isinstance(a, int) and isinstance(b, int) and 0 <= a != b for a, b in pairs)
