"""Checks operators, attributes and types with the onnx package, without the weights."""

from __future__ import annotations

__all__ = ["check_types"]

import re

import onnx
import onnx_ir as ir

from graphopt.errors import ModelError
from graphopt.files import check_names, check_sizes, external_data, map_types
from graphopt.files.root_cause import root_cause

# ONNX Runtime takes these in ONNX's own domain at any opset, and its optimizer writes them there.
_RUNTIME_OPERATORS = frozenset({"LayerNormalization", "SimplifiedLayerNormalization"})
_RUNTIME_DOMAIN = "com.microsoft"


def check_types(model: ir.Model) -> None:
    """Check ``model`` against the operator schemas and by strict type and shape inference.

    Shapes that the file declares for intermediate values and outputs are ignored: exporters get
    them wrong, and ONNX Runtime only warns. Operators of other domains are taken as they are.

    Raises:
        ModelError: Names what the onnx package found.
    """
    try:
        proto = _without_weights(model)
    except (ir.serde.SerdeError, NotImplementedError, ValueError, TypeError) as error:
        raise ModelError(
            f"the model cannot be represented ({root_cause(error)}): export the model again"
        ) from error
    shapeless = [
        info.type.tensor_type
        for info in (*proto.graph.input, *proto.graph.output)
        if info.type.HasField("tensor_type") and not info.type.tensor_type.HasField("shape")
    ]
    try:
        # The checker asks for a shape, of any rank, where inference takes none for "unknown".
        for tensor_type in shapeless:
            tensor_type.shape.SetInParent()
        onnx.checker.check_model(proto)
        for tensor_type in shapeless:
            tensor_type.ClearField("shape")
        _forget_declared_shapes(proto)
        check_sizes.check_sizes(proto)
    except (
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
        ValueError,  # of a type that does not exist
    ) as error:
        raise ModelError(
            f"the graph is invalid: {_one_line(error)}: export the model again"
        ) from error


def _without_weights(model: ir.Model) -> onnx.ModelProto:
    """The model with weights in files as inputs: a check needs their types and shapes alone."""
    proto = ir.to_proto(model)
    map_types.attach(proto, model)
    for infos in (proto.graph.output, proto.graph.value_info):
        for info in [info for info in infos if not info.HasField("type")]:
            infos.remove(info)  # the runtime infers its type
    given = {info.name for info in proto.graph.input}
    for graph in check_names.graphs(proto.graph):
        tensors = list(graph.initializer)
        in_files = [tensor for tensor in tensors if external_data.is_external(tensor)]
        if in_files:
            kept = [tensor for tensor in tensors if not external_data.is_external(tensor)]
            del graph.initializer[:]
            graph.initializer.extend(kept)
        for tensor in in_files:
            if tensor.name not in given:
                # A subgraph reads this input as it reads any value of the graph around it.
                proto.graph.input.append(
                    onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
                )
    _move_runtime_operators(proto)
    return proto


def _forget_declared_shapes(proto: onnx.ModelProto) -> None:
    for info in proto.graph.input:
        for size in info.type.tensor_type.shape.dim:
            if size.dim_value < 0:  # how some exporters spell unknown
                size.ClearField("value")
    for graph in check_names.graphs(proto.graph):
        del graph.value_info[:]
        for info in graph.output:
            if info.type.HasField("tensor_type"):
                info.type.tensor_type.ClearField("shape")


def _move_runtime_operators(proto: onnx.ModelProto) -> None:
    opset = next(entry.version for entry in proto.opset_import if entry.domain == "")
    moved = [
        node
        for graph in check_names.graphs(proto.graph)
        for node in graph.node
        if node.op_type in _RUNTIME_OPERATORS
        and node.domain == ""
        and not onnx.defs.has(node.op_type, opset)
    ]
    for node in moved:
        node.domain = _RUNTIME_DOMAIN
    if moved and all(entry.domain != _RUNTIME_DOMAIN for entry in proto.opset_import):
        proto.opset_import.add(domain=_RUNTIME_DOMAIN, version=1)


def _one_line(error: Exception) -> str:
    """The checker's message without its line breaks, context headings and repeated prefixes."""
    text = re.sub(
        r"\[(Type|Shape)InferenceError\]|Inference error\(s\):|==> Context:", " ", str(error)
    )
    return " ".join(text.split()).rstrip(".:")
