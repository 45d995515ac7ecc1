"""Infers types and sizes strictly, where a size below zero would end the process."""

from __future__ import annotations

__all__ = ["check_sizes"]

import itertools
from collections.abc import Iterator, MutableSequence

import onnx
import onnx.inliner

from graphopt.errors import ModelError
from graphopt.files import check_names
from graphopt.files.check_attributes import check_attributes

_ONNX_DOMAIN = ("", "ai.onnx")

Nodes = MutableSequence[onnx.NodeProto]


def check_sizes(proto: onnx.ModelProto) -> None:
    """Check that strict inference finds no contradiction, and no size below zero.

    Inference computes what a Slice takes of an axis, and of a negative size, such as that of a
    kernel beyond its image, an assertion of the onnx package ends the process. So it is not told
    where Slices start: what is computed by an Identity it does not know. Where that is what
    confuses it, as it may in a list of sizes, it is told after all of the Slices of whose operand
    it knows every size, and none is below zero.

    Args:
        proto: The model, without declared shapes of what it computes.

    Raises:
        ModelError: Names a value and its size.
        onnx.shape_inference.InferenceError: A contradiction.
    """
    hidden = onnx.ModelProto()
    hidden.CopyFrom(proto)
    for nodes in _bodies(hidden):
        check_attributes(nodes)
        _hide_starts(nodes)
    try:
        inferred = _inferred(hidden)
    except onnx.shape_inference.InferenceError:
        inferred = _inferred(_with_safe_starts(hidden))
    _refuse_below_zero(inferred)


def _inferred(proto: onnx.ModelProto) -> onnx.ModelProto:
    return onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True)


def _refuse_below_zero(inferred: onnx.ModelProto) -> None:
    for graph in check_names.graphs(inferred.graph):
        for info in (*graph.value_info, *graph.output):
            for axis, size in enumerate(info.type.tensor_type.shape.dim):
                if size.dim_value < 0:
                    raise ModelError(
                        f"axis {axis} of {info.name!r} has the size {size.dim_value}: export the "
                        "model again"
                    )


def _bodies(proto: onnx.ModelProto) -> Iterator[Nodes]:
    """The nodes of each graph and function, those of nested graphs too."""
    for outer in (proto.graph.node, *(function.node for function in proto.functions)):
        yield outer
        for inner in check_names.subgraphs(outer):
            yield from (graph.node for graph in check_names.graphs(inner))


def _hide_starts(nodes: Nodes) -> None:
    """Put an Identity before the starts of each Slice."""
    slices = [
        index
        for index, node in enumerate(nodes)
        if node.op_type == "Slice" and node.domain in _ONNX_DOMAIN and len(node.input) > 1
    ]
    for index in reversed(slices):  # what is put in front of one moves none before it
        node = nodes[index]
        hidden = f"where the Slice of {node.output[0]} starts"
        nodes.insert(index, onnx.helper.make_node("Identity", [node.input[1]], [hidden]))
        nodes[index + 1].input[1] = hidden


def _with_safe_starts(hidden: onnx.ModelProto) -> onnx.ModelProto:
    """The model with what was hidden of Slices of known sizes, one behind another or not.

    Raises:
        ModelError: Names a value whose size is below zero.
    """
    shown = _without_functions(hidden)
    while True:
        inferred = onnx.shape_inference.infer_shapes(shown)
        _refuse_below_zero(inferred)
        sized = _sized(inferred)
        if not sum(_show_starts(graph.node, sized) for graph in check_names.graphs(shown.graph)):
            return shown


def _without_functions(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its functions in place: what inference finds within them it does not tell."""
    if not proto.functions:
        return proto
    try:
        return onnx.inliner.inline_local_functions(proto)
    except RuntimeError:  # the inliner does not take every model
        return proto


def _sized(inferred: onnx.ModelProto) -> set[str]:
    """Names of values of which every size is known, in each graph that has such a name."""
    known: set[str] = set()
    others: set[str] = set()
    for graph in check_names.graphs(inferred.graph):
        shapes = {
            info.name: info.type.tensor_type.shape.dim
            for info in (*graph.input, *graph.value_info, *graph.output)
        }
        own = {
            name
            for name, sizes in shapes.items()
            if sizes and all(size.HasField("dim_value") for size in sizes)
        }
        own |= {tensor.name for tensor in graph.initializer}
        known |= own
        others |= {*shapes, *(name for node in graph.node for name in node.output)} - own
    return known - others


def _show_starts(nodes: Nodes, sized: set[str]) -> int:
    """Undo what was hidden of Slices of ``sized`` values; returns how many those are."""
    found = 0
    for identity, node in itertools.pairwise(nodes):
        if (identity.op_type, node.op_type) != ("Identity", "Slice") or node.input[0] not in sized:
            continue
        if list(node.input[1:2]) == list(identity.output):
            node.input[1] = identity.input[0]
            found += 1
    return found
