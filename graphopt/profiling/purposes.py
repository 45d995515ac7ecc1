"""Which nodes of a transformer normalize, add a residual, or add a bias."""

from __future__ import annotations

__all__ = ["NORMALIZATIONS", "Purpose", "purpose_of_operator", "purposes_of"]

from collections.abc import Mapping, Sequence
from typing import Literal

import onnx_ir as ir

from graphopt.profiling.events import Shape
from graphopt.profiling.spelled_norms import is_constant, is_per_feature, spelled_out_norms

Purpose = Literal["normalization", "residual", "bias", "other"]
"""What a node is for. A fused node has one purpose: SkipLayerNormalization, which adds a residual
and perhaps a bias, is ``normalization``; Gemm and BiasGelu, which add a bias, are ``other``."""

NORMALIZATIONS = frozenset(
    {
        "BatchNormalization",
        "CRMSNorm",
        "CRMSNormalization",
        "EmbedLayerNormalization",
        "GroupNorm",
        "GroupNormalization",
        "InstanceNormalization",
        "LayerNorm",
        "LayerNormalization",
        "LpNormalization",
        "MeanVarianceNormalization",
        "RMSNorm",
        "RMSNormalization",
        "SimplifiedLayerNormalization",
        "SkipCRMSNorm",
        "SkipGroupNorm",
        "SkipLayerNorm",
        "SkipLayerNormalization",
        "SkipRMSNorm",
        "SkipSimplifiedLayerNormalization",
    }
)
"""The operators that normalize, of ONNX, ONNX Runtime and graphopt."""


def purpose_of_operator(op_type: str) -> Purpose:
    """The purpose of an operator of which nothing but its type is known."""
    if op_type in NORMALIZATIONS:
        return "normalization"
    return "bias" if op_type == "BiasAdd" else "other"


def purposes_of(
    graph: ir.Graph, shapes: Mapping[ir.Node, Sequence[Shape]]
) -> dict[ir.Node, Purpose]:
    """The purpose of every node of a graph, its subgraphs included.

    1. What is left of a decomposed norm normalizes.
    2. An Add with a stored vector adds a bias.
    3. An Add of two computed values of one shape is a residual sum where one of the two skips a
       branch (has another reader), or where a norm or another such Add reads the sum; never where
       a Softmax reads it. A mask, a position table and the sum of rotated halves are none of these.

    Args:
        graph: The graph that ONNX Runtime runs.
        shapes: The input shapes of each node that ran.
    """
    norms = spelled_out_norms(graph)
    purposes: dict[ir.Node, Purpose] = {}
    sums = []
    for node in graph.all_nodes():
        purposes[node] = "normalization" if node in norms else purpose_of_operator(node.op_type)
        if node in norms or node.op_type != "Add":
            continue
        if any(map(is_per_feature, node.inputs)):
            purposes[node] = "bias"
        elif not any(map(is_constant, node.inputs)) and _are_equal(shapes.get(node, ())):
            sums.append(node)
    purposes.update(dict.fromkeys(_residual(sums, purposes), "residual"))
    return purposes


def _are_equal(shapes: Sequence[Shape]) -> bool:
    return len(shapes) == 2 and shapes[0] == shapes[1] and len(shapes[0]) > 1


def _residual(sums: list[ir.Node], purposes: Mapping[ir.Node, Purpose]) -> list[ir.Node]:
    candidates = set(sums)
    found = []
    for node in sums:
        readers = [use.node for use in node.outputs[0].uses()]
        if any(reader.op_type == "Softmax" for reader in readers):
            continue
        skips = any(len(value.uses()) > 1 for value in node.inputs if value is not None)
        if skips or any(
            purposes[reader] == "normalization" or reader in candidates for reader in readers
        ):
            found.append(node)
    return found
