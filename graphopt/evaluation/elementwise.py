"""Operators that work element by element, with numpy's broadcasting."""

from __future__ import annotations

__all__ = ["GRAPHOPT_KERNELS", "KERNELS"]

import functools
import math
from typing import Any

import numpy as np

from graphopt.evaluation.calls import Array, Call, Kernel, pure
from graphopt.evaluation.error_function import erf


def divide(a: Array, b: Array) -> Array:
    """Division; on integers it truncates towards zero, as C does."""
    if not np.issubdtype(a.dtype, np.integer):
        return np.asarray(a / b)
    quotient = np.floor_divide(a, b)
    inexact = (quotient * b != a) & ((a < 0) != (b < 0))
    return np.asarray(quotient + inexact.astype(quotient.dtype))


def power(base: Array, exponent: Array) -> Array:
    """base ** exponent in the type of the base; a square or a cube is multiplied out.

    numpy's power costs a hundred times a product, and tanh approximations of Gelu cube.
    """
    if exponent.size == 1 and exponent.ndim <= base.ndim and exponent.item() in (2, 3):
        square = base * base
        return np.asarray(square if exponent.item() == 2 else square * base)
    if not np.issubdtype(base.dtype, np.integer):
        exponent = exponent.astype(base.dtype)
    return np.asarray(np.power(base, exponent)).astype(base.dtype)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)); exp may overflow to infinity, which gives the right limit 0."""
    return np.asarray(1 / (1 + np.exp(-x)))


def gelu(x: Array) -> Array:
    """x Phi(x), with the exact normal distribution function."""
    return np.asarray(x * 0.5 * (1 + erf(x * math.sqrt(0.5))))


def gelu_tanh(x: Array) -> Array:
    """The usual tanh approximation of Gelu."""
    return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))))


def _quick_gelu(x: Array) -> Array:
    return np.asarray(x * sigmoid(1.702 * x))


def _gelu(call: Call, x: Array) -> Array:
    return gelu_tanh(x) if call.get("approximate", "none") == "tanh" else gelu(x)


def _mod(call: Call, a: Array, b: Array) -> Any:
    return np.fmod(a, b) if call.get("fmod", 0) else np.mod(a, b)


def _clip(call: Call, x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    lower = call.get("min") if low is None else low
    upper = call.get("max") if high is None else high
    if lower is not None:
        x = np.maximum(x, np.asarray(lower, dtype=x.dtype))
    if upper is not None:
        x = np.minimum(x, np.asarray(upper, dtype=x.dtype))
    return x


def _is_inf(call: Call, x: Array) -> Any:
    positive = np.isposinf(x) & bool(call.get("detect_positive", 1))
    return positive | (np.isneginf(x) & bool(call.get("detect_negative", 1)))


def _hard_sigmoid(call: Call, x: Array) -> Any:
    return np.clip(call.get("alpha", 0.2) * x + call.get("beta", 0.5), 0, 1).astype(x.dtype)


def _leaky_relu(call: Call, x: Array) -> Any:
    return np.where(x < 0, x * call.get("alpha", 0.01), x).astype(x.dtype)


def _elu(call: Call, x: Array) -> Any:
    return np.where(x < 0, call.get("alpha", 1.0) * np.expm1(np.minimum(x, 0)), x).astype(x.dtype)


def _swish(call: Call, x: Array) -> Any:
    return x * sigmoid(x * call.get("alpha", 1.0))


def _mean(*inputs: Array) -> Any:
    return functools.reduce(np.add, inputs) / len(inputs)


KERNELS: dict[str, Kernel] = {
    "Abs": pure(np.abs),
    "Add": pure(np.add),
    "And": pure(np.logical_and),
    "Ceil": pure(np.ceil),
    "Clip": _clip,
    "Cos": pure(np.cos),
    "Div": pure(divide),
    "Elu": _elu,
    "Equal": pure(np.equal),
    "Erf": pure(erf),
    "Exp": pure(np.exp),
    "Floor": pure(np.floor),
    "Gelu": _gelu,
    "Greater": pure(np.greater),
    "GreaterOrEqual": pure(np.greater_equal),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": pure(lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "Identity": pure(lambda x: x),
    "IsInf": _is_inf,
    "IsNaN": pure(np.isnan),
    "LeakyRelu": _leaky_relu,
    "Less": pure(np.less),
    "LessOrEqual": pure(np.less_equal),
    "Log": pure(np.log),
    "Max": pure(lambda *inputs: functools.reduce(np.maximum, inputs)),
    "Mean": pure(_mean),
    "Min": pure(lambda *inputs: functools.reduce(np.minimum, inputs)),
    "Mish": pure(lambda x: x * np.tanh(np.logaddexp(x, 0))),
    "Mod": _mod,
    "Mul": pure(np.multiply),
    "Neg": pure(np.negative),
    "Not": pure(np.logical_not),
    "Or": pure(np.logical_or),
    "PRelu": pure(lambda x, slope: np.where(x < 0, x * slope, x)),
    "Pow": pure(power),
    "Reciprocal": pure(lambda x: 1 / x),
    "Relu": pure(lambda x: np.maximum(x, 0)),
    "Round": pure(np.rint),
    "Sigmoid": pure(sigmoid),
    "Sign": pure(np.sign),
    "Sin": pure(np.sin),
    "Softplus": pure(lambda x: np.logaddexp(x, 0)),
    "Softsign": pure(lambda x: x / (1 + np.abs(x))),
    "Sqrt": pure(np.sqrt),
    "Sub": pure(np.subtract),
    "Sum": pure(lambda *inputs: functools.reduce(np.add, inputs)),
    "Swish": _swish,
    "Tan": pure(np.tan),
    "Tanh": pure(np.tanh),
    "Where": pure(np.where),
    "Xor": pure(np.logical_xor),
}
GRAPHOPT_KERNELS: dict[str, Kernel] = {
    "Gelu": pure(lambda x, bias=None: gelu(x if bias is None else x + bias)),
    "QuickGelu": pure(lambda x, bias=None: _quick_gelu(x if bias is None else x + bias)),
    "TanhGelu": pure(lambda x, bias=None: gelu_tanh(x if bias is None else x + bias)),
}
"""The GELUs of the domain graphopt where a model has no bodies for them."""
