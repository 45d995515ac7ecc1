"""LayerNorm in its spellings, and norms that only look like it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tests.random_graphs.builder import Builder
from tests.random_graphs.tensors import Tensor

__all__ = ["epsilon", "layer_norm", "rms_norm"]


def epsilon(g: Builder) -> float:
    return g.pick([1e-5, 1e-5, 1e-3, 1e-2])


def layer_norm(g: Builder, x: Tensor, *, eps: float | None = None, fused: bool = False) -> Tensor:
    """LayerNorm over the features of x, on whatever axis they are."""
    eps = epsilon(g) if eps is None else eps
    if fused and not x.is_last:
        y = layer_norm(g, g.features_last(x), eps=eps, fused=True)
        back = list(range(x.rank - 1))
        back.insert(x.axis, x.rank - 1)
        return g.transpose(y, back)
    if x.is_last and g.opset >= 17 and (fused or g.chance(70)):
        return _fused(g, x, eps)
    return _decomposed(g, x, eps)


def _gamma(g: Builder, shape: list[int]) -> np.ndarray:
    if g.chance(10):
        return np.full(shape, g.random.uniform(0.5, 1.5))  # centred already, with a centred beta
    gamma = 1 + 0.5 * g.normal(shape)
    if g.chance(5):
        gamma.flat[0] = 0.0
    return gamma


def _beta(g: Builder, shape: list[int]) -> np.ndarray:
    beta = g.normal(shape)
    return beta - beta.mean() if g.chance(10) else beta


def _fused(g: Builder, x: Tensor, eps: float) -> Tensor:
    inputs: list[Tensor | ir.Value | None] = [x, g.constant(_gamma(g, [x.size]), "gamma")]
    if g.chance(85):
        inputs.append(g.constant(_beta(g, [x.size]), "beta"))
    attributes: dict[str, float | int] = {}
    if eps != 1e-5 or g.chance(50):
        attributes["epsilon"] = eps
    if g.chance(50):
        attributes["axis"] = g.pick([-1, x.axis])
    if g.chance(10):
        attributes["stash_type"] = 1
    return g.node("LayerNormalization", inputs, x.dims, x.axis, **attributes)


def _decomposed(g: Builder, x: Tensor, eps: float) -> Tensor:
    mean = g.reduce("ReduceMean", x, x.axis)
    centred = g.binary("Sub", x, mean)
    again = g.binary("Sub", x, mean) if g.chance(15) else centred
    if g.chance(60):
        square = g.binary("Pow", again, g.constant(2.0))
    else:
        square = g.binary("Mul", again, again)
    variance = g.reduce("ReduceMean", square, x.axis)
    shifted = g.binary("Add", variance, g.constant(eps), flip=g.chance(20))
    root = g.unary("Sqrt", shifted)
    if g.chance(70):
        y = g.binary("Div", centred, root)
    else:
        y = g.binary("Mul", centred, g.unary("Reciprocal", root), flip=g.chance(30))
    shape = [x.size] + [1] * (x.rank - 1 - x.axis)
    if g.chance(85):
        y = g.binary("Mul", y, g.constant(_gamma(g, shape), "gamma"), flip=g.chance(30))
        if g.chance(85):
            y = g.binary("Add", y, g.constant(_beta(g, shape), "beta"), flip=g.chance(30))
    return y


def rms_norm(g: Builder, x: Tensor) -> Tensor:
    """RMSNorm: it reads its input raw."""
    square = g.binary("Pow", x, g.constant(2.0))
    mean = g.reduce("ReduceMean", square, x.axis)
    root = g.unary("Sqrt", g.binary("Add", mean, g.constant(1e-5)))
    shape = [x.size] + [1] * (x.rank - 1 - x.axis)
    return g.binary("Mul", g.binary("Div", x, root), g.constant(_gamma(g, shape), "gamma"))
