"""Ops that take, join, repeat and sum entries of the axes beside the features.

Each function takes the builder and a tensor and returns the result, or None where it does not apply
to a tensor of these dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tests.random_graphs.builder import Builder
from tests.random_graphs.tensors import BINDINGS, Dim, Tensor

__all__ = ["PARTS"]

Part = Callable[[Builder, Tensor], Tensor | None]


def _other_axis(g: Builder, x: Tensor, least: int = 1) -> int | None:
    axes = [axis for axis in x.other_axes if x.dims[axis].least >= least]
    return g.pick(axes) if axes else None


def _sizes(x: Tensor, axis: int) -> tuple[int, ...]:
    return x.dims[axis].sizes


_LAST = (1 << 63) - 1
_BEFORE_FIRST = -9999
_RANGES = [
    (1, _LAST, 1),
    (0, -1, 1),
    (0, 1, 1),
    (0, (1 << 31) - 1, 2),
    (-1, _BEFORE_FIRST, -1),
    (0, 3, 1),
    (1, 1 << 31, 1),
]
"""Start, end and step; some end behind the last entry, as ONNX allows."""


def sliced(g: Builder, x: Tensor) -> Tensor | None:
    axis = _other_axis(g, x, least=2)
    if axis is None:
        return None
    size = x.dims[axis]
    start, end, step = g.pick(_RANGES)
    sizes = [
        len(range(s)[slice(start, None if end == _BEFORE_FIRST else end, step)]) for s in size.sizes
    ]
    if 0 in sizes:
        return None
    dim = g.dim(sizes, static=size.is_static or (start, end) == (0, 1))
    inputs = [x, *(g.constant([n]) for n in (start, end, axis))]
    if step != 1 or g.chance(30):
        inputs.append(g.constant([step]))
    return g.node("Slice", inputs, x.with_dim(axis, dim), x.axis)


def gathered(g: Builder, x: Tensor) -> Tensor | None:
    axis = _other_axis(g, x)
    if axis is None:
        return None
    least = x.dims[axis].least
    if g.chance(50):
        index = g.constant(np.asarray(g.below(least)))
        dims = [*x.dims[:axis], *x.dims[axis + 1 :]]
        return g.node("Gather", [x, index], dims, x.axis - (axis < x.axis), axis=axis)
    indices = [g.below(least) for _ in range(2)]
    dims = x.with_dim(axis, Dim.static(2))
    return g.node("Gather", [x, g.constant(indices)], dims, x.axis, axis=axis)


def gathered_nd(g: Builder, x: Tensor) -> Tensor | None:
    """Rows by a list of indices into the first axes, none of them the feature axis."""
    depth = min(x.axis, 2)
    if depth == 0:
        return None
    depth = 1 + g.below(depth)
    rows = [[g.below(x.dims[axis].least) for axis in range(depth)] for _ in range(2)]
    indices = g.constant(np.asarray(rows))
    return g.node("GatherND", [x, indices], [Dim.static(2), *x.dims[depth:]], x.axis - depth + 1)


def split(g: Builder, x: Tensor) -> Tensor | None:
    """Two parts along another axis; the second is dropped, read raw, or swapped with the first."""
    axes = [axis for axis in x.other_axes if x.dims[axis].is_static and x.dims[axis].least >= 2]
    if not axes:
        return None
    axis = g.pick(axes)
    size = x.dims[axis].least
    sizes = [1, size - 1]
    dims = [x.with_dim(axis, Dim.static(s)) for s in sizes]
    parts = g.node_outputs("Split", [x, g.constant(sizes)], dims, x.axis, axis=axis)
    fate = g.below(5)
    if fate == 0:
        return parts[1]
    if fate == 1 and not g.in_body:
        g.output(parts[0])
        return parts[1]
    whole = g.dim([size] * BINDINGS, static=True)
    order = parts if fate == 2 else parts[::-1]
    return g.node("Concat", order, x.with_dim(axis, whole), x.axis, axis=axis)


def concatenated(g: Builder, x: Tensor) -> Tensor | None:
    """With itself, a constant token or a raw input, along another axis."""
    axis = _other_axis(g, x)
    if axis is None:
        return None
    kind = g.below(3)
    if kind == 1 and all(d.is_static for i, d in enumerate(x.dims) if i != axis):
        shape = [1 if i == axis else d.least for i, d in enumerate(x.dims)]
        token = g.constant(g.normal(shape))
        extra: Sequence[int] = [1] * BINDINGS
    elif kind == 2 and g.chance(40):
        token = g.input(x.with_dim(axis, Dim.static(1)), x.axis).value
        extra = [1] * BINDINGS
    else:
        token = (g.unary("Neg", x) if g.chance(50) else x).value
        extra = _sizes(x, axis)
    total = [a + b for a, b in zip(_sizes(x, axis), extra, strict=True)]
    dim = g.dim(total, static=x.dims[axis].is_static)
    parts = [x.value, token] if g.chance(50) else [token, x.value]
    return g.node("Concat", parts, x.with_dim(axis, dim), x.axis, axis=axis)


def padded(g: Builder, x: Tensor) -> Tensor | None:
    """With zeros (commutes) or another number (a constant on the feature axis)."""
    axis = _other_axis(g, x)
    if axis is None:
        return None
    pads = [0] * (2 * x.rank)
    pads[axis + x.rank * g.below(2)] = 1
    inputs = [x, g.constant(pads)]
    if g.chance(50):
        inputs.append(g.constant(0.0 if g.smooth else g.pick([0.0, 1.5])))
    mode = {"mode": "edge"} if g.chance(15) else {}
    dim = g.dim([s + 1 for s in _sizes(x, axis)], static=x.dims[axis].is_static)
    return g.node("Pad", inputs, x.with_dim(axis, dim), x.axis, **mode)


def tiled(g: Builder, x: Tensor) -> Tensor | None:
    axis = _other_axis(g, x)
    if axis is None:
        return None
    dim = g.dim([2 * s for s in _sizes(x, axis)], static=x.dims[axis].is_static)
    repeats = [2 if i == axis else 1 for i in range(x.rank)]
    return g.node("Tile", [x, g.constant(repeats)], x.with_dim(axis, dim), x.axis)


def reduced(g: Builder, x: Tensor) -> Tensor | None:
    axis = _other_axis(g, x)
    if axis is None:
        return None
    op = g.pick(["ReduceMean", "ReduceSum"])
    return g.reduce(op, x, axis, keepdims=g.chance(50))


def resized(g: Builder, x: Tensor) -> Tensor | None:
    """Twice the length of the last axis of [N, d, L] or [N, d, H, W]."""
    if x.axis != 1 or x.rank not in (3, 4):
        return None
    scales = g.constant(np.array([1.0] * (x.rank - 1) + [2.0], dtype=np.float32))
    dim = g.dim([2 * s for s in _sizes(x, x.rank - 1)], static=x.dims[-1].is_static)
    return g.node(
        "Resize",
        [x, None, scales],
        [*x.dims[:-1], dim],
        1,
        mode=g.pick(["nearest", "linear"]),
        coordinate_transformation_mode="half_pixel",
    )


def mixed(g: Builder, x: Tensor) -> Tensor | None:
    """A left factor mixes the tokens: MatMul(A, x), or MatMul(x, A) with the features before."""
    if x.rank < 2:
        return None
    axis = x.rank - 2 if x.is_last else x.rank - 1
    if axis == x.axis or not x.dims[axis].is_static or x.axis < x.rank - 2:
        return None
    size = x.dims[axis].least
    rows = g.pick([size, 1, 2])
    factor = g.constant(
        g.normal((rows, size), scale=size**-0.5).T.copy()
        if not x.is_last
        else g.normal((rows, size), scale=size**-0.5)
    )
    operands = [factor, x.value] if x.is_last else [x.value, factor]
    return g.node("MatMul", operands, x.with_dim(axis, Dim.static(rows)), x.axis)


PARTS: list[Part] = [
    sliced,
    gathered,
    gathered_nd,
    split,
    concatenated,
    padded,
    tiled,
    reduced,
    mixed,
    resized,
]
