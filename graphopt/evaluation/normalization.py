"""LayerNorm, RMSNorm, and the other norms, in float64 where their input is float64."""

from __future__ import annotations

__all__ = ["GRAPHOPT_KERNELS", "KERNELS", "crms_norm", "layer_norm", "rms_norm"]

import math

import numpy as np

from graphopt.evaluation.calls import Array, Call, Kernel, working_dtype

_EPSILON = float(np.float32(1e-5))
"""The default of the operators' float attribute, to the last digit."""


def layer_norm(
    x: Array, scale: Array, bias: Array | None, axes: tuple[int, ...], epsilon: float
) -> tuple[Array, Array, Array]:
    """scale * (x - mean) / sqrt(var + epsilon) + bias over the axes.

    Returns:
        The result in the type of x, then the mean and the inverse standard deviation, which keep
        the reduced axes as 1 and have the working type (float64 for float64, else float32).
    """
    work = x.astype(working_dtype(x), copy=False)
    mean = work.mean(axis=axes, keepdims=True)
    centred = work - mean
    inverse = 1 / np.sqrt(np.square(centred).mean(axis=axes, keepdims=True) + epsilon)
    y = centred * inverse * scale
    return (y if bias is None else y + bias).astype(x.dtype), mean, inverse


def rms_norm(
    x: Array, scale: Array | None, axes: tuple[int, ...], epsilon: float
) -> tuple[Array, Array]:
    """scale * x / sqrt(mean(x^2) + epsilon), and the inverse root mean square."""
    work = x.astype(working_dtype(x), copy=False)
    inverse = 1 / np.sqrt(np.square(work).mean(axis=axes, keepdims=True) + epsilon)
    y = work * inverse
    return (y if scale is None else y * scale).astype(x.dtype), inverse


def crms_norm(z: Array, axis: int, epsilon: float) -> Array:
    """z / sqrt((sum(z^2) + sum(z)^2) / d + epsilon) for d - 1 entries z on the axis."""
    work = z.astype(working_dtype(z), copy=False)
    energy = np.square(work).sum(axis=axis, keepdims=True)
    energy = energy + np.square(work.sum(axis=axis, keepdims=True))
    y = work / np.sqrt(energy / (z.shape[axis] + 1) + epsilon)
    return np.asarray(y.astype(z.dtype))


def trailing_axes(call: Call, x: Array) -> tuple[int, ...]:
    """The axes from ``axis`` (default -1) to the last."""
    return tuple(range(call.get("axis", -1) % x.ndim, x.ndim))


def _layer_normalization(
    call: Call, x: Array, scale: Array, bias: Array | None = None
) -> tuple[Array, ...]:
    return layer_norm(x, scale, bias, trailing_axes(call, x), call.get("epsilon", _EPSILON))


def _rms_normalization(call: Call, x: Array, scale: Array | None = None) -> Array:
    return rms_norm(x, scale, trailing_axes(call, x), call.get("epsilon", _EPSILON))[0]


def _simplified_layer_normalization(call: Call, x: Array, scale: Array) -> tuple[Array, Array]:
    """ONNX Runtime's RMSNorm; it lives in the default domain, and has a second output."""
    return rms_norm(x, scale, trailing_axes(call, x), call.get("epsilon", _EPSILON))


def _crms_normalization(call: Call, z: Array) -> Array:
    """The internal norm of compressed streams, and graphopt.CRMSNorm."""
    return crms_norm(z, call.get("axis", -1), call.get("epsilon", _EPSILON))


def _skip_rms_norm(
    call: Call, x: Array, residual: Array, gamma: Array, bias: Array | None = None
) -> tuple[Array, Array]:
    total = _total(x, residual, bias)
    return _rms_normalization(call, total, gamma), total


def _skip_crms_norm(
    call: Call, x: Array, residual: Array, bias: Array | None = None
) -> tuple[Array, Array]:
    total = _total(x, residual, bias)
    return _crms_normalization(call, total), total


def _skip_layer_norm(
    call: Call,
    x: Array,
    residual: Array,
    gamma: Array,
    beta: Array,
    bias: Array | None = None,
) -> tuple[Array, Array]:
    total = _total(x, residual, bias)
    return _layer_normalization(call, total, gamma, beta)[0], total


def _total(x: Array, residual: Array, bias: Array | None) -> Array:
    return np.asarray((x if bias is None else x + bias) + residual)


def _over_channels(x: Array, parameter: Array) -> Array:
    """A parameter of one entry a channel, shaped to broadcast over x [N, C, ...]."""
    return parameter.reshape(-1, *(1,) * (x.ndim - 2))


def _instance_normalization(call: Call, x: Array, scale: Array, bias: Array) -> Array:
    axes = tuple(range(2, x.ndim))
    parameters = _over_channels(x, scale), _over_channels(x, bias)
    return layer_norm(x, *parameters, axes, call.get("epsilon", _EPSILON))[0]


def _group_normalization(call: Call, x: Array, scale: Array, bias: Array) -> Array:
    """Until opset 20 scale and bias have one entry a group, from 21 one a channel."""
    groups = call.get("num_groups")
    size = x.shape[1] // groups
    if call.version < 21:
        scale, bias = np.repeat(scale, size), np.repeat(bias, size)
    rows = x.reshape(x.shape[0], groups, size * math.prod(x.shape[2:]))
    one = np.ones((), dtype=x.dtype)
    normal = layer_norm(rows, one, None, (2,), call.get("epsilon", _EPSILON))[0].reshape(x.shape)
    return (normal * _over_channels(x, scale) + _over_channels(x, bias)).astype(x.dtype)


def _batch_normalization(
    call: Call, x: Array, scale: Array, bias: Array, mean: Array, variance: Array
) -> Array:
    scale, bias, mean, variance = (_over_channels(x, p) for p in (scale, bias, mean, variance))
    inverse = 1 / np.sqrt(variance + call.get("epsilon", _EPSILON))
    return np.asarray((x - mean) * inverse * scale + bias)


def _lp_normalization(call: Call, x: Array) -> Array:
    """x over its norm; zeros, which have none, stay zeros."""
    axis = call.get("axis", -1)
    if call.get("p", 2) == 1:
        norm = np.abs(x).sum(axis=axis, keepdims=True)
    else:
        norm = np.sqrt(np.square(x).sum(axis=axis, keepdims=True))
    return np.asarray(x / np.where(norm == 0, 1, norm))


KERNELS: dict[str, Kernel] = {
    "BatchNormalization": _batch_normalization,
    "CRMSNormalization": _crms_normalization,
    "GroupNormalization": _group_normalization,
    "InstanceNormalization": _instance_normalization,
    "LayerNormalization": _layer_normalization,
    "LpNormalization": _lp_normalization,
    "RMSNormalization": _rms_normalization,
    "SimplifiedLayerNormalization": _simplified_layer_normalization,
}
GRAPHOPT_KERNELS: dict[str, Kernel] = {
    "CRMSNorm": _crms_normalization,
    "LayerNorm": _layer_normalization,
    "RMSNorm": _rms_normalization,
    "SkipCRMSNorm": _skip_crms_norm,
    "SkipLayerNorm": _skip_layer_norm,
    "SkipRMSNorm": _skip_rms_norm,
}
"""The operators of the domain graphopt where a model has no bodies for them."""
