"""What reads a stream without writing it back: raw taps, tolerant readers, wider norms.

Each function takes the builder and a tensor and returns what it read, or None where it does not
apply.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from tests.random_graphs.builder import Builder
from tests.random_graphs.linear import linear
from tests.random_graphs.movers import token_factor
from tests.random_graphs.norms import layer_norm, rms_norm
from tests.random_graphs.sublayers import activation
from tests.random_graphs.tensors import BINDINGS, Dim, Tensor

__all__ = ["READERS", "read"]

Reader = Callable[[Builder, Tensor], Tensor | None]


def read(g: Builder, x: Tensor) -> None:
    """Taps x and makes what was read a graph output."""
    y = g.pick(READERS)(g, x)
    if y is not None:
        g.output(y)


def raw(g: Builder, x: Tensor) -> Tensor:
    return x


def relu(g: Builder, x: Tensor) -> Tensor:
    return activation(g, x)


def squared(g: Builder, x: Tensor) -> Tensor:
    return g.binary("Mul", x, x)


def gram(g: Builder, x: Tensor) -> Tensor | None:
    """x x^T: the stream is the left and the right factor."""
    if x.rank < 2:
        return None
    perm = [*range(x.rank - 2), x.rank - 1, x.rank - 2]
    dims = [*x.dims[:-1], x.dims[-2]]
    return g.node("MatMul", [x, g.transpose(x, perm)], dims, x.rank - 1)


def projected(g: Builder, x: Tensor) -> Tensor:
    return linear(g, x, 2)


def softmax(g: Builder, x: Tensor) -> Tensor:
    """Tolerates centring over exactly the softmax's own axis."""
    axis = x.axis if g.chance(60) else g.below(x.rank)
    return g.unary(g.pick(["Softmax", "LogSoftmax"]), x, axis=axis)


def greatest(g: Builder, x: Tensor) -> Tensor | None:
    """Steps, too: which entry is the greatest, over the features and seldom over another axis."""
    if g.smooth:
        return None
    axis = x.axis if g.chance(75) else g.below(x.rank)
    kind = g.pick(["ArgMax", "ArgMin", "Hardmax", "TopK"])
    dims = x.with_dim(axis, Dim.static(1))
    if kind == "Hardmax":
        return g.unary(kind, x, axis=axis)
    if kind == "TopK":
        inputs = [x, g.constant([1])]
        values, found = g.node_outputs(kind, inputs, [dims, dims], x.axis, axis=axis)
        if g.chance(20):
            g.output(values)
    else:
        found = g.node(kind, [x], dims, x.axis, axis=axis, keepdims=1)
    return g.unary("Cast", found, to=ir.DataType.DOUBLE)


def feature_mean(g: Builder, x: Tensor) -> Tensor:
    return g.reduce(g.pick(["ReduceMean", "ReduceSum"]), x, x.axis, keepdims=g.chance(50))


def feature_part(g: Builder, x: Tensor) -> Tensor:
    dims = x.with_dim(x.axis, Dim.static(2))
    return g.node("Slice", [x, *(g.constant([n]) for n in (0, 2, x.axis))], dims, x.axis)


def normed_on_other_axis(g: Builder, x: Tensor) -> Tensor | None:
    """A norm of the same value over another axis."""
    axes = [axis for axis in x.other_axes if x.dims[axis].is_static and x.dims[axis].least >= 3]
    if not axes:
        return None
    return layer_norm(g, Tensor(x.value, x.dims, g.pick(axes)), fused=g.smooth)


def wider_norm(g: Builder, x: Tensor) -> Tensor | None:
    """Swin's patch merging: neighbouring tokens joined on the feature axis, one norm over both."""
    if not x.is_last or x.rank < 2 or not x.dims[-2].is_static or x.dims[-2].least % 2:
        return None
    pairs, size = x.dims[-2].least // 2, x.size
    wide = (*x.dims[:-2], Dim.static(pairs), Dim.static(2 * size))
    if g.chance(50):
        joined = g.reshape(x, wide, x.rank - 1)
        return None if joined is None else layer_norm(g, joined, fused=g.smooth)
    halves = []
    for start in (0, 1):
        inputs = [x, *(g.constant([n]) for n in (start, 1 << 31, x.rank - 2, 2))]
        dims = [*x.dims[:-2], Dim.static(pairs), x.dims[-1]]
        halves.append(g.node("Slice", inputs, dims, x.rank - 1))
    return layer_norm(g, g.node("Concat", halves, wide, x.rank - 1, axis=-1), fused=g.smooth)


