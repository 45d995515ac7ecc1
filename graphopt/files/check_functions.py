"""Refuses models whose local functions cannot be inlined."""

from __future__ import annotations

__all__ = ["check_calls", "check_functions"]

import collections
import graphlib
from collections.abc import Iterable, Iterator

import onnx_ir as ir

from graphopt.errors import ModelError

_MOST_NODES = 100_000
_MOST_STEPS = 10_000_000
_LONGEST_CHAIN = 100


def check_calls(model: ir.Model) -> None:
    """Check that inlining the functions of a model ends, soon and in a graph of bounded size.

    A few hundred bytes can double at each of fifty levels, and whoever infers shapes or runs the
    model walks through every call. The inliner also looks for a free name for each copy of a value
    among those of the copies before it, so its steps grow with the square of their number.

    Raises:
        ModelError: A function that calls itself, a chain of calls that is too long, or more nodes
            or calls than are taken.
    """
    inner = {
        identifier: collections.Counter(_calls(function.all_nodes(), model))
        for identifier, function in model.functions.items()
    }
    try:
        ordered = list(graphlib.TopologicalSorter(inner).static_order())
    except graphlib.CycleError as error:
        cycle = " -> ".join(_name(identifier) for identifier in error.args[1])
        raise ModelError(f"function calls are cyclic: {cycle}: export the model again") from error
    chain: dict[ir.OperatorIdentifier, int] = {}
    for identifier in ordered:
        chain[identifier] = 1 + max((chain[called] for called in inner[identifier]), default=0)
        if chain[identifier] > _LONGEST_CHAIN:
            raise ModelError(
                f"function {_name(identifier)} calls through more than {_LONGEST_CHAIN} others: "
                "inline some of them first"
            )
    calls = collections.Counter(_calls(model.graph.all_nodes(), model))
    total = 0
    copies: collections.Counter[str] = collections.Counter()
    for identifier in reversed(ordered):
        for called, times in inner[identifier].items():
            calls[called] += calls[identifier] * times
        for node in model.functions[identifier].all_nodes():
            total += calls[identifier]
            copies[f"node {node.name}"] += calls[identifier]
            for value in node.outputs:
                copies[f"value {value.name}"] += calls[identifier]
        steps = sum(number * (number - 1) // 2 for number in copies.values())
        if total > _MOST_NODES or steps > _MOST_STEPS:
            raise ModelError(
                f"function {_name(identifier)} is called {calls[identifier]} times in all, too "
                "often to be inlined: export the model with fewer or smaller functions"
            )


def _calls(nodes: Iterable[ir.Node], model: ir.Model) -> Iterator[ir.OperatorIdentifier]:
    for node in nodes:
        identifier = node.op_identifier()
        if identifier in model.functions:
            yield identifier


def _name(identifier: ir.OperatorIdentifier) -> str:
    return f"{identifier[0]}.{identifier[1]}"


def check_functions(model: ir.Model) -> None:
    """Check that the functions that a model calls can be inlined.

    Raises:
        ModelError: As :func:`check_calls`, or a function imports another version of an operator
            set than the model, so that its nodes would change their meaning; or a call does not
            fit its function.
    """
    check_calls(model)
    bodies = (*model.graphs(), *model.functions.values())
    called = {node.op_identifier() for body in bodies for node in body}
    for identifier, function in model.functions.items():
        for domain, version in function.opset_imports.items():
            of_model = model.opset_imports.get(domain, version)
            if of_model != version and identifier in called:
                raise ModelError(
                    f"function {_name(identifier)} imports opset {version} of "
                    f"{domain or 'ai.onnx'!r} and the model {of_model}: convert one "
                    "(onnx.version_converter), or export with one opset"
                )
    for body in bodies:
        for node in body:
            called_function = model.functions.get(node.op_identifier())
            if called_function is not None:
                _check_call(node, called_function)


def _check_call(node: ir.Node, function: ir.Function) -> None:
    where = f"node {node.name or next((v.name for v in node.outputs), '')!r} calls function"
    where += f" {function.domain}.{function.name}"
    for kind, given, taken in (
        ("inputs", len(node.inputs), len(function.inputs)),
        ("outputs", len(node.outputs), len(function.outputs)),
    ):
        if given > taken:
            raise ModelError(f"{where} with {given} {kind}, and it has {taken}: export it again")
    for attribute in node.attributes.values():
        if attribute.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS):
            raise ModelError(
                f"{where} with a graph ({attribute.name!r}), which cannot be inlined: inline the "
                "function first"
            )
