"""List constants among the inputs of a graph, or not, as its version of the IR has it."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.rewrite import Rewrite

__all__ = ["FIRST_WITH_DEFAULTS", "ListConstants", "UnlistConstants"]

FIRST_WITH_DEFAULTS = 4
"""The first IR version in which an input that is also an initializer is a default value."""


class UnlistConstants(Rewrite):
    """Below IR version 4 every initializer has to be listed as an input, and is a constant.

    ONNX Runtime reads it so. From version 4 on such an input may be fed, and its initializer is
    what it is otherwise; that one stays.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Shorten the inputs in place; ``record`` counts the constants."""
        inputs = model.graph.inputs
        listed = [value for value in inputs if value.is_initializer()]
        if _version(model) >= FIRST_WITH_DEFAULTS:
            listed = []
        for value in listed:
            inputs.remove(value)
        self.record = {"constants": len(listed)}
        return ir.passes.PassResult(model, modified=bool(listed))


class ListConstants(Rewrite):
    """The reverse: below IR version 4 every initializer becomes an input, the new ones too."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Lengthen the inputs in place; ``record`` counts the constants."""
        unlisted = [v for v in model.graph.initializers.values() if not v.is_graph_input()]
        if _version(model) >= FIRST_WITH_DEFAULTS:
            unlisted = []
        model.graph.inputs.extend(unlisted)
        self.record = {"constants": len(unlisted)}
        return ir.passes.PassResult(model, modified=bool(unlisted))


def _version(model: ir.Model) -> int:
    return model.ir_version or FIRST_WITH_DEFAULTS
