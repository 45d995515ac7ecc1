"""Refuses numbers in attributes over which inference of the onnx package ends the process.

They were found by giving each integer attribute of each operator numbers far from its own.
"""

from __future__ import annotations

__all__ = ["check_attributes"]

from collections.abc import Iterable

import onnx

from graphopt.errors import ModelError

_ONNX_DOMAIN = ("", "ai.onnx")


def check_attributes(nodes: Iterable[onnx.NodeProto]) -> None:
    """Check the nodes of a graph or function, and hide the axis of LayerNormalization.

    That axis is not compared with the rank, which is not known before inference; for its first
    result inference does not need it. The passes read it from the model, not from here.

    Args:
        nodes: Nodes that are given to inference; changed by this.

    Raises:
        ModelError: Names a node and its attribute.
    """
    for node in nodes:
        if node.domain not in _ONNX_DOMAIN:
            continue
        for index, attribute in enumerate(node.attribute):
            number, results = attribute.i, len(node.output)
            match node.op_type, attribute.name:
                case "LayerNormalization", "axis":
                    del node.attribute[index]
                    break
                case "GatherND", "batch_dims" if number < 0:
                    raise ModelError(
                        f"{_words(node)} has {number} batch_dims, fewer than none: export the "
                        "model again"
                    )
                case "Split", "num_outputs" if number != results:
                    raise ModelError(
                        f"{_words(node)} has {results} results, and num_outputs {number}: export "
                        "the model again"
                    )


def _words(node: onnx.NodeProto) -> str:
    return f"{node.op_type} {node.name or node.output[0]!r}"
