"""The tensors of a ModelProto, wherever they are."""

from __future__ import annotations

__all__ = ["all_tensors", "byte_count"]

import math
from collections.abc import Iterable, Iterator

import onnx
import onnx_ir as ir

from graphopt.files import check_names


def all_tensors(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Every dense tensor of a model, with words for where it is: branches and functions too."""
    yield from _tensors_of_graph(model.graph)
    for function in model.functions:
        yield from _tensors_of_nodes(function.node)


def _tensors_of_graph(graph: onnx.GraphProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    for tensor in graph.initializer:
        yield f"weight {tensor.name!r}", tensor
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[tuple[str, onnx.TensorProto]]:
    for node in nodes:
        for attribute in node.attribute:
            where = f"attribute {attribute.name!r} of {check_names.describe(node)}"
            if attribute.HasField("t"):
                yield where, attribute.t
            for tensor in attribute.tensors:
                yield where, tensor
        for subgraph in check_names.subgraphs([node]):
            yield from _tensors_of_graph(subgraph)


def byte_count(tensor: onnx.TensorProto) -> int:
    """The bytes that the shape and type of a tensor need."""
    bits: int = math.prod(tensor.dims) * ir.DataType(tensor.data_type).bitwidth
    return (bits + 7) // 8
