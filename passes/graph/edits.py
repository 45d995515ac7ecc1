"""Linear changes of constants: what recentring and scaling do to a weight."""

from __future__ import annotations

from typing import Protocol

import numpy as np

__all__ = ["Centring", "Edit", "Scale"]


class Edit(Protocol):
    """A linear change of a constant, applied to float64 blocks."""

    def couples(self, axis: int) -> bool:
        """True where entries along ``axis`` depend on each other."""

    def apply(self, block: np.ndarray, axis: int, start: int) -> np.ndarray:
        """The changed block, which begins at entry ``start`` of ``axis``."""

    def resized(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the changed constant."""


class Centring:
    """Subtract the mean over the features: v becomes C v, C = I - (1/d) 1 1^T.

    Args:
        axis: Axis of the constant that holds the features.
        size: Number of features d.
        inner: Neighbouring entries that share a feature (see FeatureAxis).
    """

    def __init__(self, axis: int, size: int, inner: int = 1) -> None:
        self.axis, self.size, self.inner = axis, size, inner

    def couples(self, axis: int) -> bool:
        """True on the feature axis."""
        return axis == self.axis

    def apply(self, block: np.ndarray, axis: int, start: int) -> np.ndarray:
        """C applied to each run of d features."""
        shape = block.shape
        split = (*shape[: self.axis], -1, self.size, self.inner, *shape[self.axis + 1 :])
        parts = block.reshape(split)
        centred: np.ndarray = parts - parts.mean(axis=self.axis + 1, keepdims=True)
        return centred.reshape(shape)

    def resized(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The same shape."""
        return shape


class Scale:
    """Multiply by one float64 factor for each entry of an axis: diag(f) W or W diag(f)."""

    def __init__(self, axis: int, factors: np.ndarray) -> None:
        self.axis, self.factors = axis, np.asarray(factors, dtype=np.float64)

    def couples(self, axis: int) -> bool:
        """Never: each entry is scaled by itself."""
        return False

    def apply(self, block: np.ndarray, axis: int, start: int) -> np.ndarray:
        """The block, scaled."""
        factors = self.factors
        if axis == self.axis:
            factors = factors[start : start + block.shape[axis]]
        return block * factors.reshape([-1 if i == self.axis else 1 for i in range(block.ndim)])

    def resized(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The same shape."""
        return shape
