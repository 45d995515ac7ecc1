"""Masks and lengths: which positions of each sample hold something."""

from __future__ import annotations

__all__ = ["is_float_mask", "is_mask", "padded_lengths", "padding_mask"]

from collections.abc import Mapping

import numpy as np

from graphopt.evaluation.calls import Array
from graphopt.inputs.meaning import Meaning

_PADDED_PART = 4
"""A padded sample lacks one in so many positions, to the right."""
_MASK_RANK = 2
"""Axes of a mask, one for samples and one for positions, that its uses alone tell from data."""


def is_mask(name: str, meaning: Meaning) -> bool:
    """Whether integers or booleans are a mask, by name or by use."""
    return meaning.mask or "mask" in name.lower()


def is_float_mask(name: str, shape: tuple[int, ...], meaning: Meaning) -> bool:
    """Whether floats are zeros and ones: a mask by name and use, or by all of its uses.

    What is compared somewhere, or subtracted from a constant, is often data: an image, a stream.
    """
    if not meaning.mask:
        return False
    return "mask" in name.lower() or (not meaning.computed and len(shape) <= _MASK_RANK)


def padding_mask(shape: tuple[int, ...], whole: int = 0) -> Array:
    """Ones, with the last quarter of every sample but one set to 0.

    Args:
        shape: The samples first, where there are two axes or more; else it is one sample.
        whole: Number of the sample that is not padded, counted on from the first after the last. A
            single sample is padded where it is odd.
    """
    mask = np.ones(shape)
    samples = mask if len(shape) > 1 else mask[None]
    if shape:
        samples[_padded(len(samples), whole), ..., shape[-1] - shape[-1] // _PADDED_PART :] = 0
    return mask


def padded_lengths(
    name: str, shape: tuple[int, ...], others: Mapping[str, tuple[int, ...]], whole: int = 0
) -> Array | None:
    """The length of each sample, where an input of integers is named so; None where it is not.

    The longest axis, behind that of the samples, of the inputs that have as many samples is what
    is measured; the padded samples are those of :func:`padding_mask`.

    Args:
        name: The input.
        shape: Its shape: the samples.
        others: The shapes of all inputs, by name.
        whole: Number of the sample that is not padded.
    """
    if "len" not in name.lower() or len(shape) != 1:
        return None
    alike = [size for size in others.values() if len(size) > 1 and size[0] == shape[0]]
    longest = max((n for size in alike for n in size[1:]), default=0)
    if not longest:
        return None
    lengths = np.full(shape, longest)
    lengths[_padded(len(lengths), whole)] -= longest // _PADDED_PART
    return lengths


def _padded(samples: int, whole: int) -> Array:
    """Which samples are padded."""
    if samples == 1:
        return np.array([whole % 2 == 1])
    return np.not_equal(np.arange(samples), whole % max(samples, 1))
