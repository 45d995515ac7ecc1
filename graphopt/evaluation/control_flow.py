"""If, Loop and Scan: operators that run a nested graph."""

from __future__ import annotations

__all__ = ["KERNELS"]

from typing import Any

import numpy as np

from graphopt.evaluation.calls import Array, Call, Kernel


def _if(call: Call, condition: Array) -> tuple[Any, ...]:
    branch = "then_branch" if bool(condition.reshape(())) else "else_branch"
    return tuple(call.run(call.get(branch), ()))


def _loop(
    call: Call, trips: Array | None = None, condition: Array | None = None, *carried: Any
) -> tuple[Any, ...]:
    body = call.get("body")
    limit = None if trips is None else int(trips.reshape(()))
    going = np.asarray(True) if condition is None else condition
    state, scanned = list(carried), [list[Any]() for _ in body.outputs[1 + len(carried) :]]
    trip = 0
    while bool(going.reshape(())) and (limit is None or trip < limit):
        going, *results = call.run(body, (np.asarray(trip, dtype=np.int64), going, *state))
        state = results[: len(state)]
        for collected, result in zip(scanned, results[len(state) :], strict=True):
            collected.append(result)
        trip += 1
    return *state, *(
        _stack(part, body.outputs[1 + len(state) + i]) for i, part in enumerate(scanned)
    )


def _stack(parts: list[Array], declared: Any) -> Array:
    if parts:
        return np.stack(parts)
    sizes = (
        [] if declared.shape is None else [d if isinstance(d, int) else 0 for d in declared.shape]
    )
    return np.zeros((0, *sizes), dtype=declared.dtype.numpy())


def _scan(call: Call, *inputs: Array) -> tuple[Any, ...]:
    body = call.get("body")
    count = call.get("num_scan_inputs")
    state, sequences = list(inputs[: len(inputs) - count]), inputs[len(inputs) - count :]
    axes = call.get("scan_input_axes") or [0] * count
    backwards = call.get("scan_input_directions") or [0] * count
    rows = [np.moveaxis(x, axis, 0) for x, axis in zip(sequences, axes, strict=True)]
    rows = [x[::-1] if flip else x for x, flip in zip(rows, backwards, strict=True)]
    scanned = [list[Any]() for _ in body.outputs[len(state) :]]
    for step in range(len(rows[0])):
        results = call.run(body, (*state, *(x[step] for x in rows)))
        state = results[: len(state)]
        for collected, result in zip(scanned, results[len(state) :], strict=True):
            collected.append(result)
    out_axes = call.get("scan_output_axes") or [0] * len(scanned)
    out_backwards = call.get("scan_output_directions") or [0] * len(scanned)
    stacked = []
    for i, part in enumerate(scanned):
        whole = _stack(part[::-1] if out_backwards[i] else part, body.outputs[len(state) + i])
        stacked.append(np.moveaxis(whole, 0, out_axes[i]))
    return *state, *stacked


KERNELS: dict[str, Kernel] = {"If": _if, "Loop": _loop, "Scan": _scan}
