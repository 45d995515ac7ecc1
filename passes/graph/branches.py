"""The branches of If nodes, and who reads a value: nodes, and graphs that hand it out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import onnx_ir as ir

__all__ = ["Branches", "Use", "branches_of", "replace", "uses_of"]

_BRANCHES = ("then_branch", "else_branch")


@dataclasses.dataclass(frozen=True)
class Use:
    """A place where a value is read.

    Attributes:
        reader: The node that reads it, or the graph of which it is a result.
        index: The position among the inputs of the node, or among the results of the graph.
    """

    reader: ir.Node | ir.Graph
    index: int

    @property
    def value(self) -> ir.Value | None:
        """The value that is read here now."""
        if isinstance(self.reader, ir.Node):
            return self.reader.inputs[self.index]
        found: ir.Value = self.reader.outputs[self.index]
        return found


def replace(uses: Iterable[Use], value: ir.Value) -> None:
    """Let ``uses`` read ``value``, which belongs to a graph that hands it out."""
    for use in uses:
        if isinstance(use.reader, ir.Node):
            use.reader.replace_input_with(use.index, value)
        else:
            producer = value.producer()
            assert use.reader is (value.graph if producer is None else producer.graph)
            use.reader.outputs[use.index] = value


def uses_of(value: ir.Value) -> list[Use]:
    """Every place where ``value`` is read."""
    found = [Use(use.node, use.idx) for use in value.uses()]
    if value.is_graph_output() and value.graph is not None:
        results = enumerate(value.graph.outputs)
        found += [Use(value.graph, index) for index, result in results if result is value]
    return found


def branches_of(node: ir.Node) -> tuple[ir.Graph, ...]:
    """Both branches of an If, or nothing for any other node."""
    if node.domain or node.op_type != "If" or any(b not in node.attributes for b in _BRANCHES):
        return ()
    return tuple(node.attributes[name].as_graph() for name in _BRANCHES)


class Branches:
    """Which graphs of a model are branches.

    A value of the graph around a branch is the same inside: a node that reads it there reads what a
    node beside the If would read. Of the bodies of loops, of functions and of other operators
    nothing is said.

    Args:
        model: The model.
    """

    def __init__(self, model: ir.Model) -> None:
        self._main = model.graph
        self._nodes: dict[ir.Graph, ir.Node] = {}
        for node in model.graph.all_nodes():
            self._nodes.update(dict.fromkeys(branches_of(node), node))

    def node_of(self, graph: ir.Graph | ir.Function | None) -> ir.Node | None:
        """The If of which ``graph`` is a branch, or None where it is not one."""
        return self._nodes.get(graph) if isinstance(graph, ir.Graph) else None

    def is_within(self, node: ir.Node, graph: ir.Graph | None) -> bool:
        """True for a node of ``graph``, or of branches in it at any depth."""
        here = node.graph
        while here is not graph:
            outer = self.node_of(here)
            if outer is None:
                return False
            here = outer.graph
        return True

    def place(self, node: ir.Node) -> str:
        """Where ``node`` stands, in words that follow its name; ``""`` in the main graph."""
        if node.graph is self._main:
            return ""
        outer = self.node_of(node.graph)
        if outer is None:
            return " in a nested graph"
        name = _BRANCHES[branches_of(outer).index(node.graph)]
        return f" in {name} of If {outer.name}"
