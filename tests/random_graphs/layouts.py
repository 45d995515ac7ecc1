"""Ops that move a stream to another layout.

Each function takes the builder and a tensor and returns the moved tensor, or None where it does not
apply to a tensor of these dimensions.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.random_graphs.builder import Builder
from tests.random_graphs.tensors import Dim, Tensor

__all__ = ["LAYOUTS"]

Layout = Callable[[Builder, Tensor], Tensor | None]


def transposed(g: Builder, x: Tensor) -> Tensor | None:
    if x.rank == 1:
        return None
    perm = list(range(x.rank))
    i, j = g.below(x.rank), g.below(x.rank - 1)
    j += j >= i
    perm[i], perm[j] = perm[j], perm[i]
    return g.transpose(x, perm)


def merged(g: Builder, x: Tensor) -> Tensor | None:
    """Reshape or Flatten that merges two axes; merging the feature axis would not keep it whole."""
    pairs = [axis for axis in range(x.rank - 1) if x.axis not in (axis, axis + 1)]
    if not pairs:
        return None
    first = g.pick(pairs)
    dims = [*x.dims[:first], g.product(x.dims[first : first + 2]), *x.dims[first + 2 :]]
    axis = x.axis - (x.axis > first)
    if x.rank == 3 and x.is_last and g.chance(40):
        return g.node("Flatten", [x], dims, axis, axis=g.pick([2, -1]))
    return g.reshape(x, dims, axis)


def unmerged(g: Builder, x: Tensor) -> Tensor | None:
    """Reshape that splits another axis, and at times swaps the parts: Swin's windows."""
    axes = [a for a in x.other_axes if x.dims[a].is_static and x.dims[a].least % 2 == 0]
    if not axes or x.rank > 3:
        return None
    first = g.pick(axes)
    halves = [Dim.static(2), Dim.static(x.dims[first].least // 2)]
    axis = x.axis + (x.axis > first)
    y = g.reshape(x, [*x.dims[:first], *halves, *x.dims[first + 1 :]], axis)
    if y is None or g.chance(50):
        return y
    perm = list(range(y.rank))
    perm[first], perm[first + 1] = first + 1, first
    return g.transpose(y, perm)


def scrambled(g: Builder, x: Tensor) -> Tensor | None:
    """Reshape to swapped sizes without a Transpose: no axis holds the old features any more."""
    axes = [a for a in x.other_axes if x.dims[a].is_static]
    if not axes:
        return None
    other = g.pick(axes)
    dims = list(x.dims)
    dims[other], dims[x.axis] = dims[x.axis], dims[other]
    return g.reshape(x, dims, other)


def unsqueezed(g: Builder, x: Tensor) -> Tensor | None:
    if x.rank > 3:
        return None
    position = g.below(x.rank + 1)
    dims = [*x.dims[:position], Dim.static(1), *x.dims[position:]]
    axis = x.axis + (position <= x.axis)
    if g.chance(30):
        return g.reshape(x, dims, axis)
    return g.node("Unsqueeze", [x, g.constant([position])], dims, axis)


def squeezed(g: Builder, x: Tensor) -> Tensor | None:
    ones = [axis for axis in x.other_axes if x.dims[axis].label == 1]
    if not ones:
        return None
    removed = g.pick(ones)
    dims = [*x.dims[:removed], *x.dims[removed + 1 :]]
    return g.node("Squeeze", [x, g.constant([removed])], dims, x.axis - (removed < x.axis))


def expanded(g: Builder, x: Tensor) -> Tensor | None:
    ones = [axis for axis in x.other_axes if x.dims[axis].label == 1]
    if not ones:
        return None
    dims = x.with_dim(g.pick(ones), Dim.static(2 + g.below(2)))
    return g.node(
        "Expand", [x, g.constant([d.least if d.is_static else 1 for d in dims])], dims, x.axis
    )


LAYOUTS: list[Layout] = [
    transposed,
    merged,
    unmerged,
    unsqueezed,
    squeezed,
    expanded,
    scrambled,
]
