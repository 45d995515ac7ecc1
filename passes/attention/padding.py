"""The masks that ONNX Runtime's MultiHeadAttention takes beside queries, keys and values."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from graphopt.passes.attention.heads import Heads
from graphopt.passes.attention.masks import Mask
from graphopt.passes.graph import axes
from graphopt.passes.graph.naming import Names
from graphopt.passes.graph.placing import squeezed, written
from graphopt.passes.graph.sizes import same_dimensions

__all__ = ["PaddingMasks", "fits"]


def fits(mask: Mask, query: Heads, key: Heads) -> bool:
    """True where the kernel adds what the mask adds to the scores.

    It is proved of [B, 1, S, T], or of [B, 1, 1, T] for all queries, with the B and S of the
    queries and the T of the keys, and adds a finite float32.
    """
    if not mask.is_for_all_heads or not math.isfinite(mask.fill):
        return False
    if float(np.float32(mask.fill)) != mask.fill:
        return False
    batch, _, queries, keys = (axes.dimension(mask.condition, axis) for axis in range(4))
    own = [batch, query.length if queries == 1 else queries, keys]
    return same_dimensions(own, [query.batch, query.length, key.length])


class PaddingMasks:
    """Writes the masks of a model for MultiHeadAttention, each once for all layers.

    Args:
        names: Hands out names.
        opset: That of ONNX's operators.
    """

    def __init__(self, names: Names, opset: int) -> None:
        self._names = names
        self._opset = opset
        self._made: dict[tuple[ir.Value, bool, ir.Graph], ir.Value] = {}

    def write(self, mask: Mask, graph: ir.Graph) -> ir.Value:
        """int32 [B, S, T], or [B, T] for all queries: 1 where a key is seen, else 0.

        Args:
            mask: One that ``fits``.
            graph: That of the reader.
        """
        key = (mask.condition, mask.hides, graph)
        if key not in self._made:
            self._made[key] = self._write(mask, graph)
        return self._made[key]

    def _write(self, mask: Mask, graph: ir.Graph) -> ir.Value:
        seen, target = mask.condition, ir.DataType.INT32
        base = str(seen.name)
        if mask.hides:
            seen = written(
                self._names, graph, "Not", [seen], f"{base}.seen", seen.dtype, seen.shape
            )
        whole = (1, 2) if axes.dimension(mask.condition, 2) == 1 else (1,)
        flat = squeezed(self._names, graph, self._opset, seen, f"{base}.joined", *whole)
        name = f"{base}.numbers"
        return written(self._names, graph, "Cast", [flat], name, target, flat.shape, to=target)
