"""Gives random operators a seed, so that two models that draw alike can be compared."""

from __future__ import annotations

__all__ = ["random_outputs", "seed_operators"]

import zlib
from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

_DRAW = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform"}
) | {"RandomUniformLike"}
_LARGEST_SEED = 1 << 20
"""Seeds are float attributes: each is a whole number that float32 holds."""


def random_outputs(model: ir.Model) -> frozenset[str]:
    """Names of the values that a random operator without a seed gives."""
    return frozenset(str(node.outputs[0].name) for node in _unseeded(model))


def seed_operators(model: ir.Model) -> None:
    """Seed every unseeded random operator, in place, by the name of what it gives."""
    for node in list(_unseeded(model)):
        seed = zlib.crc32(str(node.outputs[0].name).encode()) % _LARGEST_SEED
        node.attributes["seed"] = (
            ir.AttrInt64("seed", seed)
            if node.op_type == "Dropout"
            else ir.AttrFloat32("seed", float(seed))
        )


def _unseeded(model: ir.Model) -> Iterator[ir.Node]:
    outermost_graphs: list[ir.Graph | ir.Function] = [model.graph, *model.functions.values()]
    for outermost in outermost_graphs:
        for node in outermost.all_nodes():
            is_random = node.op_type in _DRAW or _trains(node)
            if not node.domain and is_random and "seed" not in node.attributes:
                yield node


def _trains(node: ir.Node) -> bool:
    """True where a Dropout drops, or may drop."""
    if node.op_type != "Dropout" or len(node.inputs) < 3 or node.inputs[2] is None:
        return False
    mode = ir.convenience.get_const_tensor(node.inputs[2])
    return mode is None or bool(np.any(mode.numpy()))
