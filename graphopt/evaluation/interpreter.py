"""Walks an onnx_ir graph in order, one kernel call a node."""

from __future__ import annotations

__all__ = ["evaluate"]

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from graphopt.evaluation.calls import Array, Call, EvaluationFailed, Kernel, UnsupportedOperator
from graphopt.evaluation.fallback import evaluate_with_onnx_reference
from graphopt.evaluation.operators import KERNELS
from graphopt.evaluation.tensors import read_tensor

_OLDEST_OPSET = 7  # before it, broadcasting was an attribute


def evaluate(
    model: ir.Model, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None
) -> dict[str, Array]:
    """Evaluate a model with numpy, in the types that the model itself declares.

    Norms and softmax compute in float64 on float64 inputs, whatever ``stash_type`` says.

    Memory: a value is held from its producer to its last reader, an initializer from its first
    reader to its last, so the peak is the live set at the widest place of the graph plus the
    temporaries of one kernel (the largest is Conv's: input channels x kernel x output positions
    of one sample). External data is read as it is needed, and released.

    Args:
        model: The model; it is not changed. Its nodes must be in topological order.
        inputs: One array for each graph input, by name. Inputs that are also initializers may be
            left out.
        outputs: Names of the values wanted, any value of the main graph; by default the graph
            outputs. Nodes that they do not depend on are not evaluated.

    Returns:
        The wanted values by name.

    Raises:
        UnsupportedOperator: No kernel is known for a node; the message names node and operator.
        EvaluationFailed: An input is missing, or a kernel failed on the given inputs.
    """
    graph = model.graph
    wanted = list(graph.outputs) if outputs is None else _find_values(graph, outputs)
    unknown = set(inputs) - {value.name for value in graph.inputs}
    if unknown:
        raise EvaluationFailed(
            f"the graph has no input {sorted(unknown)[0]!r}; it has "
            f"{', '.join(repr(value.name) for value in graph.inputs)}"
        )
    given = {
        value: np.asarray(inputs[value.name])
        for value in graph.inputs
        if value.name is not None and value.name in inputs
    }
    interpreter = _Interpreter(model)
    with np.errstate(all="ignore"):
        results = interpreter.run(graph, wanted, _Scope(given, None, {}, model.opset_imports))
    return {value.name or "": array for value, array in zip(wanted, results, strict=True)}


def _find_values(graph: ir.Graph, names: Sequence[str]) -> list[ir.Value]:
    values = {value.name: value for value in graph.inputs}
    values.update(graph.initializers)
    values.update((value.name, value) for node in graph for value in node.outputs)
    missing = [name for name in names if name not in values]
    if missing:
        raise EvaluationFailed(f"the graph has no value {missing[0]!r}")
    return [values[name] for name in names]


@dataclasses.dataclass(frozen=True, slots=True)
class _Scope:
    """The live values of one graph, inside those of the graph that holds it."""

    values: dict[ir.Value, Any]
    parent: _Scope | None
    attributes: Mapping[str, ir.Attr]  # of the function call whose body this is
    opsets: Mapping[str, int]

    def read(self, value: ir.Value, reader: str) -> Any:
        scope: _Scope | None = self
        while scope is not None:
            if value in scope.values:
                return scope.values[value]
            scope = scope.parent
        if value.const_value is None:
            raise EvaluationFailed(f"{reader} reads {value.name!r}, which has no value")
        array = read_tensor(value.const_value)
        self.values[value] = array
        return array


@dataclasses.dataclass(frozen=True, slots=True)
class _Step:
    node: ir.Node
    releases: tuple[ir.Value, ...]  # values that no later node and no output reads


