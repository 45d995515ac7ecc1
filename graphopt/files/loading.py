"""Reads an ONNX file into the IR, checks it, and leaves its weights in their file."""

from __future__ import annotations

__all__ = ["Source", "load", "source_of"]

import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
import onnx_ir as ir

from graphopt.errors import EnvironmentFailure, ModelError
from graphopt.files import (
    check_names,
    check_quantized,
    check_tensors,
    check_types,
    external_data,
    map_types,
    parsing,
)
from graphopt.files.check_functions import check_calls
from graphopt.files.check_references import check_references
from graphopt.files.file_tensor import FileTensor, location_of
from graphopt.files.root_cause import root_cause

_META_KEY = "graphopt.source"
_OLDEST_OPSET = 7
"""Below it Add and Mul broadcast by an attribute, and ONNX Runtime does not run the model."""
_UNNAMED_OPSET = 21
"""The opset of a file that imports none of ONNX: all supported releases of ONNX Runtime have it."""
_RUNTIME_DOMAIN = "com.microsoft"


@dataclasses.dataclass(frozen=True)
class Source:
    """The files that a model was loaded from.

    Attributes:
        path: The model file, as it was given.
        data_files: Real paths of the files that hold its external weights.
    """

    path: Path
    data_files: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.stat().st_size for file in (self.path, *self.data_files))


def source_of(model: ir.Model) -> Source | None:
    """The files that ``model`` was loaded from, or None for a model made in memory."""
    source: Source | None = model.graph.meta.get(_META_KEY)
    return source


def load(path: str | os.PathLike[str]) -> ir.Model:
    """Load and check a model; its weights stay in their files until they are read.

    Raises:
        ModelError: The file is no ONNX file, is damaged or incomplete, or holds a model that is
            invalid, quantized, or newer than the installed onnx package.
        EnvironmentFailure: The file cannot be read.
    """
    path = Path(path)
    try:
        proto = parsing.read(path)
        _check_tensors(proto, path)
        data_files = _place_weights(proto, path)
    except OSError as error:
        raise EnvironmentFailure(
            f"{error.filename or path}: cannot be read ({error.strerror or error}): check its "
            "permissions and the disk"
        ) from error
    try:
        model = _checked(proto)
    except ModelError as error:
        raise type(error)(f"{path}: {error}") from error
    model.graph.meta[_META_KEY] = Source(path, data_files)
    return model


def _check_tensors(proto: onnx.ModelProto, path: Path) -> None:
    try:
        check_tensors.check_tensors(proto)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _place_weights(proto: onnx.ModelProto, path: Path) -> tuple[Path, ...]:
    """Give each external weight its real path, and read those that are node attributes."""
    files: set[Path] = set()
    nodes = [node for function in proto.functions for node in function.node]
    for place, tensors in (
        (_refer, _initializers(proto.graph)),
        (_inline, _attributes([*proto.graph.node, *nodes])),
    ):
        for tensor in filter(external_data.is_external, tensors):
            file, offset, length = external_data.locate(tensor, path)
            files.add(file)
            place(tensor, file, offset, length)
    return tuple(sorted(files - {path.resolve()}))


def _initializers(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for subgraph in check_names.subgraphs(graph.node):
        yield from _initializers(subgraph)


def _attributes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
        for subgraph in check_names.subgraphs([node]):
            yield from _attributes(subgraph.node)


def _refer(tensor: onnx.TensorProto, file: Path, offset: int, length: int) -> None:
    del tensor.external_data[:]
    for key, value in (("location", location_of(file)), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))


def _inline(tensor: onnx.TensorProto, file: Path, offset: int, length: int) -> None:
    with file.open("rb") as data:
        data.seek(offset)
        tensor.raw_data = data.read(length)
    del tensor.external_data[:]
    tensor.ClearField("data_location")


def _checked(proto: onnx.ModelProto) -> ir.Model:
    _check_versions(proto)
    if proto.training_info:
        raise ModelError("holds training information: export the model for inference")
    check_names.check_names(proto)
    check_references(proto)
    types = map_types.detach(proto)
    try:
        model = ir.from_proto(proto)
    except (ir.serde.SerdeError, NotImplementedError, ValueError, TypeError) as error:
        raise ModelError(
            f"the model cannot be represented ({root_cause(error)}): export the model again"
        ) from error
    map_types.keep(model, types)
    for graph in model.graphs():
        graph.sort()
        for value in graph.initializers.values():
            tensor = value.const_value
            if tensor is not None:
                value.shape = ir.Shape(tensor.shape.numpy())  # whatever the file declares
                if not value.is_graph_input():
                    value.type = ir.TensorType(tensor.dtype)
            if isinstance(tensor, ir.ExternalTensor):
                value.const_value = _in_file(tensor)
    check_calls(model)
    check_quantized.refuse_quantized(model)
    check_types.check_types(model)
    return model


def _in_file(tensor: ir.ExternalTensor) -> FileTensor:
    return FileTensor(
        tensor.location,
        tensor.offset,
        tensor.length,
        tensor.dtype,
        shape=tensor.shape,
        name=tensor.name,
        doc_string=tensor.doc_string,
        metadata_props=dict(tensor.metadata_props),
    )


def _check_versions(proto: onnx.ModelProto) -> None:
    if proto.ir_version > onnx.IR_VERSION:
        raise ModelError(
            f"IR version {proto.ir_version} is newer than onnx {onnx.__version__} knows "
            f"({onnx.IR_VERSION}): install a newer onnx"
        )
    for entry in proto.opset_import:
        if entry.domain == "ai.onnx":
            entry.domain = ""  # the same domain by its short name, as the IR has it
    if not proto.opset_import:
        raise ModelError("imports no ONNX opset (truncated?): export the model again")
    _import_what_is_used(proto)
    imports = {entry.domain: entry.version for entry in proto.opset_import}
    newest = onnx.defs.onnx_opset_version()
    if imports[""] > newest:
        raise ModelError(
            f"opset {imports['']} is newer than onnx {onnx.__version__} knows ({newest}): "
            "install a newer onnx, or export with a lower opset"
        )
    if imports[""] < _OLDEST_OPSET:
        raise ModelError(
            f"opset {imports['']} is older than {_OLDEST_OPSET}: export with a newer opset"
        )


def _import_what_is_used(proto: onnx.ModelProto) -> None:
    """Import ONNX's own operators and ONNX Runtime's, where a file has them without an import.

    ONNX Runtime takes such a file, each domain at the newest version that it knows. What is
    optimized may need operators of ONNX that the file has none of.
    """
    imported = {entry.domain for entry in proto.opset_import}
    used = {node.domain for graph in _graphs(proto.graph) for node in graph.node}
    if "" not in imported:
        proto.opset_import.add(domain="", version=_UNNAMED_OPSET)
    if _RUNTIME_DOMAIN in used - imported:
        proto.opset_import.add(domain=_RUNTIME_DOMAIN, version=1)


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for subgraph in check_names.subgraphs(graph.node):
        yield from _graphs(subgraph)
