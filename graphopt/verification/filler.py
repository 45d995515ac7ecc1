"""Tells what a mask fills in from what a model computes."""

from __future__ import annotations

__all__ = ["computed_elements"]

import numpy as np

from graphopt.evaluation.calls import Array

_ALIKE, _REMOTE = 0.9, 0.01
_SMALLEST = 1000.0
"""No mask fills in less; a saturated softmax has few elements near 1, and others far from it."""


def computed_elements(values: Array) -> Array:
    """True for each element but those that a mask filled in.

    A mask writes or adds one value far from all others, such as -10000 or the lowest float. So
    elements are filled in where they have one sign, are 1000 or more and within a tenth of the
    largest, and nothing else is above a hundredth of it. What is left may hold another filling.

    Args:
        values: Finite floats, of any shape.
    """
    magnitude = np.abs(values)
    computed = np.ones(values.shape, dtype=bool)
    while computed.any():
        at = np.argmax(np.where(computed, magnitude, -1.0))
        largest, sign = magnitude.flat[at], np.sign(values.flat[at])
        if largest < _SMALLEST:
            break
        filled = computed & (magnitude >= _ALIKE * largest) & (np.sign(values) == sign)
        rest = computed & ~filled
        largest_left = float(magnitude[rest].max(initial=0.0))
        if not 0 < largest_left <= _REMOTE * largest:  # zeros alone have no typical size
            break
        computed = rest
    return computed
