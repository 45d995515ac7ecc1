"""Writes a model and its weights tensor by tensor, in the memory of the largest one."""

from __future__ import annotations

__all__ = ["DATA_SUFFIX", "aligned", "write"]

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnx
import onnx_ir as ir

from graphopt.errors import ModelError
from graphopt.files import check_names, external_data, map_types, wire_format

DATA_SUFFIX = ".data"

_STREAMED_BYTES = 1024
"""Smaller weights stay in the message: ONNX Runtime reads shapes and axes from it."""

_ALIGNMENT = 64
_PAGE = 4096
_PAGE_ALIGNED_BYTES = 1 << 20

# Field numbers of onnx.proto.
_MODEL_GRAPH = 7
_GRAPH_INITIALIZER = 5
_TENSOR_RAW_DATA = 9


def write(model: ir.Model, path: Path, *, external: bool) -> None:
    """Write ``model`` to ``path``, its large weights to ``path``.data if ``external``.

    Lazy tensors are evaluated one at a time and dropped; tensors that lie in a file are copied
    piece by piece. The model is unchanged.

    Raises:
        OSError: A file cannot be written.
        ModelError: A tensor has not the number of bytes that its shape and type need.
    """
    streamed: dict[ir.Value, ir.TensorProtocol] = {}
    stand_ins: dict[ir.Value, ir.TensorProtocol] = {}
    for graph in model.graphs():
        for value in graph.initializers.values():
            tensor = value.const_value
            if tensor is None or tensor.dtype == ir.DataType.STRING:
                continue
            if tensor.nbytes > _STREAMED_BYTES and (external or graph is model.graph):
                streamed[value] = tensor
            elif isinstance(tensor, ir.ExternalTensor):
                stand_ins[value] = ir.Tensor(tensor.numpy().copy(), name=value.name)
    if external:
        references = _write_data(streamed, path.with_name(path.name + DATA_SUFFIX))
        proto = _serialize(model, {**stand_ins, **references})
        path.write_bytes(proto.SerializeToString())
        return
    marks = {value: _reference(value, tensor, "", 0) for value, tensor in streamed.items()}
    proto = _serialize(model, {**stand_ins, **marks})
    tensors = {value.name or "": tensor for value, tensor in streamed.items()}
    _write_inline(proto, tensors, path)


def aligned(position: int, count: int) -> int:
    """The first offset from ``position`` on at which a weight of ``count`` bytes may begin."""
    alignment = _PAGE if count >= _PAGE_ALIGNED_BYTES else _ALIGNMENT
    return -(-position // alignment) * alignment


def _write_data(
    streamed: Mapping[ir.Value, ir.TensorProtocol], path: Path
) -> dict[ir.Value, ir.ExternalTensor]:
    """Write the weights one after the other; one that several initializers share, once."""
    references = {}
    offsets: dict[object, int] = {}
    with path.open("wb") as data:
        for value, tensor in streamed.items():
            bytes_identity = _bytes_identity(tensor)
            if bytes_identity not in offsets:
                offset = aligned(data.tell(), tensor.nbytes)
                data.write(bytes(offset - data.tell()))
                _copy(tensor, data)
                offsets[bytes_identity] = offset
            references[value] = _reference(value, tensor, path.name, offsets[bytes_identity])
    return references


def _write_inline(
    proto: onnx.ModelProto, tensors: Mapping[str, ir.TensorProtocol], path: Path
) -> None:
    """Write ``proto`` with the weights that it marks as external put back where they belong.

    A message is preceded by its length, so the lengths are added up before a byte is written.
    """
    heads: list[bytes] = []
    weights: list[ir.TensorProtocol | None] = []
    for initializer in proto.graph.initializer:
        weight = None
        head = initializer.SerializeToString()
        if external_data.is_external(initializer):
            weight = tensors[initializer.name]
            del initializer.external_data[:]
            initializer.ClearField("data_location")
            raw_data = wire_format.length_tag(_TENSOR_RAW_DATA, weight.nbytes)
            head = initializer.SerializeToString() + raw_data
        length = len(head) + (weight.nbytes if weight else 0)
        heads.append(wire_format.length_tag(_GRAPH_INITIALIZER, length) + head)
        weights.append(weight)
    del proto.graph.initializer[:]
    graph = proto.graph.SerializeToString()
    proto.ClearField("graph")
    length = sum(map(len, heads)) + sum(weight.nbytes for weight in weights if weight)
    with path.open("wb") as file:
        file.write(proto.SerializeToString())
        file.write(wire_format.length_tag(_MODEL_GRAPH, len(graph) + length) + graph)
        for head, weight in zip(heads, weights, strict=True):
            file.write(head)
            if weight is not None:
                _copy(weight, file)


def _serialize(model: ir.Model, stand_ins: Mapping[ir.Value, ir.TensorProtocol]) -> onnx.ModelProto:
    """Serialize ``model`` with other tensors in the place of some of its initializers."""
    originals = {value: value.const_value for value in stand_ins}
    try:
        for value, tensor in stand_ins.items():
            value.const_value = tensor
        proto = ir.to_proto(model)
        map_types.attach(proto, model)
        _keep_positions(model.graph, proto.graph.node)
        for function, written in zip(model.functions.values(), proto.functions, strict=True):
            _keep_positions(function, written.node)
        return proto
    finally:
        for value, original in originals.items():
            value.const_value = original


def _keep_positions(nodes: Iterable[ir.Node], written: Iterable[onnx.NodeProto]) -> None:
    """Write the outputs that are left out at the end of a node, too: some operators count them."""
    for node, proto in zip(nodes, written, strict=True):
        proto.output.extend([""] * (len(node.outputs) - len(proto.output)))
        for graph, inner in zip(_subgraphs(node), check_names.subgraphs([proto]), strict=True):
            _keep_positions(graph, inner.node)


def _subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    for attribute in node.attributes.values():
        if attribute.is_ref():
            continue
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def _reference(
    value: ir.Value, tensor: ir.TensorProtocol, location: str, offset: int
) -> ir.ExternalTensor:
    return ir.ExternalTensor(
        location,
        offset,
        tensor.nbytes,
        tensor.dtype,
        shape=ir.Shape(tensor.shape.numpy()),
        name=value.name or "",
        doc_string=tensor.doc_string,
        metadata_props=dict(tensor.metadata_props),
    )


def _bytes_identity(tensor: ir.TensorProtocol) -> object:
    """Equal for two tensors only where they are the same bytes of a file, or one object."""
    if isinstance(tensor, ir.ExternalTensor):
        return tensor.path, tensor.offset, tensor.nbytes
    return id(tensor)


def _copy(tensor: ir.TensorProtocol, file: BinaryIO) -> None:
    start = file.tell()
    if isinstance(tensor, ir.ExternalTensor):
        tensor.tofile(file)
    else:
        file.write(_little_endian_bytes(tensor))
    if file.tell() - start != tensor.nbytes:
        raise ModelError(
            f"weight {tensor.name!r} has {file.tell() - start} bytes where its shape and type need "
            f"{tensor.nbytes}: report this"
        )


def _little_endian_bytes(tensor: ir.TensorProtocol) -> bytes | memoryview:
    """The tensor's bytes, without a copy where the array in memory has them as they are."""
    array = np.ascontiguousarray(tensor.numpy())
    if sys.byteorder == "little" and array.nbytes == tensor.nbytes:
        return array.reshape(-1).view(np.uint8).data
    return tensor.tobytes()
