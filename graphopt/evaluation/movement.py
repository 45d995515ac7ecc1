"""Operators that create, move, select or cast elements."""

from __future__ import annotations

__all__ = ["KERNELS"]

from typing import Any

import numpy as np
import onnx_ir as ir

from graphopt.evaluation.calls import Array, Call, Kernel, pure


def _axes(call: Call, given: Array | None) -> tuple[int, ...] | None:
    """Axes from the input (newer opsets) or from the attribute (older ones)."""
    if given is not None:
        return tuple(given.reshape(-1).tolist())
    attribute = call.get("axes")
    return None if attribute is None else tuple(attribute)


def _reshape(call: Call, x: Array, shape: Array) -> Array:
    target = shape.tolist()
    if not call.get("allowzero", 0):
        target = [x.shape[i] if size == 0 else size for i, size in enumerate(target)]
    return x.reshape(target)


def _flatten(call: Call, x: Array) -> Array:
    axis = call.get("axis", 1)
    rows = int(np.prod(x.shape[:axis], dtype=np.int64))
    return x.reshape(rows, x.size // rows if rows else int(np.prod(x.shape[axis:])))


def _squeeze(call: Call, x: Array, axes: Array | None = None) -> Array:
    return np.squeeze(x, _axes(call, axes))


def _unsqueeze(call: Call, x: Array, axes: Array | None = None) -> Array:
    return np.expand_dims(x, _axes(call, axes) or ())


def _transpose(call: Call, x: Array) -> Array:
    return np.transpose(x, call.get("perm"))


def _expand(x: Array, shape: Array) -> Array:
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape.tolist())))


def _concat(call: Call, *inputs: Array) -> Array:
    return np.concatenate(inputs, call.get("axis", 1))


def _split(call: Call, x: Array, sizes: Array | None = None) -> tuple[Array, ...]:
    axis = call.get("axis", 0)
    parts = sizes.tolist() if sizes is not None else call.get("split")
    if parts is None:
        count = call.get("num_outputs", len(call.node.outputs))
        size = -(-x.shape[axis] // count)
        parts = [size] * (count - 1)
        parts.append(x.shape[axis] - sum(parts))
    if sum(parts) != x.shape[axis]:
        raise ValueError(f"the parts {list(parts)} do not add up to {x.shape[axis]}")
    return tuple(np.split(x, np.cumsum(parts)[:-1], axis))


def _slice(
    call: Call,
    x: Array,
    starts: Array | None = None,
    ends: Array | None = None,
    axes: Array | None = None,
    steps: Array | None = None,
) -> Array:
    begin = call.get("starts") if starts is None else starts.tolist()
    end = call.get("ends") if ends is None else ends.tolist()
    chosen = _axes(call, axes)
    chosen = tuple(range(len(begin))) if chosen is None else chosen
    step = [1] * len(begin) if steps is None else steps.tolist()
    index = [slice(None)] * x.ndim
    for axis, low, high, stride in zip(chosen, begin, end, step, strict=True):
        # Backwards ONNX begins inside, where numpy finds nothing before the first element.
        start = max(low, -x.shape[axis]) if stride < 0 else low
        index[axis] = slice(start, high, stride)
    return x[tuple(index)]


def _gather(call: Call, x: Array, indices: Array) -> Array:
    return np.take(x, indices, call.get("axis", 0))


def _gather_elements(call: Call, x: Array, indices: Array) -> Array:
    axis = call.get("axis", 0)
    positive = np.where(indices < 0, indices + x.shape[axis], indices)
    window = tuple(
        slice(n) if i != axis % x.ndim else slice(None) for i, n in enumerate(indices.shape)
    )
    return np.take_along_axis(x[window], positive, axis)


def _gather_nd(call: Call, x: Array, indices: Array) -> Array:
    batch = call.get("batch_dims", 0)
    leading = np.ogrid[tuple(slice(n) for n in indices.shape[:batch])]
    trailing = indices.ndim - 1 - batch
    grid = [axis.reshape(axis.shape + (1,) * trailing) for axis in leading]
    return np.asarray(x[(*grid, *np.moveaxis(indices, -1, 0))])


def _pad(
    call: Call,
    x: Array,
    pads: Array | None = None,
    value: Array | None = None,
    axes: Array | None = None,
) -> Array:
    amounts = call.get("pads") if pads is None else pads.tolist()
    fill = call.get("value", 0.0) if value is None else value.reshape(()).item()
    chosen = _axes(call, axes)
    chosen = tuple(range(x.ndim)) if chosen is None else chosen
    widths = [(0, 0)] * x.ndim
    count = len(chosen)
    for axis, before, after in zip(chosen, amounts[:count], amounts[count:], strict=True):
        widths[axis] = (before, after)
    # a negative amount crops
    crop = tuple(
        slice(max(0, -low), n - max(0, -high))
        for n, (low, high) in zip(x.shape, widths, strict=True)
    )
    grow = [(max(0, low), max(0, high)) for low, high in widths]
    mode = call.get("mode", "constant")
    extra = {"constant_values": fill} if mode == "constant" else {}
    return np.pad(x[crop], grow, mode=mode, **extra)


def _shape(call: Call, x: Array) -> Array:
    return np.array(x.shape[call.get("start", 0) : call.get("end")], dtype=np.int64)


def _trilu(call: Call, x: Array, k: Array | None = None) -> Array:
    diagonal = 0 if k is None else int(k.reshape(()))
    return np.triu(x, diagonal) if call.get("upper", 1) else np.tril(x, diagonal)


def _cast(call: Call, x: Array) -> Array:
    return x.astype(ir.DataType(call.get("to")).numpy())


def _constant(call: Call) -> Any:
    for name, dtype in (
        ("value", None),
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        value = call.get(name)
        if value is not None:
            return np.asarray(value, dtype=dtype)
    raise ValueError("it has no numeric value")


def _constant_of_shape(call: Call, shape: Array) -> Array:
    value = call.get("value")
    value = np.zeros(1, dtype=np.float32) if value is None else value
    return np.full(tuple(shape.tolist()), value.reshape(()), dtype=value.dtype)


def _range(start: Array, limit: Array, delta: Array) -> Array:
    return np.arange(start.item(), limit.item(), delta.item()).astype(start.dtype)


def _dropout(call: Call, x: Array, *unused: Array | None) -> tuple[Array, Array]:
    """Dropout as inference runs it: the identity, with a mask that keeps everything."""
    return x, np.ones(x.shape, dtype=bool)


KERNELS: dict[str, Kernel] = {
    "Cast": _cast,
    "CastLike": pure(lambda x, like: x.astype(like.dtype)),
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Dropout": _dropout,
    "Expand": pure(_expand),
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Pad": _pad,
    "Range": pure(_range),
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": pure(lambda x: np.int64(x.size)),
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": pure(lambda x, repeats: np.tile(x, repeats.tolist())),
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
}
