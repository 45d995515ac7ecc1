"""Sizes that a graph does not prove: run-time bounds, lies, unknown ranks, loops and branches.

Each function takes the builder and a tensor and returns the result, or None where it does not apply
to a tensor of these dimensions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from tests.random_graphs.builder import Builder
from tests.random_graphs.norms import layer_norm
from tests.random_graphs.tensors import Dim, Tensor

__all__ = ["UNPROVED"]

Maker = Callable[[Builder, Tensor], Tensor | None]


def sliced_at_run_time(g: Builder, x: Tensor) -> Tensor | None:
    """Drops the first entry of an axis, as a caller says."""
    axes = [axis for axis in x.other_axes if x.dims[axis].least >= 2]
    if not axes:
        return None
    axis = g.pick(axes)
    start = g.input([Dim.static(1)], draw=lambda s: np.ones(s, np.int64), dtype=ir.DataType.INT64)
    dim = g.dim([size - 1 for size in x.dims[axis].sizes], static=False)
    bounds = [start, g.constant([(1 << 63) - 1]), g.constant([axis])]
    return g.node("Slice", [x, *bounds], x.with_dim(axis, dim), x.axis)


def falsely_declared(g: Builder, x: Tensor) -> Tensor | None:
    """A value_info that says another size, another symbol, or another rank."""
    if g.smooth:
        return None
    y = g.unary("Neg", x)
    labels: list[int | str] = [dim.label for dim in x.dims]
    axis = g.below(x.rank)
    lies: list[int | str] = [1, x.size + 1, "B", "S"]
    if g.chance(20):
        labels.append(1)
    else:
        labels[axis] = g.pick(lies)
    y.value.type = ir.TensorType(ir.DataType.DOUBLE)
    y.value.shape = ir.Shape(labels)
    g.is_valid = False
    return y


def of_unknown_rank(g: Builder, x: Tensor) -> Tensor | None:
    """Adds an input of which the file says nothing: with the features, or broadcast on them."""
    if g.smooth:
        return None
    dims = list(x.dims) if g.chance(50) else x.with_dim(x.axis, Dim.static(1))
    other = g.input(dims[g.below(x.rank) :] or dims, x.axis)
    other.value.shape = None
    g.is_valid = False
    return g.binary("Add", x, other)


def looped(g: Builder, x: Tensor) -> Tensor | None:
    """A Loop that negates what it carries, norms it, or lets it grow along another axis."""
    if g.smooth or g.in_body:
        return None
    kind = g.below(3)
    axis = g.pick(x.other_axes) if x.other_axes else None
    if kind == 2 and axis is None:
        return None
    trips = 1 + g.below(2)
    names = [g.name("body") for _ in range(3)]
    count, on, state = (
        ir.Value(name=names[0], type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape([])),
        ir.Value(name=names[1], type=ir.TensorType(ir.DataType.BOOL), shape=ir.Shape([])),
        ir.Value(name=names[2], type=ir.TensorType(ir.DataType.DOUBLE)),
    )
    carried = Tensor(state, x.dims, x.axis)
    dims = list(x.dims)
    with g.body() as nodes:
        go = g.node("Identity", [on], [])
        if kind == 0:
            y = g.unary("Neg", carried)
        elif kind == 1:
            y = layer_norm(g, carried, fused=True)
        else:
            assert axis is not None
            y = g.node("Concat", [carried, carried], x.dims, x.axis, axis=axis)
            sizes = [size << trips for size in x.dims[axis].sizes]
            dims[axis] = g.dim(sizes, static=False)
        go.value.type = ir.TensorType(ir.DataType.BOOL)
        y.value.type = ir.TensorType(ir.DataType.DOUBLE)
        go.value.shape = ir.Shape([])
    body = ir.Graph([count, on, state], [go.value, y.value], nodes=nodes, name=g.name("loop"))
    trip = g.constant(np.asarray(trips))
    yes = g.constant(np.asarray(True))
    return g.node("Loop", [trip, yes, x], dims, x.axis, body=body)


def chosen(g: Builder, x: Tensor) -> Tensor | None:
    """An If whose branches give another axis different sizes."""
    if g.smooth or g.in_body or not x.other_axes:
        return None
    axis = g.pick(x.other_axes)
    condition = g.input(
        [], draw=lambda s: np.asarray(g.random.random() < 0.5), dtype=ir.DataType.BOOL
    )
    branches = []
    for name in ("then", "else"):
        with g.body() as nodes:
            if name == "then":
                y = g.node("Concat", [x, x], x.dims, x.axis, axis=axis)
            else:
                y = layer_norm(g, x, fused=True)
            y.value.type = ir.TensorType(ir.DataType.DOUBLE)
            branches.append(ir.Graph([], [y.value], nodes=nodes, name=g.name(name)))
    taken = [bool(arrays[condition.value.name]) for arrays in g.arrays]
    sizes = [s << int(t) for s, t in zip(x.dims[axis].sizes, taken, strict=True)]
    dims = x.with_dim(axis, g.dim(sizes, static=False))
    return g.node("If", [condition], dims, x.axis, then_branch=branches[0], else_branch=branches[1])


def replaceable_sizes(g: Builder, x: Tensor) -> Tensor | None:
    """A Reshape to sizes with a default that a caller replaces."""
    if g.smooth or g.in_body or x.rank < 2:
        return None
    first = g.product(x.dims[:2])
    dims = [first, *x.dims[2:]] if x.axis >= 2 else list(x.dims)
    axis = x.axis - 1 if x.axis >= 2 else x.axis
    sizes = g.constant([dim.least for dim in dims])
    if sizes.producer() is not None:
        return None
    g.inputs.append(sizes)
    for binding, arrays in enumerate(g.arrays):
        arrays[sizes.name] = np.array([dim.sizes[binding] for dim in dims])
    return g.node("Reshape", [x, sizes], dims, axis)


UNPROVED: list[Maker] = [
    sliced_at_run_time,
    falsely_declared,
    of_unknown_rank,
    looped,
    chosen,
    replaceable_sizes,
]
