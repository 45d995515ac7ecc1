"""Fresh names for new values, and the constants that are registered under them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph import constants
from graphopt.passes.graph.edits import Edit
from graphopt.passes.graph.titles import module_of

__all__ = ["Names", "all_nodes", "node_words"]


def all_nodes(model: ir.Model) -> list[ir.Node]:
    """The nodes of the main graph and of every graph nested in it, in order."""
    return list(model.graph.all_nodes())


def node_words(node: ir.Node) -> str:
    """A node in words: its operator and name, or what it makes where it has no name.

    A name that is no path (``node_MatMul_12``) is followed by the module that it was exported from.
    """
    if node.name:
        module = "" if "/" in node.name else module_of(node)
        return f"{node.op_type} {node.name}" + (f" (in {module})" if module else "")
    made = next((value.name for value in node.outputs if value.name), "nothing")
    return f"the {node.op_type} that makes {made}"


class Names:
    """Hands out names that no value and no node of the model has.

    Args:
        model: The model; new initializers are registered in its main graph, which every nested
            graph sees.
    """

    def __init__(self, model: ir.Model) -> None:
        self._model = model
        self._integers: dict[tuple[int, ...], ir.Value] = {}
        self._taken: set[str | None] = set(model.graph.initializers)
        self._taken.update(value.name for value in model.graph.inputs)
        for graph in [model.graph, *model.graph.subgraphs()]:
            self._taken.update(graph.initializers)
            self._taken.update(value.name for value in graph.inputs)
        for node in all_nodes(model):
            self._taken.add(node.name)
            self._taken.update(value.name for value in node.outputs)

    def fresh(self, base: str) -> str:
        """``base`` itself where it is free, else ``base_1``, ``base_2`` and so on."""
        name, number = base, 0
        while name in self._taken:
            number += 1
            name = f"{base}_{number}"
        self._taken.add(name)
        return name

    def initializer(self, base: str, tensor: ir.TensorProtocol) -> ir.Value:
        """A new constant of the main graph that holds ``tensor``."""
        name = self.fresh(base)
        tensor.name = name
        value = ir.Value(
            name=name,
            type=ir.TensorType(tensor.dtype),
            shape=ir.Shape(tensor.shape.numpy()),
            const_value=tensor,
        )
        self._model.graph.register_initializer(value)
        return value

    def integers(self, *entries: int) -> ir.Value:
        """A constant vector of int64, sizes for example; one for all that ask for the same."""
        if entries not in self._integers:
            name = "sizes." + "_".join(str(entry) for entry in entries)
            tensor = ir.tensor(np.array(entries, dtype=np.int64))
            self._integers[entries] = self.initializer(name, tensor)
        return self._integers[entries]

    def unshared(self, value: ir.Value, base: str) -> ir.Value:
        """``value``, or a copy of it if it is a constant with other readers."""
        tensor = constants.constant_tensor(value)
        if tensor is None or len(value.uses()) == 1:
            return value
        return self.initializer(base, ir.tensor(np.array(tensor.numpy()), dtype=tensor.dtype))

    def edited_copy(self, value: ir.Value, edits: list[Edit], suffix: str) -> ir.Value:
        """A new constant: ``value`` with ``edits``; ``value`` itself stays as it is.

        It is one of the main graph, or, of a constant that a branch gives, one of the branch.
        """
        tensor = constants.constant_tensor(value)
        assert tensor is not None, value.name
        base = f"{value.name}{suffix}"
        changed = constants.edited(tensor, edits, base)
        graph = value.graph
        if value.is_graph_output() and graph is not None and graph is not self._model.graph:
            return self._constant_node(graph, base, changed)
        return self.initializer(base, changed)

    def _constant_node(self, graph: ir.Graph, base: str, tensor: ir.TensorProtocol) -> ir.Value:
        """A constant at the head of ``graph``: the graph may not give a value of another one."""
        name = self.fresh(base)
        node = ir.node(
            "Constant", [], attributes={"value": tensor}, name=self.fresh(f"{name}.node")
        )
        value = node.outputs[0]
        value.name, value.const_value = name, tensor
        value.type, value.shape = ir.TensorType(tensor.dtype), ir.Shape(tensor.shape.numpy())
        if len(graph):
            graph.insert_before(graph[0], node)
        else:
            graph.append(node)
        return value

    def edit(self, value: ir.Value, edits: list[Edit]) -> ir.Value:
        """Change a constant for all its readers; a Constant node becomes an initializer."""
        node = value.producer()
        if node is None:
            tensor = constants.constant_tensor(value)
            assert tensor is not None, value.name
            changed_tensor = constants.edited(tensor, edits, value.name)
            value.const_value = changed_tensor
            value.shape = ir.Shape(changed_tensor.shape.numpy())
            return value
        changed = self.edited_copy(value, edits, "")
        ir.convenience.replace_all_uses_with(value, changed, replace_graph_outputs=True)
        assert node.graph is not None
        node.graph.remove(node, safe=True)
        return changed