class _Interpreter:
    def __init__(self, model: ir.Model) -> None:
        self._functions = model.functions
        self._plans: dict[tuple[int, tuple[int, ...]], list[_Step]] = {}

    def run(
        self, graph: ir.Graph | ir.Function, wanted: Sequence[ir.Value], scope: _Scope
    ) -> list[Any]:
        for step in self._plan(graph, wanted):
            self._evaluate(step.node, scope)
            for value in step.releases:
                scope.values.pop(value, None)
        return [scope.read(value, "the graph's output") for value in wanted]

    def _plan(self, graph: ir.Graph | ir.Function, wanted: Sequence[ir.Value]) -> list[_Step]:
        """The nodes that the wanted values need, each with the values it is the last to read."""
        key = (id(graph), tuple(map(id, wanted)))
        if key in self._plans:
            return self._plans[key]
        needed = set(wanted)
        steps = []
        for node in reversed(graph):
            if needed.isdisjoint(node.outputs):
                continue
            last_read = {value for value in _values_read(node) if value not in needed}
            needed |= last_read
            unread = (value for value in node.outputs if value not in needed)
            steps.append(_Step(node, (*last_read, *unread)))
        steps.reverse()
        self._plans[key] = steps
        return steps

    def _evaluate(self, node: ir.Node, scope: _Scope) -> None:
        name = node.name or (node.outputs[0].name if node.outputs else "")
        arrays = [
            None if value is None or value.name == "" else scope.read(value, f"node {name!r}")
            for value in node.inputs
        ]
        attributes = {
            key: attribute
            for key, source in node.attributes.items()
            if (attribute := _resolve(source, scope)) is not None
        }
        try:
            results = self._call(node, arrays, attributes, scope)
        except EvaluationFailed:
            raise
        except Exception as error:  # a kernel fed with shapes it cannot take
            shapes = ", ".join(map(_shape, arrays))
            raise EvaluationFailed(
                f"node {name!r} ({node.op_type}) cannot be evaluated on inputs of shape "
                f"{shapes}: {error}"
            ) from error
        for value, result in zip(node.outputs, results, strict=False):
            scope.values[value] = result

    def _call(
        self,
        node: ir.Node,
        arrays: list[Any],
        attributes: dict[str, ir.Attr],
        scope: _Scope,
    ) -> Iterable[Any]:
        function = self._functions.get(node.op_identifier()) if self._functions else None
        if function is not None:
            return self._call_function(function, arrays, attributes)
        version = node.version or scope.opsets.get(node.domain, 1)
        if node.domain == "" and version < _OLDEST_OPSET:
            raise UnsupportedOperator(
                f"node {node.name!r} ({node.op_type}) is of opset {version}; convert the model to "
                f"opset {_OLDEST_OPSET} or newer"
            )

        def run(graph: ir.Graph, positional: Sequence[Any]) -> list[Any]:
            values = dict(zip(graph.inputs, positional, strict=True))
            inner = _Scope(values, scope, scope.attributes, scope.opsets)
            return self.run(graph, graph.outputs, inner)

        values = {name: _value(attribute) for name, attribute in attributes.items()}
        call = Call(node, values, version, run)
        kernel: Kernel = KERNELS.get((node.domain, node.op_type), evaluate_with_onnx_reference)
        results = kernel(call, *arrays)
        if isinstance(results, tuple):
            return tuple(map(_as_value, results))
        return (_as_value(results),)

    def _call_function(
        self, function: ir.Function, arrays: list[Any], attributes: dict[str, ir.Attr]
    ) -> list[Any]:
        defaults = {
            name: attribute
            for name, attribute in function.attributes.items()
            if attribute.value is not None
        }
        values = dict(zip(function.inputs, arrays, strict=False))
        values.update((value, None) for value in function.inputs[len(arrays) :])
        scope = _Scope(values, None, {**defaults, **attributes}, function.opset_imports)
        return self.run(function, function.outputs, scope)


def _as_value(result: Any) -> Any:
    """What a kernel gave: an array, a sequence, which is a list, or None."""
    return result if result is None or isinstance(result, list) else np.asarray(result)


def _shape(value: Any) -> str:
    if value is None or isinstance(value, list):
        return "none" if value is None else f"a sequence of {len(value)}"
    return str(np.shape(value))


def _values_read(node: ir.Node) -> Iterable[ir.Value]:
    """Inputs of a node, and of the nodes in its nested graphs at any depth."""
    yield from (value for value in node.inputs if value is not None)
    for attribute in node.attributes.values():
        if attribute.is_ref():
            continue
        graphs: Sequence[ir.Graph] = ()
        if attribute.type == ir.AttributeType.GRAPH:
            graphs = (attribute.as_graph(),)
        elif attribute.type == ir.AttributeType.GRAPHS:
            graphs = attribute.as_graphs()
        for graph in graphs:
            yield from graph.outputs
            for inner in graph:
                yield from _values_read(inner)


def _resolve(attribute: ir.Attr, scope: _Scope) -> ir.Attr | None:
    if not attribute.is_ref():
        return attribute
    return scope.attributes.get(attribute.ref_attr_name or "")


def _value(attribute: ir.Attr) -> Any:
    if attribute.type == ir.AttributeType.TENSOR:
        return read_tensor(attribute.value)
    return attribute.value
