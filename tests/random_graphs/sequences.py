"""Ops that work along the tokens, or write into them at places that all features share.

Each function takes the builder and a tensor and returns the result, or None where it does not apply
to a tensor of these dimensions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.random_graphs.builder import Builder
from tests.random_graphs.tensors import Dim, Tensor

__all__ = ["SEQUENCES"]

Sequence = Callable[[Builder, Tensor], Tensor | None]


def summed(g: Builder, x: Tensor) -> Tensor:
    """Running sums, seldom over the features."""
    axis = g.pick(x.other_axes) if x.rank > 1 and g.chance(85) else x.axis
    flags = {"exclusive": g.below(2), "reverse": g.below(2)}
    return g.node("CumSum", [x, g.constant(np.asarray(axis))], x.dims, x.axis, **flags)


def averaged(g: Builder, x: Tensor) -> Tensor:
    shape = [1] * x.rank
    shape[x.axis] = x.size
    bias = g.constant(g.normal(shape))
    return g.node("Mean", [x, bias] if g.chance(70) else [x, x, g.unary("Neg", x)], x.dims, x.axis)


def kept(g: Builder, x: Tensor) -> Tensor | None:
    """The first token, and some of those behind it."""
    if x.rank < 2:
        return None
    axis = g.pick(x.other_axes)
    condition = np.array([True, *(g.chance(50) for _ in range(x.dims[axis].least - 1))])
    dims = x.with_dim(axis, Dim.static(int(condition.sum())))
    return g.node("Compress", [x, g.constant(condition)], dims, x.axis, axis=axis)


def reversed_(g: Builder, x: Tensor) -> Tensor | None:
    """The first entries of one of the first two axes, as many as the other says."""
    if x.rank < 2:
        return None
    batch, time = (0, 1) if g.chance(50) else (1, 0)
    if not x.dims[batch].is_static or (x.axis < 2 and not g.chance(30)):
        return None
    lengths = [1 + g.below(x.dims[time].least) for _ in range(x.dims[batch].least)]
    axes = {"batch_axis": batch, "time_axis": time}
    return g.node("ReverseSequence", [x, g.constant(lengths)], x.dims, x.axis, **axes)


def scattered_slices(g: Builder, x: Tensor) -> Tensor | None:
    """Two slices of x, written to or added at two places of x."""
    if x.axis == 0 or x.dims[0].least < 2:
        return None
    rows = [[0], [1]] if g.chance(50) else [[1], [0]]
    places = g.constant(np.asarray(rows))
    dims = [Dim.static(2), *x.dims[1:]]
    taken = g.node("GatherND", [x, g.constant(np.asarray([[1], [1]]))], dims, x.axis)
    kind = {"reduction": "add"} if g.opset >= 16 and g.chance(40) else {}
    return g.node("ScatterND", [x, places, taken], x.dims, x.axis, **kind)


def scattered(g: Builder, x: Tensor) -> Tensor | None:
    """A constant token, written to or added at a place that seldom differs between features."""
    if x.rank < 2 or not all(dim.is_static for dim in x.dims):
        return None
    axis = g.pick(x.other_axes)
    shape = [1 if i == axis else dim.least for i, dim in enumerate(x.dims)]
    places = g.random.integers(0, x.dims[axis].least, shape)
    if g.chance(75):
        places = np.broadcast_to(places.take([0], x.axis), shape).copy()
    kind = {"reduction": "add"} if g.opset >= 16 and g.chance(40) else {}
    operands = [x, g.constant(places), g.constant(g.normal(shape))]
    return g.node("ScatterElements", operands, x.dims, x.axis, axis=axis, **kind)


def whole(g: Builder, x: Tensor) -> Tensor:
    """A Slice that keeps all features, by a bound at or behind the last one."""
    bounds = [0 if g.chance(50) else -99, x.size + g.pick([0, 0, 1, 1 << 40]), x.axis]
    return g.node("Slice", [x, *(g.constant([bound]) for bound in bounds)], x.dims, x.axis)


def like(g: Builder, x: Tensor) -> Tensor | None:
    return g.node("CastLike", [x, g.constant(1.0)], x.dims, x.axis) if g.opset >= 15 else None


SEQUENCES: list[Sequence] = [
    summed,
    averaged,
    kept,
    reversed_,
    scattered_slices,
    scattered,
    whole,
    like,
]
