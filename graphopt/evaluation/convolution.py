"""Conv and ConvTranspose of any rank, as matrix products."""

from __future__ import annotations

__all__ = ["KERNELS", "convolve"]

import math
from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from graphopt.evaluation.calls import Array, Call, Kernel


def convolve(
    x: Array, weight: Array, strides: Sequence[int], dilations: Sequence[int], group: int
) -> Array:
    """Cross-correlate padded x [N, C, *S] with weight [M, C/group, *K].

    Each sample's windows are copied into a matrix (C x prod(K) rows for every output position),
    which is the largest temporary of an evaluation.
    """
    rank = x.ndim - 2
    kernel = weight.shape[2:]
    extent = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    windows = sliding_window_view(x, extent, axis=tuple(range(2, x.ndim)))
    every = [slice(None), slice(None)]
    every += [slice(None, None, s) for s in strides] + [slice(None, None, d) for d in dilations]
    windows = windows[tuple(every)]
    positions = windows.shape[2 : 2 + rank]
    channels = x.shape[1] // group
    filters = weight.reshape(group, weight.shape[0] // group, channels * math.prod(kernel))
    order = (0, *range(1 + rank, 1 + 2 * rank), *range(1, 1 + rank))  # C, *K, *positions
    result = np.empty((x.shape[0], weight.shape[0], *positions), dtype=x.dtype)
    for sample, window in zip(result, windows, strict=True):
        columns = window.transpose(order).reshape(group, -1, math.prod(positions))
        sample[...] = np.matmul(filters, columns).reshape(sample.shape)
    return result


def _conv(call: Call, x: Array, weight: Array, bias: Array | None = None) -> Array:
    kernel = weight.shape[2:]
    strides = call.get("strides") or [1] * len(kernel)
    dilations = call.get("dilations") or [1] * len(kernel)
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    auto_pad = call.get("auto_pad", "NOTSET")
    pads = call.get("pads") or [0] * (2 * len(kernel))
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        pads = _same_pads(x.shape[2:], extent, strides, upper=auto_pad == "SAME_UPPER")
    padded = np.pad(
        x, [(0, 0), (0, 0), *zip(pads[: len(kernel)], pads[len(kernel) :], strict=True)]
    )
    return _add_bias(convolve(padded, weight, strides, dilations, call.get("group", 1)), bias)


def _same_pads(
    sizes: Sequence[int], extent: Sequence[int], strides: Sequence[int], *, upper: bool
) -> list[int]:
    """Pads for ceil(size / stride) output positions; the odd one goes to the end if ``upper``."""
    totals = [
        max(0, (-(-size // stride) - 1) * stride + e - size)
        for size, e, stride in zip(sizes, extent, strides, strict=True)
    ]
    small, large = [t // 2 for t in totals], [t - t // 2 for t in totals]
    return small + large if upper else large + small


def _conv_transpose(call: Call, x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Weight [C, M/group, *K]: x is spread out by the strides, then correlated, kernel flipped."""
    kernel = weight.shape[2:]
    rank, group = len(kernel), call.get("group", 1)
    strides = call.get("strides") or [1] * rank
    dilations = call.get("dilations") or [1] * rank
    extra = call.get("output_padding") or [0] * rank
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    full = [(n - 1) * s + e for n, s, e in zip(x.shape[2:], strides, extent, strict=True)]
    pads = _transposed_pads(call, [f + p for f, p in zip(full, extra, strict=True)], x.shape[2:])
    spread = np.zeros(
        (*x.shape[:2], *((n - 1) * s + 1 for n, s in zip(x.shape[2:], strides, strict=True))),
        dtype=x.dtype,
    )
    every = [slice(None), slice(None), *(slice(None, None, s) for s in strides)]
    spread[tuple(every)] = x
    widths = [(e - 1, e - 1 + p) for e, p in zip(extent, extra, strict=True)]
    channels = weight.shape[0] // group
    grouped = weight.reshape(group, channels, *weight.shape[1:]).swapaxes(1, 2)
    flipped = np.flip(grouped, tuple(range(3, 3 + rank))).reshape(-1, channels, *kernel)
    whole = convolve(
        np.pad(spread, [(0, 0), (0, 0), *widths]), flipped, [1] * rank, dilations, group
    )
    crop = [slice(None), slice(None)]
    crop += [
        slice(low, size - high)
        for size, low, high in zip(whole.shape[2:], pads[:rank], pads[rank:], strict=True)
    ]
    return _add_bias(whole[tuple(crop)], bias)


def _transposed_pads(call: Call, full: Sequence[int], sizes: Sequence[int]) -> list[int]:
    """How much of the full result is cut off at each side, from pads, output_shape or auto_pad."""
    rank = len(full)
    wanted = call.get("output_shape")
    auto_pad = call.get("auto_pad", "NOTSET")
    if wanted is None and auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        strides = call.get("strides") or [1] * rank
        wanted = [n * s for n, s in zip(sizes, strides, strict=True)]
    if wanted is None:
        return list(call.get("pads") or [0] * (2 * rank))
    totals = [max(0, f - w) for f, w in zip(full, wanted[-rank:], strict=True)]
    small, large = [t // 2 for t in totals], [t - t // 2 for t in totals]
    return small + large if auto_pad == "SAME_UPPER" else large + small


def _add_bias(y: Array, bias: Array | None) -> Array:
    return y if bias is None else y + bias.reshape(-1, *(1,) * (y.ndim - 2))


KERNELS: dict[str, Kernel] = {"Conv": _conv, "ConvTranspose": _conv_transpose}