def norm_over_two_axes(g: Builder, x: Tensor) -> Tensor | None:
    """LayerNormalization over the last two axes: not a norm of single tokens."""
    if g.opset < 17 or x.rank < 2 or not all(dim.is_static for dim in x.dims[-2:]):
        return None
    shape = [dim.least for dim in x.dims[-2:]]
    inputs = [x, g.constant(g.normal(shape)), g.constant(g.normal(shape))]
    return g.node("LayerNormalization", inputs, x.dims, x.axis, axis=g.pick([-2, x.rank - 2]))


def norm_with_mean(g: Builder, x: Tensor) -> Tensor | None:
    """LayerNormalization whose Mean output is read."""
    if g.opset < 17 or not x.is_last:
        return None
    dims = [*x.dims[:-1], Dim.static(1)]
    inputs = [x, g.constant(g.normal([x.size])), g.constant(g.normal([x.size]))]
    y, mean = g.node_outputs("LayerNormalization", inputs, [x.dims, dims], x.axis)
    g.output(g.unary("Cast", mean, to=ir.DataType.DOUBLE))
    return y


def through_integers(g: Builder, x: Tensor) -> Tensor | None:
    """Steps: by coincidence no entry changes when x is centred."""
    if g.smooth:
        return None
    tripled = g.binary("Mul", x, g.constant(3.0))
    return g.unary("Cast", g.unary("Cast", tripled, to=ir.DataType.INT64), to=ir.DataType.DOUBLE)


def as_condition(g: Builder, x: Tensor) -> Tensor | None:
    """A step, too."""
    if g.smooth:
        return None
    positive = g.binary("Greater", x, g.constant(0.1))
    return g.node("Where", [positive, g.constant(1.0), g.constant(-1.0)], x.dims, x.axis)


def as_left_factor(g: Builder, x: Tensor) -> Tensor | None:
    if not x.is_last or x.rank < 2:
        return None
    w = g.constant(g.normal((x.size, 3)))
    return g.node("MatMul", [x, w], [*x.dims[:-1], Dim.static(3)], x.axis)


def by_symbolic_operand(g: Builder, x: Tensor) -> Tensor | None:
    """Adds an input whose feature dimension is only known at run time: d at times, 1 at others."""
    if g.smooth:
        return None
    sizes = [x.size if g.chance(50) else 1 for _ in range(BINDINGS)]
    dim = Dim(tuple(sizes), g.name("D"))
    other = g.input(x.with_dim(x.axis, dim), x.axis)
    return layer_norm(g, g.binary("Add", x, other), fused=g.smooth)


def rms(g: Builder, x: Tensor) -> Tensor:
    return rms_norm(g, x)


def gated_norm(g: Builder, x: Tensor) -> Tensor:
    return g.binary("Mul", layer_norm(g, x, fused=g.smooth), token_factor(g, x))


def captured(g: Builder, x: Tensor) -> Tensor:
    """An If whose bodies read the stream, raw or through a norm of their own."""
    condition = g.input(
        [], draw=lambda s: np.asarray(g.random.random() < 0.5), dtype=ir.DataType.BOOL
    )
    graphs = []
    for branch in ("then", "else"):
        with g.body() as nodes:
            kind = -1 if g.smooth else g.below(3)
            if kind < 0:
                y = g.unary("Sigmoid", x)
            elif kind == 0:
                y = g.unary("Identity", x)
            elif kind == 1:
                y = layer_norm(g, x, fused=g.smooth)
            else:
                y = g.binary("Mul", x, g.constant(0.5))
            y.value.type = ir.TensorType(ir.DataType.DOUBLE)
            y.value.shape = ir.Shape([dim.label for dim in x.dims])
            graphs.append(ir.Graph([], [y.value], nodes=nodes, name=g.name(branch)))
    return g.node("If", [condition], x.dims, x.axis, then_branch=graphs[0], else_branch=graphs[1])


READERS: list[Reader] = [
    raw,
    softmax,
    greatest,
    gated_norm,
    relu,
    squared,
    gram,
    projected,
    feature_mean,
    feature_part,
    normed_on_other_axis,
    wider_norm,
    norm_over_two_axes,
    norm_with_mean,
    through_integers,
    as_condition,
    as_left_factor,
    by_symbolic_operand,
    rms,
    captured,
]
