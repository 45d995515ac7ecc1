"""What writes a stream: linear maps in the spellings that exporters use, and embeddings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from tests.random_graphs.builder import Builder
from tests.random_graphs.tensors import Dim, Tensor

__all__ = ["embedding", "linear"]


def linear(g: Builder, x: Tensor, size: int) -> Tensor:
    """A linear map from the features of x to ``size`` features on the same axis."""
    spellings: list[Callable[[Builder, Tensor, int], Tensor | None]] = []
    if x.is_last:
        spellings = [_matmul, _matmul, _matmul, _gemm, _gemm]
    elif x.axis == x.rank - 2:
        spellings = [_left_matmul]
    if x.axis == 1 and x.rank in (3, 4):
        spellings += [_conv, _conv_transpose]
    if spellings:
        y = g.pick(spellings)(g, x, size)
        if y is not None:
            return y
    flat = g.features_last(x)
    y = _matmul(g, flat, size)
    back = list(range(x.rank - 1))
    back.insert(x.axis, x.rank - 1)
    return g.transpose(y, back)


def _weight(g: Builder, rows: int, columns: int) -> np.ndarray:
    w = g.normal((rows, columns), scale=rows**-0.5)
    return w - w.mean(axis=1, keepdims=True) if not g.smooth and g.chance(10) else w


def _bias(g: Builder, y: Tensor) -> Tensor:
    """Adds a bias: of the features mostly, of every static axis or one number at times."""
    if g.chance(20):
        return y
    rank = y.rank - y.axis
    shape = [1] * rank
    shape[0] = y.size
    if y.is_last and y.rank > 1 and y.dims[-2].is_static and g.chance(10):
        shape = [y.dims[-2].least, y.size]
    elif g.chance(8):
        shape = g.pick([[1] * rank, []])
    elif g.chance(10) and y.rank > rank:
        shape = [1, *shape]
    return g.binary("Add", y, g.constant(g.normal(shape)), flip=g.chance(50))


def _matmul(g: Builder, x: Tensor, size: int) -> Tensor:
    k = x.size
    if g.chance(15):
        stored = g.constant(_weight(g, k, size).T.copy(), "out-in")
        w = g.node("Transpose", [stored], [Dim.static(k), Dim.static(size)], 1, perm=[1, 0]).value
    else:
        w = g.constant(_weight(g, k, size), "in-out")
    if g.chance(4):
        w = g.node("Identity", [w], [Dim.static(k), Dim.static(size)], 1).value
    y = g.node("MatMul", [x, w], x.with_dim(x.axis, Dim.static(size)), x.axis)
    return _bias(g, y)


def _left_matmul(g: Builder, x: Tensor, size: int) -> Tensor:
    w = g.constant(_weight(g, x.size, size).T.copy(), "out-in")
    return _bias(g, g.node("MatMul", [w, x], x.with_dim(x.axis, Dim.static(size)), x.axis))


def _gemm(g: Builder, x: Tensor, size: int) -> Tensor | None:
    """GPT-2's Conv1D: Reshape to rows, Gemm, Reshape back."""
    rows = g.product(x.dims[:-1])
    flat = x
    if x.rank != 2:
        reshaped = g.reshape(x, (rows, x.features), 1)
        if reshaped is None:
            return None
        flat = reshaped
    w, kind = _weight(g, x.size, size), "in-out"
    attributes: dict[str, float | int] = {}
    if g.chance(50):
        w, kind, attributes["transB"] = w.T.copy(), "out-in", 1
    if g.chance(20):
        attributes["alpha"] = g.pick([0.5, 2.0, -1.0])
    if g.chance(20):
        attributes["beta"] = g.pick([0.5, 2.0, -1.0])
    inputs: list[Tensor | ir.Value | None] = [flat, g.constant(w, kind)]
    if g.chance(85):
        shape = g.pick([[size]] * 6 + [[1, size], [1], []])
        if rows.is_static and g.chance(10):
            shape = g.pick([[rows.least, size], [rows.least, 1]])
        inputs.append(g.constant(g.normal(shape)))
    y = g.node("Gemm", inputs, (rows, Dim.static(size)), 1, **attributes)
    if x.rank == 2:
        return y
    back = g.reshape(y, x.with_dim(x.axis, Dim.static(size)), x.axis)
    return back if back is not None else _dynamic_reshape(g, y, x, size)


def _dynamic_reshape(g: Builder, y: Tensor, like: Tensor, size: int) -> Tensor:
    """Reshape to the Shape of ``like`` with its last entry replaced."""
    rank = Dim.static(like.rank)
    shape = g.node("Shape", [like], [rank])
    lead = g.node("Slice", [shape, g.constant([0]), g.constant([-1])], [Dim.static(like.rank - 1)])
    target = g.node("Concat", [lead, g.constant([size])], [rank], axis=0)
    return g.node("Reshape", [y, target], like.with_dim(like.axis, Dim.static(size)), like.axis)


def _spatial(x: Tensor) -> int:
    return x.rank - 2


def _conv(g: Builder, x: Tensor, size: int) -> Tensor:
    """Convolution over the axes after the features, which keeps their length."""
    n = _spatial(x)
    kernel = g.pick([1, 1, 3])
    depthwise = size == x.size and g.chance(15)
    shape = [size, 1 if depthwise else x.size, *[kernel] * n]
    w = g.constant(g.normal(shape, scale=(shape[1] * kernel**n) ** -0.5))
    inputs = [x, w, g.constant(g.normal([size]))] if g.chance(70) else [x, w]
    return g.node(
        "Conv",
        inputs,
        x.with_dim(1, Dim.static(size)),
        1,
        kernel_shape=[kernel] * n,
        pads=[kernel // 2] * (2 * n),
        group=size if depthwise else 1,
    )


def _conv_transpose(g: Builder, x: Tensor, size: int) -> Tensor:
    n = _spatial(x)
    w = g.constant(g.normal([x.size, size, *[1] * n], scale=x.size**-0.5))
    inputs = [x, w, g.constant(g.normal([size]))] if g.chance(70) else [x, w]
    return g.node("ConvTranspose", inputs, x.with_dim(1, Dim.static(size)), 1, kernel_shape=[1] * n)


def embedding(g: Builder, dims: tuple[Dim, ...], size: int) -> tuple[Tensor, ir.Value, int]:
    """Rows of a random table, the table's value and its number of rows."""
    rows = 4 + g.below(3)
    table = g.constant(g.normal((rows, size)))
    indices = g.input(dims, draw=_indices(g, rows), dtype=ir.DataType.INT64)
    attributes = {"axis": 0} if g.chance(50) else {}
    y = g.node("Gather", [table, indices], (*dims, Dim.static(size)), len(dims), **attributes)
    return y, table, rows


def _indices(g: Builder, rows: int) -> Callable[[tuple[int, ...]], np.ndarray]:
    return lambda shape: g.random.integers(0, rows, shape)
