"""Refuses sizes below zero, before the onnx package ends the process over one."""

from __future__ import annotations

__all__ = ["check_sizes"]

from collections.abc import Iterator, MutableSequence

import onnx
import onnx.inliner

from graphopt.errors import ModelError
from graphopt.files import check_names

_HIDDEN = "where a Slice starts, hidden by graphopt: "
_ONNX_DOMAIN = ("", "ai.onnx")

Nodes = MutableSequence[onnx.NodeProto]


def check_sizes(proto: onnx.ModelProto) -> None:
    """Check that inference finds no size below zero, such as that of a kernel beyond its image.

    Inference computes what a Slice takes of an axis, and of a negative size an assertion of the
    onnx package ends the process. So it is asked with Slices of which it cannot know where they
    start: behind an Identity it looks for no numbers. A size that turns negative only behind a
    Slice is not found.

    Args:
        proto: The model, without declared shapes of what it computes; as before when this returns.

    Raises:
        ModelError: Names a value and its size.
    """
    bodies = list(_bodies(proto))
    if not sum(_hide(nodes) for nodes in bodies):
        return
    try:
        inferred = onnx.shape_inference.infer_shapes(_without_functions(proto))
    finally:
        for nodes in bodies:
            _show(nodes)
    for graph in check_names.graphs(inferred.graph):
        for info in (*graph.value_info, *graph.output):
            for axis, size in enumerate(info.type.tensor_type.shape.dim):
                if size.dim_value < 0:
                    raise ModelError(
                        f"axis {axis} of {info.name!r} has the size {size.dim_value}: export the "
                        "model again"
                    )


def _without_functions(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its functions in place: what inference finds within them it does not tell."""
    if not proto.functions:
        return proto
    try:
        return onnx.inliner.inline_local_functions(proto)
    except RuntimeError:  # the inliner does not take every model; other checks judge it
        return proto


def _bodies(proto: onnx.ModelProto) -> Iterator[Nodes]:
    """The nodes of each graph and function, those of nested graphs too."""
    for outer in (proto.graph.node, *(function.node for function in proto.functions)):
        yield outer
        for inner in check_names.subgraphs(outer):
            yield from (graph.node for graph in check_names.graphs(inner))


def _hide(nodes: Nodes) -> int:
    """Put an Identity before the starts of each Slice; returns how many."""
    slices = [
        index
        for index, node in enumerate(nodes)
        if node.op_type == "Slice" and node.domain in _ONNX_DOMAIN and len(node.input) > 1
    ]
    for index in reversed(slices):  # what is put in front of one moves none before it
        node = nodes[index]
        hidden = _HIDDEN + node.output[0]
        nodes.insert(index, onnx.helper.make_node("Identity", [node.input[1]], [hidden]))
        nodes[index + 1].input[1] = hidden
    return len(slices)


def _show(nodes: Nodes) -> None:
    """Undo what was hidden."""
    for index in reversed(range(len(nodes))):
        node = nodes[index]
        if node.op_type == "Identity" and node.output[0].startswith(_HIDDEN):
            nodes[index + 1].input[1] = node.input[0]
            del nodes[index]
