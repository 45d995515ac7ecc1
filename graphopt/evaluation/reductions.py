"""Reductions over axes, softmax, and the position of the largest element."""

from __future__ import annotations

__all__ = ["KERNELS", "softmax"]

from collections.abc import Callable
from typing import Any

import numpy as np

from graphopt.evaluation.calls import Array, Call, Kernel, working_dtype


def _reduction(reduce: Callable[..., Any]) -> Kernel:
    """Kernel of a Reduce operator; ``reduce(x, axis=, keepdims=)`` has numpy's meaning."""

    def kernel(call: Call, x: Array, axes: Array | None = None) -> Array:
        chosen = call.get("axes") if axes is None else axes.reshape(-1).tolist()
        is_kept = not chosen and call.get("noop_with_empty_axes", 0)
        axis = tuple(chosen) if chosen else () if is_kept else None  # over none: its steps alone
        return np.asarray(reduce(x, axis=axis, keepdims=bool(call.get("keepdims", 1)))).astype(
            x.dtype
        )

    return kernel


def _log_sum_exp(x: Array, axis: tuple[int, ...] | None, keepdims: bool) -> Array:
    peak = x.max(axis=axis, keepdims=True)
    peak = np.where(np.isfinite(peak), peak, 0)
    total = np.log(np.exp(x - peak).sum(axis=axis, keepdims=True)) + peak
    return np.asarray(total if keepdims else np.squeeze(total, axis))


def softmax(x: Array, axis: int | tuple[int, ...]) -> Array:
    """exp(x) / sum(exp(x)) over the axis, in float64 for float64, else in float32."""
    work = x.astype(working_dtype(x), copy=False)
    exponential = np.exp(work - work.max(axis=axis, keepdims=True))
    return np.asarray(exponential / exponential.sum(axis=axis, keepdims=True)).astype(x.dtype)


def _log_softmax(x: Array, axis: int | tuple[int, ...]) -> Array:
    work = x.astype(working_dtype(x), copy=False)
    shifted = work - work.max(axis=axis, keepdims=True)
    total = np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    return np.asarray(shifted - total).astype(x.dtype)


def _over_axis(function: Callable[[Array, Any], Array]) -> Kernel:
    """Before opset 13 softmax runs over the given axis and *all that follow*; its default is 1."""

    def kernel(call: Call, x: Array) -> Array:
        if call.version >= 13:
            return function(x, call.get("axis", -1))
        return function(x, tuple(range(call.get("axis", 1) % x.ndim, x.ndim)))

    return kernel


def _position(of: Callable[..., Any]) -> Kernel:
    """Kernel of ArgMax or ArgMin; ``of`` is numpy's, which finds the first of equals."""

    def kernel(call: Call, x: Array) -> Array:
        axis, keepdims = call.get("axis", 0), bool(call.get("keepdims", 1))
        if not call.get("select_last_index", 0):
            return np.asarray(of(x, axis=axis, keepdims=keepdims))
        last = x.shape[axis] - 1
        return np.asarray(last - of(np.flip(x, axis), axis=axis, keepdims=keepdims))

    return kernel


KERNELS: dict[str, Kernel] = {
    "ArgMax": _position(np.argmax),
    "ArgMin": _position(np.argmin),
    "LogSoftmax": _over_axis(_log_softmax),
    "ReduceL1": _reduction(lambda x, **how: np.abs(x).sum(**how)),
    "ReduceL2": _reduction(lambda x, **how: np.sqrt(np.square(x).sum(**how))),
    "ReduceLogSum": _reduction(lambda x, **how: np.log(x.sum(**how))),
    "ReduceLogSumExp": _reduction(_log_sum_exp),
    "ReduceMax": _reduction(np.max),
    "ReduceMean": _reduction(np.mean),
    "ReduceMin": _reduction(np.min),
    "ReduceProd": _reduction(np.prod),
    "ReduceSum": _reduction(np.sum),
    "ReduceSumSquare": _reduction(lambda x, **how: np.square(x).sum(**how)),
    "Softmax": _over_axis(softmax),
}
