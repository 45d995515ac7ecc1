"""Graphs of norms and GELUs alone, in a row: what their operators cost beside nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

__all__ = ["BLOCKS", "GELUS", "NORMS", "blocks_model", "skip_simplified_layer_norm"]

BLOCKS = 24  # two for each layer of a ViT
EPSILON = 1e-5
STOCK = "com.microsoft"
_TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}


def fused(op_type: str, *operands: str) -> Callable[[int], list[Any]]:
    """One native node."""

    def block(i: int) -> list[Any]:
        inputs = [f"x{i}", f"s{i}", *(f"{name}{i}" for name in operands)]
        return [native(op_type, i, inputs, f"s{i + 1}")]

    return block


def skip_layer_norm(i: int) -> list[Any]:
    """One node of ONNX Runtime, of which the second and third output are left out."""
    inputs = [f"{name}{i}" for name in ("x", "s", "gamma", "beta", "bias")]
    outputs = [f"x{i + 1}", "", "", f"s{i + 1}"]
    return [
        helper.make_node("SkipLayerNormalization", inputs, outputs, domain=STOCK, epsilon=EPSILON)
    ]


def skip_simplified_layer_norm(i: int) -> list[Any]:
    """One node of ONNX Runtime, of which the second and third output are left out."""
    inputs = [f"{name}{i}" for name in ("x", "s", "gamma", "bias")]
    outputs = [f"x{i + 1}", "", "", f"s{i + 1}"]
    op_type = "SkipSimplifiedLayerNormalization"
    return [helper.make_node(op_type, inputs, outputs, domain=STOCK, epsilon=EPSILON)]


def chain(op_type: str, *operands: str) -> Callable[[int], list[Any]]:
    """Two additions and a norm of ONNX Runtime."""

    def block(i: int) -> list[Any]:
        return [
            helper.make_node("Add", [f"x{i}", f"bias{i}"], [f"a{i}"]),
            helper.make_node("Add", [f"a{i}", f"s{i}"], [f"s{i + 1}"]),
            norm(op_type, f"s{i + 1}", i, operands),
        ]

    return block


def norm(op_type: str, x: str, i: int, operands: tuple[str, ...]) -> Any:
    """A norm of ONNX Runtime."""
    inputs = [x, *(f"{name}{i}" for name in operands)]
    return helper.make_node(op_type, inputs, [f"x{i + 1}"], axis=-1, epsilon=EPSILON)


def native(op_type: str, i: int, inputs: list[str], *kept: str) -> Any:
    """A node of the domain graphopt."""
    outputs = [f"x{i + 1}", *kept]
    return helper.make_node(op_type, inputs, outputs, domain="graphopt", epsilon=EPSILON)


def gelu(op_type: str, domain: str, *operands: str) -> Callable[[int], list[Any]]:
    """A GELU of graphopt or ONNX Runtime, with a bias or without."""

    def block(i: int) -> list[Any]:
        inputs = [f"x{i}", *(f"{name}{i}" for name in operands)]
        return [helper.make_node(op_type, inputs, [f"x{i + 1}"], domain=domain)]

    return block


def added_quick_gelu(i: int) -> list[Any]:
    """ONNX Runtime's QuickGelu takes no bias."""
    add = helper.make_node("Add", [f"x{i}", f"bias{i}"], [f"a{i}"])
    return [add, helper.make_node("QuickGelu", [f"a{i}"], [f"x{i + 1}"], domain=STOCK)]


NORMS: dict[str, Callable[[int], list[Any]]] = {
    "SkipRMSNorm": fused("SkipRMSNorm", "gamma", "bias"),
    "Add, Add, SimplifiedLN": chain("SimplifiedLayerNormalization", "gamma"),
    "Add, Add, LN": chain("LayerNormalization", "gamma", "beta"),
    "RMSNorm": lambda i: [native("RMSNorm", i, [f"x{i}", f"gamma{i}"])],
    "SimplifiedLN": lambda i: [norm("SimplifiedLayerNormalization", f"x{i}", i, ("gamma",))],
    "CRMSNorm": lambda i: [native("CRMSNorm", i, [f"x{i}"])],
    "SkipLayerNorm": fused("SkipLayerNorm", "gamma", "beta", "bias"),
    "SkipLN": skip_layer_norm,
    "LayerNorm": lambda i: [native("LayerNorm", i, [f"x{i}", f"gamma{i}", f"beta{i}"])],
    "LN": lambda i: [norm("LayerNormalization", f"x{i}", i, ("gamma", "beta"))],
}
GELUS: dict[str, Callable[[int], list[Any]]] = {
    "bias + Gelu": gelu("Gelu", "graphopt", "bias"),
    "BiasGelu": gelu("BiasGelu", STOCK, "bias"),
    "Gelu": gelu("Gelu", "graphopt"),
    "stock Gelu": gelu("Gelu", STOCK),
    "bias + TanhGelu": gelu("TanhGelu", "graphopt", "bias"),
    "stock bias + FastGelu": gelu("FastGelu", STOCK, "bias"),
    "bias + QuickGelu": gelu("QuickGelu", "graphopt", "bias"),
    "Add, stock QuickGelu": added_quick_gelu,
}


def blocks_model(
    block: Callable[[int], list[Any]], d: int, dtype: str = "float32"
) -> tuple[Any, list[str]]:
    """A model of blocks in a row, on inputs [rows, d].

    A graph has as many blocks in a row as a ViT has norms, so that what a call costs beside its
    kernels counts little, and memory is reused as in a model.

    Args:
        block: Makes the nodes of the block of a number.
        d: Features.
        dtype: Type of all values.

    Returns:
        The ``onnx.ModelProto``, and the names of its inputs.
    """
    rng = np.random.default_rng(0)
    nodes = [node for i in range(BLOCKS) for node in block(i)]
    read = {name for node in nodes for name in node.input}
    made = [name for node in nodes for name in node.output if name]
    inputs = [name for name in ("x0", "s0") if name in read]
    outputs = [name for name in (f"x{BLOCKS}", f"s{BLOCKS}") if name in made]
    values = {
        name: helper.make_tensor_value_info(name, _TYPES[dtype], ["rows", d])
        for name in (*inputs, *made)
    }
    weights = [
        numpy_helper.from_array(rng.normal(1, 0.2, d).astype(dtype), name)
        for name in sorted(read - set(made) - set(inputs))
    ]
    graph = helper.make_graph(
        nodes,
        "blocks",
        [values[name] for name in inputs],
        [values[name] for name in outputs],
        weights,
        value_info=[values[name] for name in made if name not in outputs],
    )
    domains = {"": 17, "graphopt": 1, STOCK: 1}
    opsets = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8), inputs
