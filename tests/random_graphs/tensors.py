"""Values of a random graph, with the size of every axis."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import onnx_ir as ir

__all__ = ["BINDINGS", "Dim", "Tensor"]

BINDINGS = 2
"""Every symbolic dimension gets this many sizes: a graph is checked at each of them."""


class Dim(NamedTuple):
    """Size of one axis at each binding of the symbolic dimensions.

    ``label`` is what a graph input of this size declares: the static size, or a symbol.
    """

    sizes: tuple[int, ...]
    label: int | str

    @classmethod
    def static(cls, size: int) -> Dim:
        return cls((size,) * BINDINGS, size)

    @property
    def is_static(self) -> bool:
        return isinstance(self.label, int)

    @property
    def least(self) -> int:
        return min(self.sizes)


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A value of the graph; ``axis`` (non-negative) holds its features."""

    value: ir.Value
    dims: tuple[Dim, ...]
    axis: int

    @property
    def rank(self) -> int:
        return len(self.dims)

    @property
    def features(self) -> Dim:
        return self.dims[self.axis]

    @property
    def size(self) -> int:
        """Number of features d."""
        return self.dims[self.axis].least

    @property
    def is_last(self) -> bool:
        return self.axis == self.rank - 1

    @property
    def other_axes(self) -> list[int]:
        return [axis for axis in range(self.rank) if axis != self.axis]

    def with_dim(self, axis: int, dim: Dim) -> list[Dim]:
        """The dimensions with another one on this axis."""
        return [*self.dims[:axis], dim, *self.dims[axis + 1 :]]
