"""Matrix products."""

from __future__ import annotations

__all__ = ["KERNELS", "MICROSOFT_KERNELS"]

import numpy as np

from graphopt.evaluation.calls import Array, Call, Kernel, UnsupportedOperator, pure


def _gemm(call: Call, a: Array, b: Array, c: Array | None = None) -> Array:
    a = a.T if call.get("transA", 0) else a
    b = b.T if call.get("transB", 0) else b
    product = _scaled(a @ b, call.get("alpha", 1.0))
    return product if c is None else product + _scaled(c, call.get("beta", 1.0))


def _scaled(x: Array, factor: float) -> Array:
    return x if factor == 1 else (x * factor).astype(x.dtype)


def _fused_gemm(call: Call, a: Array, b: Array, c: Array | None = None) -> Array:
    result = _gemm(call, a, b, c)
    activation = call.get("activation", "")
    if activation == "":
        return result
    if activation == "Relu":
        return np.maximum(result, 0)
    if activation == "Tanh":
        return np.tanh(result)
    raise UnsupportedOperator(f"node {call.node.name!r}: FusedGemm with activation {activation}")


def _fused_matmul(call: Call, a: Array, b: Array) -> Array:
    """alpha * op(A) op(B); the batch transposes move axis 0 to just before the last axis."""
    operands = []
    for x, letter in ((a, "A"), (b, "B")):
        if call.get(f"transBatch{letter}", 0):
            x = np.moveaxis(x, 0, -2)
        if call.get(f"trans{letter}", 0):
            x = np.swapaxes(x, -1, -2)
        operands.append(x)
    return _scaled(np.matmul(*operands), call.get("alpha", 1.0))


def _einsum(call: Call, *operands: Array) -> Array:
    return np.asarray(np.einsum(call.get("equation").replace(" ", ""), *operands, optimize=True))


KERNELS: dict[str, Kernel] = {
    "Einsum": _einsum,
    "Gemm": _gemm,
    "MatMul": pure(np.matmul),
}

MICROSOFT_KERNELS: dict[str, Kernel] = {
    "FusedGemm": _fused_gemm,
    "FusedMatMul": _fused_matmul,
}
