"""Bases of the zero-mean subspace: a centred vector of d features as d - 1 numbers.

A centred value v = C v of d features is held as z = E v, with v = D z. Both bases have the form

    D z = scale * [z + a s, b s]                 s = sum(z); d entries, of which b s is the last
    E v = (v_first + a S + b v_last) / scale     S = sum(v_first); v_first: all entries but the last

- ``orthonormal``: Q = sqrt((d - 1) / d) D has orthonormal columns: a Householder reflection that
  sends 1 / sqrt(d) to the last unit vector, its last column dropped. Because of the factor an
  RMSNorm over d - 1 entries with the same epsilon computes RMS(E v) = E RMS(v).
- ``drop`` (arXiv 2305.14858, section 3.2): E drops the last entry, D appends minus the sum of the
  others. CRMS(E v) = E RMS(v) needs the sum of the entries, too.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

__all__ = ["Absorb", "Basis", "Encode"]


@dataclasses.dataclass(frozen=True)
class Basis:
    """A basis of the zero-mean vectors of d features.

    Attributes:
        name: ``"orthonormal"`` or ``"drop"``.
        size: Number of features d.
    """

    name: str
    size: int

    @property
    def scale(self) -> float:
        """The factor of D."""
        return 1.0 if self.name == "drop" else math.sqrt(self.size / (self.size - 1))

    @property
    def to_each(self) -> float:
        """a: how much of the sum D adds to each entry."""
        return 0.0 if self.name == "drop" else -1.0 / (self.size + math.sqrt(self.size))

    @property
    def to_last(self) -> float:
        """b: how much of the sum is the last entry of D z."""
        return -1.0 if self.name == "drop" else -1.0 / math.sqrt(self.size)

    @property
    def from_last(self) -> float:
        """How much of a centred vector's last entry E adds to the others, before it is scaled."""
        return 0.0 if self.name == "drop" else self.to_last - self.to_each

    @property
    def growth(self) -> float:
        """No entry of E C v or D^T A is larger than this many times the largest of v or A.

        |C v| <= 2 |v|, so E takes it to 2 (1 + |from_last|) / scale; the factors of D^T sum up to
        scale (1 + |a| (d - 1) + |b|) = 2 scale in the one basis, and to 2 in the other.
        """
        encoded = 2 * (1 + abs(self.from_last)) / self.scale
        return max(encoded, 2 * self.scale)

    def encode(self, values: np.ndarray, axis: int) -> np.ndarray:
        """E C v along ``axis``: d entries become d - 1."""
        centred = np.moveaxis(values, axis, -1)
        centred = centred - centred.mean(axis=-1, keepdims=True)
        encoded = (centred[..., :-1] + self.from_last * centred[..., -1:]) / self.scale
        return np.moveaxis(encoded, -1, axis)

    def absorb(self, weights: np.ndarray, axis: int) -> np.ndarray:
        """D^T A along ``axis``: what reads d features by A reads d - 1 by D^T A."""
        last = np.moveaxis(weights, axis, -1)
        first, tail = last[..., :-1], last[..., -1:]
        total = first.sum(axis=-1, keepdims=True)
        absorbed = self.scale * (first + self.to_each * total + self.to_last * tail)
        return np.moveaxis(absorbed, -1, axis)


class _Change:
    """A change of basis along one axis of a constant, which loses one entry."""

    def __init__(self, axis: int, basis: Basis) -> None:
        self.axis, self.basis = axis, basis

    def couples(self, axis: int) -> bool:
        """True on the feature axis."""
        return axis == self.axis

    def resized(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """``shape`` with one entry less on the feature axis."""
        return tuple(dim - 1 if i == self.axis else dim for i, dim in enumerate(shape))


class Encode(_Change):
    """v becomes E C v: for a constant that writes the features."""

    def apply(self, block: np.ndarray, axis: int, start: int) -> np.ndarray:
        """The encoded block."""
        return self.basis.encode(block, self.axis)


class Absorb(_Change):
    """A becomes D^T A: for a weight that reads the features."""

    def apply(self, block: np.ndarray, axis: int, start: int) -> np.ndarray:
        """The block, which reads the compressed features."""
        return self.basis.absorb(block, self.axis)
