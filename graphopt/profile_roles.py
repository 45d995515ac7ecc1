"""What each node of a transformer is for: normalization, residual sum, bias, product, attention."""

from __future__ import annotations

__all__ = ["ROLES", "Role", "role_of_operator", "roles_of"]

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import onnx_ir as ir

from graphopt.profile_events import Shape
from graphopt.profile_norms import is_constant, is_per_feature, spelled_out_norms

Role = Literal[
    "normalization",
    "residual add",
    "bias add",
    "linear",
    "attention",
    "activation",
    "data movement",
    "rest",
]
ROLES: tuple[Role, ...] = get_args(Role)
"""All roles, in the order of a report.

``normalization`` includes what a fused operator adds before it normalizes (SkipLayerNormalization),
``linear`` and ``activation`` a bias that their operator adds itself (Gemm, BiasGelu). ``attention``
is the fused operator or, where nothing is fused, the Softmax and the products of computed values.
"""

_OPERATORS: dict[Role, str] = {
    "normalization": """
        BatchNormalization CRMSNorm CRMSNormalization EmbedLayerNormalization GroupNorm
        GroupNormalization InstanceNormalization LayerNormalization LpNormalization
        MeanVarianceNormalization RMSNorm RMSNormalization SimplifiedLayerNormalization
        SkipCRMSNorm SkipGroupNorm SkipLayerNormalization SkipRMSNorm
        SkipSimplifiedLayerNormalization""",
    "bias add": "BiasAdd",
    "linear": """
        Conv ConvInteger ConvTranspose DynamicQuantizeMatMul FusedConv FusedGemm Gemm
        MatMulInteger MatMulIntegerToFloat MatMulNBits QGemm QLinearConv QLinearMatMul""",
    "attention": """
        Attention DecoderMaskedMultiHeadAttention GroupQueryAttention MultiHeadAttention
        PackedAttention PackedMultiHeadAttention QAttention QLinearSoftmax RotaryEmbedding
        Softmax""",
    "activation": """
        BiasGelu BiasSplitGelu Elu Erf FastGelu Gelu HardSigmoid HardSwish LeakyRelu Mish PRelu
        QuickGelu Relu Selu Sigmoid Softplus Swish Tanh""",
    "data movement": """
        Cast Concat Expand Flatten Gather GatherElements GatherND Identity MemcpyFromHost
        MemcpyToHost Pad ReorderInput ReorderOutput Reshape ScatterElements ScatterND Shape Slice
        Split Squeeze Tile Transpose Unsqueeze Where""",
}
_ROLE_OF = {name: role for role, names in _OPERATORS.items() for name in names.split()}
_PRODUCTS = ("MatMul", "FusedMatMul")


def role_of_operator(op_type: str) -> Role:
    """The role of an operator of which nothing but its type is known."""
    return "linear" if op_type in _PRODUCTS else _ROLE_OF.get(op_type, "rest")


def roles_of(graph: ir.Graph, shapes: Mapping[ir.Node, Sequence[Shape]]) -> dict[ir.Node, Role]:
    """The role of every node of a graph, its subgraphs included.

    1. An Add with a stored vector adds a bias.
    2. An Add that a Softmax reads adds a mask, and belongs to attention.
    3. Another Add of two computed values of one shape is a residual sum where one of the two skips
       a branch (has another reader), or where a norm or another such Add reads the sum. A position
       table and the sum of rotated halves are neither.
    4. A MatMul with a stored operand is linear; one of two computed values belongs to attention.

    Args:
        graph: The graph that ONNX Runtime runs.
        shapes: The input shapes of each node that ran.
    """
    norms = spelled_out_norms(graph)
    roles: dict[ir.Node, Role] = {}
    sums = []
    for node in graph.all_nodes():
        roles[node] = "normalization" if node in norms else role_of_operator(node.op_type)
        if node in norms:
            continue
        stored = [is_constant(value) for value in node.inputs]
        if node.op_type in _PRODUCTS and not any(stored[:2]):
            roles[node] = "attention"
        elif node.op_type != "Add":
            continue
        elif any(map(is_per_feature, node.inputs)):
            roles[node] = "bias add"
        elif any(use.node.op_type == "Softmax" for use in node.outputs[0].uses()):
            roles[node] = "attention"
        elif not any(stored) and _is_of_one_shape(shapes.get(node, ())):
            sums.append(node)
    for node in _residual(sums, roles):
        roles[node] = "residual add"
    return roles


def _is_of_one_shape(shapes: Sequence[Shape]) -> bool:
    return len(shapes) == 2 and shapes[0] == shapes[1] and len(shapes[0]) > 1


def _residual(sums: list[ir.Node], roles: Mapping[ir.Node, Role]) -> list[ir.Node]:
    candidates = set(sums)
    found = []
    for node in sums:
        readers = [use.node for use in node.outputs[0].uses()]
        skips = any(len(value.uses()) > 1 for value in node.inputs if value is not None)
        if skips or any(
            roles[reader] == "normalization" or reader in candidates for reader in readers
        ):
            found.append(node)
    return found
