"""The guard against NaN that exporters write behind Softmax."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph.walking import produced_by

__all__ = ["Guard", "guard_of", "largest_product"]

_LARGEST_SCORE = 1e30


@dataclasses.dataclass(frozen=True)
class Guard:
    """Where(IsNaN(p), filler, p) with p = Softmax(s).

    Attributes:
        node: The Where.
        test: The IsNaN.
        softmax: What p is computed by.
        weights: p.
        filler: What stands in place of NaN.
    """

    node: ir.Node
    test: ir.Node
    softmax: ir.Node
    weights: ir.Value
    filler: ir.Value


def guard_of(node: ir.Node) -> Guard | None:
    """The guard that ``node`` is, with IsNaN or its negation; None where it is none."""
    if node.graph is None or node.op_type != "Where" or node.domain:
        return None
    condition, filler, kept = node.inputs
    if (negation := produced_by(condition, "Not")) is not None:
        filler, kept = kept, filler
        condition = negation.inputs[0]
    test, softmax = produced_by(condition, "IsNaN"), produced_by(kept, "Softmax")
    if test is None or test.inputs[0] is not kept or softmax is None or kept is None:
        return None
    if filler is None or not _is_scalar(filler, kept):
        return None
    return Guard(node, test, softmax, kept, filler)


def largest_product(dtype: ir.DataType) -> float:
    """What the entries of a product of matrices are taken not to exceed."""
    if dtype == ir.DataType.FLOAT16:
        return float(np.finfo(np.float16).max)
    return _LARGEST_SCORE


def _is_scalar(filler: ir.Value, kept: ir.Value) -> bool:
    """True for one entry, which gives the result no more axes than ``kept`` has."""
    if filler.shape is None or any(dim != 1 for dim in filler.shape):
        return False
    # Softmax has at least one axis.
    return len(filler.shape) <= (1 if kept.shape is None else max(1, len(kept.shape)))
