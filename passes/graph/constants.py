"""Constants of a graph: which values are constant, their entries, and their folded replacements.

Weights are folded in float64 and rounded once to their own type, when they are read: nothing is
computed before the model is saved, and nothing stays in memory after.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, cast

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph.edits import Edit

__all__ = [
    "HALF",
    "FoldedTensor",
    "blocks",
    "constant_tensor",
    "edited",
    "entries",
    "exact",
    "is_finite",
    "is_wider",
    "largest",
    "release",
    "stored_tensor",
    "uniform_value",
    "vector",
    "widening",
]

HALF = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
"""The floating-point types of 16 bits: what sums over the features is computed in float32."""

_CHUNK_ENTRIES = 1 << 21

_LARGEST: weakref.WeakKeyDictionary[ir.TensorProtocol, float] = weakref.WeakKeyDictionary()
"""What was found of tensors that are still there; their entries do not change."""

_WIDTHS = {
    ir.DataType.FLOAT8E4M3FN: 1,
    ir.DataType.FLOAT8E4M3FNUZ: 1,
    ir.DataType.FLOAT8E5M2: 1,
    ir.DataType.FLOAT8E5M2FNUZ: 1,
    ir.DataType.FLOAT16: 2,
    ir.DataType.BFLOAT16: 2,
    ir.DataType.FLOAT: 3,
    ir.DataType.DOUBLE: 4,
}


class FoldedTensor(ir.LazyTensor):
    """A constant with edits, computed in float64 when it is read and rounded once.

    Args:
        base: The tensor before the edits.
        edits: Applied in order.
        name: Name of the tensor.
        dtype: What the result is rounded to; None for the type of ``base``.
    """

    def __init__(
        self,
        base: ir.TensorProtocol,
        edits: Sequence[Edit],
        name: str | None,
        dtype: ir.DataType | None = None,
    ) -> None:
        shape = tuple(base.shape.numpy())
        for edit in edits:
            shape = edit.resized(shape)
        super().__init__(self._round, dtype or base.dtype, ir.Shape(shape), name=name)
        self.base, self.edits = base, tuple(edits)

    def __repr__(self) -> str:
        """Without what computes it, as which LazyTensor would print the tensor again."""
        return f"{self._repr_base()}(name={self.name!r})"

    def _round(self) -> ir.TensorProtocol:
        result = np.empty(self.shape.numpy(), dtype=self.dtype.numpy())
        for index, block in self.blocks():
            result[index] = block.astype(result.dtype)
        return ir.Tensor(result, dtype=self.dtype, shape=ir.Shape(self.shape), name=self.name)

    def blocks(self) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
        """The edited entries in float64, block by block, each with its place."""
        shape = tuple(self.base.shape.numpy())
        free = [a for a in range(len(shape)) if not any(edit.couples(a) for edit in self.edits)]
        axis = max(free, key=lambda a: (shape[a] > 1, -a), default=0)
        length = shape[axis] if free else 1
        step = max(1, _CHUNK_ENTRIES * length // max(1, self.base.size)) if free else 1
        part_at = _parts_of(self.base, by_rows=bool(free) and axis == 0)
        for start in range(0, length, step):
            index = tuple(
                slice(start, start + step) if free and a == axis else slice(None)
                for a in range(len(shape))
            )
            block = part_at(index).astype(np.float64)
            for edit in self.edits:
                block = edit.apply(block, axis, start)
            yield index, block
        del part_at
        release(self.base)


def constant_tensor(value: ir.Value | None) -> ir.TensorProtocol | None:
    """The tensor of a constant value, or None where the value is not constant.

    Initializers that are also graph inputs are not constants: a caller may replace them. A constant
    that a Cast widens is one in the wide type, in which what is computed of it is rounded; see
    :func:`stored_tensor`.
    """
    if value is None or value.is_graph_input():
        return None
    if value.is_initializer():
        return value.const_value
    stored = stored_tensor(value)
    if stored is not None and value.dtype is not None:
        return FoldedTensor(stored, (), value.name, value.dtype)
    node = value.producer()
    if node is None or node.op_type != "Constant" or node.domain:
        return None
    if value.const_value is not None:
        return value.const_value
    attribute = next(iter(node.attributes.values()), None)
    if attribute is None:
        return None
    if attribute.type == ir.AttributeType.TENSOR:
        # Not as_tensor(), which looks for every attribute of the protocol each time.
        return cast(ir.TensorProtocol | None, attribute.value)
    if attribute.name in ("value_float", "value_floats"):
        return ir.tensor(np.asarray(attribute.value, dtype=np.float32))
    if attribute.name in ("value_int", "value_ints"):
        return ir.tensor(np.asarray(attribute.value, dtype=np.int64))
    return None


def stored_tensor(value: ir.Value | None) -> ir.TensorProtocol | None:
    """The shorter tensor of which a Cast makes the constant ``value``, or None where none does."""
    node = None if value is None else value.producer()
    if value is None or node is None or node.op_type != "Cast" or node.domain:
        return None
    target = ir.DataType(node.attributes.get_int("to", ir.DataType.UNDEFINED))
    source = constant_tensor(node.inputs[0])
    if source is None or value.dtype != target or not is_wider(target, source.dtype):
        return None
    return source


def is_wider(dtype: ir.DataType, other: ir.DataType) -> bool:
    """True for two floating-point types, of which ``dtype`` holds all numbers of the ``other``."""
    return _WIDTHS.get(dtype, 0) > _WIDTHS.get(other, 9)


def widening(value: ir.Value) -> int:
    """Bytes by which a file grows when a constant is held in the type to which a Cast widens it."""
    stored, tensor = stored_tensor(value), constant_tensor(value)
    if stored is None or tensor is None:
        return 0
    node = value.producer()
    assert node is not None and node.inputs[0] is not None
    is_read_once = len(node.inputs[0].uses()) == 1 and not node.inputs[0].is_graph_output()
    return tensor.nbytes - (stored.nbytes if is_read_once else 0)


def entries(value: ir.Value | None) -> np.ndarray | None:
    """The entries of a constant in its own type, or None; for small constants (axes, shapes)."""
    tensor = constant_tensor(value)
    return None if tensor is None else np.array(tensor.numpy())


def uniform_value(value: ir.Value | None, limit: int = 65536) -> float | None:
    """The one value that all entries of a constant share, or None."""
    tensor = constant_tensor(value)
    if tensor is None or not 0 < tensor.size <= limit or not tensor.dtype.is_floating_point():
        return None
    flat = np.asarray(tensor.numpy(), dtype=np.float64).reshape(-1)
    return float(flat[0]) if bool((flat == flat[0]).all()) else None


def largest(tensor: ir.TensorProtocol) -> float:
    """The largest magnitude of an entry; NaN or infinity where one is.

    A tensor is read once for all who ask, and let go of.
    """
    try:
        found = _LARGEST.get(tensor)
    except TypeError:  # a class of somebody else, of which nothing can be kept
        return _largest(tensor)
    if found is None:
        found = _LARGEST[tensor] = _largest(tensor)
    return found


def _largest(tensor: ir.TensorProtocol) -> float:
    length = tensor.shape.numpy()[0] if len(tensor.shape) else 1
    step = max(1, _CHUNK_ENTRIES * length // max(1, tensor.size))
    part_at = _parts_of(tensor, by_rows=True)
    found = np.float64(0.0)
    for start in range(0, length, step):
        part = part_at((slice(start, start + step),))
        if tensor.dtype in HALF:
            part = part.astype(np.float32)
        if part.size:
            found = np.maximum(found, np.maximum(np.float64(part.max()), -np.float64(part.min())))
    del part_at
    release(tensor)
    return float(found)


def is_finite(tensor: ir.TensorProtocol) -> bool:
    """True where no entry is infinite or NaN. Reads the tensor and lets go of it."""
    return math.isfinite(largest(tensor))


class _InRows(Protocol):
    """A tensor in a file, of which a part can be read alone."""

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Entries ``start`` to ``stop`` of the first axis."""


