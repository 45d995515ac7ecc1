"""Checks that every name in a graph is produced once and before it can be read."""

from __future__ import annotations

__all__ = ["check_names", "describe", "subgraphs"]

import graphlib
from collections.abc import Iterable, Iterator

import onnx

from graphopt.errors import ModelError


def check_names(model: onnx.ModelProto) -> None:
    """Check the main graph, its subgraphs and the model-local functions.

    A graph whose nodes are merely out of order passes: a sort mends it.

    Raises:
        ModelError: A value that nothing produces, one that is produced twice, or a cycle.
    """
    _check_graph(model.graph, frozenset())
    for function in model.functions:
        where = f"function {function.name!r}"
        _check_body(function.node, list(function.input), function.output, frozenset(), where)


def _check_graph(graph: onnx.GraphProto, outer: frozenset[str]) -> None:
    if graph.sparse_initializer:
        raise ModelError(
            f"graph {graph.name!r} holds sparse initializers, which are not supported: "
            "make them dense first"
        )
    inputs = [value.name for value in graph.input]
    # An initializer may give an input its default value; only then is one name on both lists.
    constants = [tensor.name for tensor in graph.initializer]
    _check_unique(inputs, f"the inputs of graph {graph.name!r}")
    _check_unique(constants, f"the initializers of graph {graph.name!r}")
    sources = list(dict.fromkeys([*inputs, *constants]))
    outputs = [value.name for value in graph.output]
    _check_body(graph.node, sources, outputs, outer, f"graph {graph.name!r}")


def _check_unique(names: Iterable[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ModelError(f"{name!r} appears twice among {where}: export the model again")
        seen.add(name)


def _check_body(
    nodes: Iterable[onnx.NodeProto],
    sources: list[str],
    outputs: Iterable[str],
    outer: frozenset[str],
    where: str,
) -> None:
    nodes = list(nodes)
    producer: dict[str, int] = dict.fromkeys(sources, -1)
    for index, node in enumerate(nodes):
        for name in filter(None, node.output):
            if name in producer:
                raise ModelError(
                    f"value {name!r} of {where} is produced twice, the second time by "
                    f"{describe(node)}: export the model again"
                )
            producer[name] = index
    visible = outer | producer.keys()
    for node in nodes:
        for name in filter(None, node.input):
            if name not in visible:
                raise ModelError(
                    f"{describe(node)} of {where} reads {name!r}, which nothing produces: "
                    "export the model again"
                )
        for subgraph in subgraphs([node]):
            _check_graph(subgraph, visible)
    for name in outputs:
        if name not in visible:
            raise ModelError(
                f"nothing produces {name!r}, an output of {where}: export the model again"
            )
    _check_acyclic(nodes, producer, where)


def _check_acyclic(nodes: list[onnx.NodeProto], producer: dict[str, int], where: str) -> None:
    reads = {
        index: {producer[name] for name in _reads(node) if producer.get(name, -1) >= 0}
        for index, node in enumerate(nodes)
    }
    if all(source < index for index, sources in reads.items() for source in sources):
        return
    try:
        graphlib.TopologicalSorter(reads).prepare()
    except graphlib.CycleError as error:
        cycle = " -> ".join(describe(nodes[index]) for index in error.args[1])
        raise ModelError(f"{where} is cyclic: {cycle}: export the model again") from error


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """Names that a node reads, with those that its subgraphs capture.

    A name that a subgraph gives to a value of its own is that value there, whatever has the name
    outside.
    """
    yield from node.input
    for subgraph in subgraphs([node]):
        own = {value.name for value in (*subgraph.input, *subgraph.initializer)}
        own.update(name for inner in subgraph.node for name in inner.output)
        captured = [name for inner in subgraph.node for name in _reads(inner)]
        captured += [value.name for value in subgraph.output]
        yield from (name for name in captured if name not in own)


def subgraphs(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.GraphProto]:
    """The graphs that are attributes of ``nodes``, not those within them."""
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield attribute.g
            yield from attribute.graphs


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and all graphs within it."""
    yield graph
    for subgraph in subgraphs(graph.node):
        yield from graphs(subgraph)


def describe(node: onnx.NodeProto) -> str:
    """Name a node by operator and name (or first output, where it has no name)."""
    return f"{node.op_type} {node.name or next(iter(node.output), '')!r}"
