"""Ops that carry a stream along: most commute with centring, some only look as if they did.

Each function takes the builder and a tensor and returns the moved tensor, or None where it does not
apply to a tensor of these dimensions.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from tests.random_graphs.builder import Builder
from tests.random_graphs.layouts import LAYOUTS
from tests.random_graphs.norms import layer_norm
from tests.random_graphs.parts import PARTS
from tests.random_graphs.sequences import SEQUENCES
from tests.random_graphs.tensors import Dim, Tensor
from tests.random_graphs.unproved import UNPROVED

__all__ = ["MOVERS", "move", "token_factor"]

Mover = Callable[[Builder, Tensor], Tensor | None]


def move(g: Builder, x: Tensor) -> Tensor:
    moved = g.pick(MOVERS)(g, x)
    return x if moved is None else moved


def identity(g: Builder, x: Tensor) -> Tensor:
    return g.unary(g.pick(["Identity", "Neg", "Dropout"]), x)


def cast(g: Builder, x: Tensor) -> Tensor:
    return g.unary("Cast", x, to=ir.DataType.DOUBLE)


def token_factor(g: Builder, x: Tensor) -> Tensor:
    """One number for each token: the dimensions of x with 1 on the feature axis."""
    one = Dim.static(1)
    dims = x.with_dim(x.axis, one)
    kind = g.below(4)
    if kind == 0:
        return Tensor(g.constant(g.normal(g.pick([[], [1]]))), (), 0)
    if kind == 1:
        return g.input(dims, x.axis)
    if kind == 2:
        shape = [dim.least if dim.is_static and g.chance(50) else 1 for dim in dims]
        return Tensor(g.constant(g.normal(shape)), tuple(map(Dim.static, shape)), x.axis)
    gate = g.unary("Sigmoid", layer_norm(g, x, fused=g.smooth))
    return g.reduce("ReduceMean", gate, x.axis)


def scaled(g: Builder, x: Tensor) -> Tensor:
    op = g.pick(["Mul", "Mul", "Div"])
    factor = token_factor(g, x)
    if op == "Div":
        dims = factor.dims or (Dim.static(1),)
        square = g.node("Mul", [factor, factor], dims, factor.axis)
        factor = g.node("Add", [square, g.constant(0.5)], dims, factor.axis)
    return g.binary(op, x, factor, flip=op == "Mul" and g.chance(30))


def vanishing(g: Builder, x: Tensor) -> Tensor:
    """Adds or subtracts what is broadcast on the feature axis."""
    op = g.pick(["Add", "Sub"])
    return g.binary(op, x, token_factor(g, x), flip=g.chance(30))


def masked(g: Builder, x: Tensor) -> Tensor:
    dims = list(x.dims)
    if g.chance(75):
        dims[x.axis] = Dim.static(1)
    if g.chance(30):
        dims = dims[-2:]
    mask = g.input(dims, draw=lambda s: g.random.random(s) < 0.7, dtype=ir.DataType.BOOL)
    fill = g.constant(g.pick([0.0, 0.0, -2.0, 0.75]))
    if g.chance(20):
        fill = g.constant(g.normal([x.size] + [1] * (x.rank - 1 - x.axis)))
    branches = [mask.value, x.value, fill] if g.chance(50) else [mask.value, fill, x.value]
    return g.node("Where", branches, x.dims, x.axis)


def full_constant(g: Builder, x: Tensor) -> Tensor:
    """Adds a constant with features: a bias or positions."""
    shape = [dim.least if dim.is_static and g.chance(40) else 1 for dim in x.dims]
    shape[x.axis] = x.size
    while shape[0] == 1 and len(shape) > x.rank - x.axis and g.chance(50):
        del shape[0]
    op = g.pick(["Add", "Add", "Sub"])
    return g.binary(op, x, g.constant(g.normal(shape)), flip=g.chance(40))


def counted(g: Builder, x: Tensor) -> Tensor:
    """Divides by the number of entries on some axis, which a Shape tells."""
    one = Dim.static(1)
    shape = g.node("Shape", [x], [Dim.static(x.rank)])
    picked = g.below(x.rank)
    if g.chance(50):
        size = g.node("Gather", [shape, g.constant([picked])], [one])
    else:
        size = g.node("ReduceProd", [shape], [one], keepdims=1)
    number = g.node("Cast", [size], [one], to=ir.DataType.DOUBLE)
    return g.binary("Div", x, number)


def self_centred(g: Builder, x: Tensor) -> Tensor:
    return g.binary("Sub", x, g.reduce("ReduceMean", x, x.axis))


def layer_scale(g: Builder, x: Tensor) -> Tensor:
    shape = [x.size] + [1] * (x.rank - 1 - x.axis)
    return g.binary("Mul", x, g.constant(g.normal(shape)), flip=g.chance(30))


def doubled(g: Builder, x: Tensor) -> Tensor:
    if g.chance(50):
        return g.binary("Add", x, x)
    return g.node("Sum", [x, x, g.unary("Identity", x)], x.dims, x.axis)


MOVERS: list[Mover] = [
    identity,
    full_constant,
    full_constant,
    scaled,
    vanishing,
    masked,
    doubled,
    cast,
    self_centred,
    layer_scale,
    counted,
    *LAYOUTS,
    *PARTS,
    *SEQUENCES,
    *UNPROVED,
]