def _parts_of(
    tensor: ir.TensorProtocol, *, by_rows: bool
) -> Callable[[tuple[slice, ...]], np.ndarray]:
    """What gives a part of a tensor; by rows, cut by the first slice alone, it reads no more."""
    if by_rows and len(tensor.shape) and hasattr(tensor, "rows"):
        in_rows = cast(_InRows, tensor)
        return lambda index: in_rows.rows(index[0].start, index[0].stop)
    whole = tensor.numpy()
    return lambda index: whole[index[: whole.ndim]]


def blocks(tensor: ir.TensorProtocol) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
    """The entries of a tensor in float64, block by block, each with its place."""
    return (tensor if isinstance(tensor, FoldedTensor) else edited(tensor, (), None)).blocks()


def exact(tensor: ir.TensorProtocol) -> np.ndarray:
    """All entries of a tensor in float64, edits applied and not rounded."""
    whole = np.empty(tensor.shape.numpy())
    for index, block in blocks(tensor):
        whole[index] = block
    return whole


def vector(value: ir.Value, size: int) -> np.ndarray:
    """A constant affine vector, or the one number that stands for it, in float64, [size]."""
    tensor = constant_tensor(value)
    assert tensor is not None
    found = exact(tensor).reshape(-1)
    release(tensor)
    return np.broadcast_to(found, (size,)).copy()


def release(tensor: ir.TensorProtocol) -> None:
    """Let go of the file mapping behind an external tensor, as far as nobody else holds a view."""
    if isinstance(tensor, FoldedTensor):
        release(tensor.base)
    elif isinstance(tensor, ir.ExternalTensor):
        try:
            tensor.release()
        except BufferError:  # a view of it lives elsewhere: its owner lets go
            return


def edited(tensor: ir.TensorProtocol, edits: Sequence[Edit], name: str | None) -> FoldedTensor:
    """``tensor`` with ``edits``, on top of those that it has."""
    if isinstance(tensor, FoldedTensor):
        return FoldedTensor(tensor.base, (*tensor.edits, *edits), name, tensor.dtype)
    return FoldedTensor(tensor, edits, name)
