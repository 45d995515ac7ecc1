"""Types of maps, as ONNX-ML's ZipMap gives them: the IR has none, so they are kept beside it."""

from __future__ import annotations

__all__ = ["attach", "detach", "keep"]

from collections.abc import Iterator, Mapping

import onnx
import onnx_ir as ir

from graphopt.files import check_names

_META_KEY = "graphopt.map_types"


def detach(proto: onnx.ModelProto) -> dict[str, bytes]:
    """Take the types that have a map in them out of ``proto``: their values have none then.

    Returns:
        Those of the inputs and outputs of the model, serialized, by name.
    """
    ends = (*proto.graph.input, *proto.graph.output)
    found = {info.name: info.type.SerializeToString() for info in ends if _has_map(info.type)}
    for info in _infos(proto.graph):
        if _has_map(info.type):
            info.ClearField("type")
    for function in proto.functions:
        for info in function.value_info:
            if _has_map(info.type):
                info.ClearField("type")
    return found


def keep(model: ir.Model, types: Mapping[str, bytes]) -> None:
    """Let the model, and its copies, keep the types that were taken from its inputs and outputs."""
    if types:
        model.graph.meta[_META_KEY] = dict(types)


def attach(proto: onnx.ModelProto, model: ir.Model) -> None:
    """Give the inputs and outputs of ``proto``, the model serialized, the types that it keeps."""
    types: Mapping[str, bytes] = model.graph.meta.get(_META_KEY, {})
    for info in (*proto.graph.input, *proto.graph.output):
        if info.name in types:
            info.type.ParseFromString(types[info.name])


def _infos(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    yield from (*graph.input, *graph.output, *graph.value_info)
    for subgraph in check_names.subgraphs(graph.node):
        yield from _infos(subgraph)


def _has_map(declared: onnx.TypeProto) -> bool:
    kind = declared.WhichOneof("value")
    if kind == "sequence_type":
        return _has_map(declared.sequence_type.elem_type)
    if kind == "optional_type":
        return _has_map(declared.optional_type.elem_type)
    return bool(kind == "map_type")
