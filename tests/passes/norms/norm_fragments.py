"""What text graphs of LayerNorms are put together from, and the model around them.

Every body reads x [B, S, 8] and writes y; gamma, beta and the constants are declared below.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from onnx_shape_inference import infer_symbolic_shapes

GAMMA = np.array([0.5, -1.25, 2.0, 0.75, 1.5, -0.25, 1.0, 3.0])
BETA = np.array([0.125, -0.5, 1.0, 0.0, -2.0, 0.25, 0.75, -1.0])
EPSILON = 1e-3  # large enough to show where it is lost

_ATTRIBUTE_MEAN = """
    mean = ReduceMean<axes = [-1]>(x)
    d = Sub(x, mean)
"""
_DEVIATION = """
    square = Pow(d, two)
    variance = ReduceMean<axes = [-1], keepdims = 1>(square)
    shifted = Add(variance, eps)
    deviation = Sqrt(shifted)
"""
CORE = _ATTRIBUTE_MEAN + _DEVIATION + "    n = Div(d, deviation)\n"
AFFINE = """
    scaled = Mul(n, gamma)
    y = Add(scaled, beta)
"""
RSTD = _ATTRIBUTE_MEAN + _DEVIATION + "    rstd = Reciprocal(deviation)\n"

ONE_PASS = """
    mean = ReduceMean<axes = [-1]>(x)
    xx = Mul(x, x)
    moment = ReduceMean<axes = [-1]>(xx)
    mm = Mul(mean, mean)
    variance = Sub(moment, mm)
    shifted = Add(variance, eps)
    deviation = Sqrt(shifted)
    d = Sub(x, mean)
    n = Div(d, deviation)
"""
_FLAX = """
    mean = ReduceMean<axes = [-1], keepdims = 0>(x)
    xx = Mul(x, x)
    moment = ReduceMean<axes = [-1], keepdims = 0>(xx)
    mm = Mul(mean, mean)
    v0 = Sub(moment, mm)
    v1 = Max(nought, v0)
    mean3 = Reshape(mean, rows)
    v3 = Reshape(v1, rows)
    shifted = Add(v3, eps)
    deviation = Sqrt(shifted)
    d = Sub(x, mean3)
    n = Div(d, deviation)
"""
KERAS = """
    flat = Reshape(x, four)
    kept = ReduceMean<axes = [0, 2, 3]>(flat)
    c = Sub(flat, kept)
    square = Mul(c, c)
    variance = ReduceMean<axes = [0, 2, 3], keepdims = 0>(square)
    mean = ReduceMean<axes = [0, 2, 3], keepdims = 0>(flat)
    normal = BatchNormalization<epsilon = 0.001>(flat, ones, zeros, mean, variance)
    n = Reshape(normal, whole)
"""
ONNX_BODY = """
    sizes = Shape(x)
    flat = Flatten<axis = 2>(x)
    mean = ReduceMean<axes = [1]>(flat)
    xx = Mul(flat, flat)
    moment = ReduceMean<axes = [1]>(xx)
    mm = Mul(mean, mean)
    variance = Sub(moment, mm)
    shifted = Add(variance, eps)
    deviation = Sqrt(shifted)
    d = Sub(flat, mean)
    n = Div(d, deviation)
    gamma2 = Flatten<axis = 0>(gamma)
    scaled = Mul(n, gamma2)
    beta2 = Flatten<axis = 0>(beta)
    biased = Add(scaled, beta2)
    y = Reshape(biased, sizes)
"""
_SUM_AND_SHARE = "sum = ReduceSum(x, last)\n mean = Mul(sum, eighth)"


def clamped(clamp: str) -> str:
    """The one-pass form with its variance behind a clamp."""
    body = ONE_PASS.replace("Add(variance,", "Add(v0,")
    return body.replace("shifted =", f"v0 = {clamp}\n shifted =") + AFFINE


def spelled(body: str, opset: int = 17) -> ir.Model:
    """The model with ``body``, its shapes inferred; below opset 13 Unsqueeze is not available.

    The shape of x is static where the body reshapes by constant sizes.
    """
    is_static = any(name in body for name in ("rows", "whole"))
    shape, rows = ("2, 3, 8", "2, 3") if is_static else ("B, S, 8", "0, 0")
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : {opset}, "com.microsoft" : 1]>
        graph (float[{shape}] x, float[{shape}] other, float input_eps) => (float[{shape}] y)
        <float[8] gamma = {{{_listed(GAMMA)}}}, float[8] beta = {{{_listed(BETA)}}},
         float[1,1,8] gamma3 = {{{_listed(GAMMA)}}}, float[1,1,8] beta3 = {{{_listed(BETA)}}},
         float[1,1,1,8] gamma4 = {{{_listed(GAMMA)}}}, float[1,1,1,1] eps4 = {{{EPSILON}}},
         float eps = {{{EPSILON}}}, float input_eps = {{{EPSILON}}}, float one = {{1.0}},
         float[1] two = {{2.0}}, float three = {{3.0}}, float half = {{0.5}},
         float minus_half = {{-0.5}}, float seven = {{7.0}}, float eight = {{8.0}},
         float nought = {{0.0}}, float eighth = {{0.125}}, float largest = {{3.4028235e38}},
         float corrected = {{1.1428571}}, double two64 = {{2.0}}, double three64 = {{3.0}},
         double eps64 = {{{EPSILON}}}, float[6] ones = {{{"1, " * 5}1}},
         float[6] twos = {{{"2, " * 5}2}}, float[6] zeros = {{{"0, " * 5}0}},
         float[12] ones12 = {{{"1, " * 11}1}}, float[12] zeros12 = {{{"0, " * 11}0}},
         float[3, 8] table = {{{_listed(np.tile(GAMMA, 3))}}},
         int64[3] rows = {{{rows}, 1}},
         int64[4] four = {{1, -1, 8, 1}}, int64[4] halves = {{1, -1, 4, 1}},
         int64[3] whole = {{{rows}, 8}},
         int64[1] last = {{-1}}, int64[1] single = {{1}}>
        {{ {body} }}"""
    )
    infer_symbolic_shapes(model)
    return model


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """Inputs whose mean is as large as their deviation."""
    draw = np.random.default_rng(seed)
    return {
        "x": draw.normal(1.0, 1.0, (2, 3, 8)),
        "other": draw.normal(-0.5, 2.0, (2, 3, 8)),
        "input_eps": np.array(0.5),
    }


def _listed(entries: np.ndarray) -> str:
    return ", ".join(str(float(entry)) for entry in entries)
