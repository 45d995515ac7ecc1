"""Text graphs of one LayerNorm over the last axis, in each spelling, and of what only looks so.

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
_CORE = _ATTRIBUTE_MEAN + _DEVIATION + "    n = Div(d, deviation)\n"
_AFFINE = """
    scaled = Mul(n, gamma)
    y = Add(scaled, beta)
"""
_RSTD = _ATTRIBUTE_MEAN + _DEVIATION + "    rstd = Reciprocal(deviation)\n"

# name: (body, has gamma, has beta)
SPELLINGS: dict[str, tuple[str, bool, bool]] = {
    "attribute axes, Pow, Div": (_CORE + _AFFINE, True, True),
    "operands swapped": (
        _CORE.replace("Add(variance, eps)", "Add(eps, variance)")
        + "scaled = Mul(gamma, n)\n y = Add(beta, scaled)",
        True,
        True,
    ),
    "positive axis": (_CORE.replace("[-1]", "[2]") + _AFFINE, True, True),
    "no affine": (_ATTRIBUTE_MEAN + _DEVIATION + "y = Div(d, deviation)", False, False),
    "gamma alone": (_CORE + "y = Mul(n, gamma)", True, False),
    "beta alone": (_CORE + "y = Add(n, beta)", False, True),
    "gamma and beta of rank 3": (
        _CORE + "scaled = Mul(n, gamma3)\n y = Add(scaled, beta3)",
        True,
        True,
    ),
    "Mul(d, d)": (_CORE.replace("Pow(d, two)", "Mul(d, d)") + _AFFINE, True, True),
    "Sub twice": (
        _CORE.replace("Div(d,", "Div(again,").replace("square =", "again = Sub(x, mean)\n square =")
        + _AFFINE,
        True,
        True,
    ),
    "ReduceMean and Sub twice": (
        _CORE.replace("Div(d,", "Div(again,").replace(
            "square =",
            "mean2 = ReduceMean<axes = [2], keepdims = 1>(x)\n again = Sub(x, mean2)\n square =",
        )
        + _AFFINE,
        True,
        True,
    ),
    "Mul of two equal differences": (
        _CORE.replace("Pow(d, two)", "Mul(d, again)").replace(
            "square =", "again = Sub(x, mean)\n square ="
        )
        + _AFFINE,
        True,
        True,
    ),
    "variance of the centred value": (
        _CORE.replace(
            "square =", "zero = ReduceMean<axes = [-1]>(d)\n dd = Sub(d, zero)\n square ="
        ).replace("Pow(d,", "Pow(dd,")
        + _AFFINE,
        True,
        True,
    ),
    "Reciprocal": (_RSTD + "n = Mul(d, rstd)" + _AFFINE, True, True),
    "one over Sqrt": (
        _RSTD.replace("Reciprocal(deviation)", "Div(one, deviation)")
        + "n = Mul(rstd, d)"
        + _AFFINE,
        True,
        True,
    ),
    "Pow of minus one half": (
        _RSTD.replace("deviation = Sqrt(shifted)", "").replace(
            "Reciprocal(deviation)", "Pow(shifted, minus_half)"
        )
        + "n = Mul(d, rstd)"
        + _AFFINE,
        True,
        True,
    ),
    "Pow of one half": (
        _CORE.replace("Sqrt(shifted)", "Pow(shifted, half)") + _AFFINE,
        True,
        True,
    ),
    "gamma times reciprocal": (
        _RSTD + "factor = Mul(rstd, gamma)\n scaled = Mul(d, factor)\n y = Add(scaled, beta)",
        True,
        True,
    ),
    "gamma times difference": (
        _ATTRIBUTE_MEAN
        + _DEVIATION
        + "gd = Mul(gamma, d)\n scaled = Div(gd, deviation)\n y = Add(scaled, beta)",
        True,
        True,
    ),
    "folded": (
        _RSTD
        + """factor = Mul(rstd, gamma)
        left = Mul(x, factor)
        right = Mul(mean, factor)
        shift = Sub(beta, right)
        y = Add(left, shift)""",
        True,
        True,
    ),
    "folded without beta": (
        _RSTD
        + """factor = Mul(gamma, rstd)
        left = Mul(factor, x)
        negative = Neg(mean)
        shift = Mul(negative, factor)
        y = Add(shift, left)""",
        True,
        False,
    ),
    "folded as a difference": (
        _RSTD
        + """left = Mul(x, rstd)
        right = Mul(mean, rstd)
        y = Sub(left, right)""",
        False,
        False,
    ),
    "ReduceSum over d": (
        """sum = ReduceSum<keepdims = 1>(x, last)
        mean = Div(sum, eight)
        d = Sub(x, mean)
        square = Mul(d, d)
        sum2 = ReduceSum(square, last)
        variance = Div(sum2, eight)
        shifted = Add(variance, eps)
        deviation = Sqrt(shifted)
        n = Div(d, deviation)"""
        + _AFFINE,
        True,
        True,
    ),
    "keepdims = 0, Reshape and Expand by computed sizes": (
        _CORE.replace(
            "variance = ReduceMean<axes = [-1], keepdims = 1>(square)",
            """flat = ReduceMean<axes = [-1], keepdims = 0>(square)
            sizes = Shape(flat)
            kept = Concat<axis = 0>(sizes, single)
            shaped = Reshape(flat, kept)
            variance = Expand(shaped, kept)""",
        )
        + _AFFINE,
        True,
        True,
    ),
    "keepdims = 0 and Unsqueeze": (
        _CORE.replace(
            "mean = ReduceMean<axes = [-1]>(x)",
            "flat = ReduceMean<axes = [-1], keepdims = 0>(x)\n mean = Unsqueeze(flat, last)",
        )
        + _AFFINE,
        True,
        True,
    ),
    "Casts that change nothing": (
        _CORE.replace("Pow(d, two)", "Pow(wide, two)")
        .replace("square =", "wide = Cast<to = 1>(d)\n square =")
        .replace("n = Div(d, deviation)", "w = Div(wide, deviation)\n n = Cast<to = 1>(w)")
        + _AFFINE,
        True,
        True,
    ),
}

_WRONG = _CORE + _AFFINE
NEAR_MISSES: dict[str, str] = {
    "Bessel's correction": _WRONG.replace(
        "shifted = Add(variance, eps)",
        "sum2 = Mul(variance, eight)\n v1 = Div(sum2, seven)\n shifted = Add(v1, eps)",
    ),
    "ReduceSum over d - 1": _WRONG.replace(
        "variance = ReduceMean<axes = [-1], keepdims = 1>(square)",
        "sum2 = ReduceSum(square, last)\n variance = Div(sum2, seven)",
    ),
    "epsilon is computed": _WRONG.replace("Add(variance, eps)", "Add(variance, mean)"),
    "epsilon for each feature": _WRONG.replace("Add(variance, eps)", "Add(variance, gamma)"),
    "epsilon outside the root": _WRONG.replace(
        "shifted = Add(variance, eps)\n    deviation = Sqrt(shifted)",
        "root = Sqrt(variance)\n deviation = Add(root, eps)",
    ),
    "epsilon is also an input": _WRONG.replace("eps)", "input_eps)"),
    "means over different axes": _WRONG.replace("axes = [-1]>(x)", "axes = [1]>(x)"),
    "variance over another axis": _WRONG.replace("axes = [-1], keepdims", "axes = [1], keepdims"),
    "both over another axis": _WRONG.replace("[-1]", "[1]"),
    "both over two axes": _WRONG.replace("[-1]", "[1, 2]"),
    "mean of another value": _WRONG.replace("axes = [-1]>(x)", "axes = [-1]>(other)"),
    "mean of a function of the value": _WRONG.replace(
        "mean = ReduceMean<axes = [-1]>(x)",
        "twice = Add(x, x)\n mean = ReduceMean<axes = [-1]>(twice)",
    ),
    "variance of another value": _WRONG.replace("Pow(d, two)", "Pow(other, two)"),
    "variance not centred": _WRONG.replace("Pow(d, two)", "Pow(x, two)"),
    "numerator not centred": _WRONG.replace("Div(d,", "Div(x,"),
    "mean minus value": _WRONG.replace("Sub(x, mean)", "Sub(mean, x)").replace("Pow(d,", "Pow(x,"),
    "numerator of another value": _WRONG.replace("Div(d,", "Div(other,"),
    "exponent 3": _WRONG.replace("Pow(d, two)", "Pow(d, three)"),
    "exponent 1 for the root": _WRONG.replace("Sqrt(shifted)", "Pow(shifted, one)"),
    "product with another value": _WRONG.replace("Pow(d, two)", "Mul(d, other)"),
    "two over Sqrt": _RSTD.replace("Reciprocal(deviation)", "Div(two, deviation)")
    + "n = Mul(d, rstd)"
    + _AFFINE,
    "deviation over value": _WRONG.replace("Div(d, deviation)", "Div(deviation, d)"),
    "folded with another factor": SPELLINGS["folded"][0].replace(
        "Mul(mean, factor)", "Mul(mean, rstd)"
    ),
    "folded with another mean": SPELLINGS["folded"][0].replace(
        "right = Mul(mean,", "mean2 = ReduceMean<axes = [-1]>(other)\n right = Mul(mean2,"
    ),
    "folded with a mean over another axis": SPELLINGS["folded"][0].replace(
        "right = Mul(mean,", "mean2 = ReduceMean<axes = [1]>(x)\n right = Mul(mean2,"
    ),
    "folded, mean added": SPELLINGS["folded as a difference"][0].replace("y = Sub", "y = Add"),
}


def spelled(body: str, opset: int = 17) -> ir.Model:
    """The model with ``body``, its shapes inferred; below opset 13 Unsqueeze is not available."""
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : {opset}, "com.microsoft" : 1]>
        graph (float[B, S, 8] x, float[B, S, 8] other, float input_eps) => (float[B, S, 8] y)
        <float[8] gamma = {{{_listed(GAMMA)}}}, float[8] beta = {{{_listed(BETA)}}},
         float[1,1,8] gamma3 = {{{_listed(GAMMA)}}}, float[1,1,8] beta3 = {{{_listed(BETA)}}},
         float[1,1,1,8] gamma4 = {{{_listed(GAMMA)}}}, float[1,1,1,1] eps4 = {{{EPSILON}}},
         float eps = {{{EPSILON}}}, float input_eps = {{{EPSILON}}}, float one = {{1.0}},
         float[1] two = {{2.0}}, float three = {{3.0}}, float half = {{0.5}},
         float minus_half = {{-0.5}}, float seven = {{7.0}}, float eight = {{8.0}},
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
