"""Text graphs of one LayerNorm over the last axis, in each spelling."""

from __future__ import annotations

from tests.passes.norms.norm_fragments import (
    _ATTRIBUTE_MEAN,
    _DEVIATION,
    _FLAX,
    _SUM_AND_SHARE,
    AFFINE,
    CORE,
    KERAS,
    ONE_PASS,
    RSTD,
    clamped,
)

# name: (body, has gamma, has beta)
SPELLINGS: dict[str, tuple[str, bool, bool]] = {
    "attribute axes, Pow, Div": (CORE + AFFINE, True, True),
    "operands swapped": (
        CORE.replace("Add(variance, eps)", "Add(eps, variance)")
        + "scaled = Mul(gamma, n)\n y = Add(beta, scaled)",
        True,
        True,
    ),
    "positive axis": (CORE.replace("[-1]", "[2]") + AFFINE, True, True),
    "no affine": (_ATTRIBUTE_MEAN + _DEVIATION + "y = Div(d, deviation)", False, False),
    "gamma alone": (CORE + "y = Mul(n, gamma)", True, False),
    "beta alone": (CORE + "y = Add(n, beta)", False, True),
    "gamma and beta of rank 3": (
        CORE + "scaled = Mul(n, gamma3)\n y = Add(scaled, beta3)",
        True,
        True,
    ),
    "Mul(d, d)": (CORE.replace("Pow(d, two)", "Mul(d, d)") + AFFINE, True, True),
    "Sub twice": (
        CORE.replace("Div(d,", "Div(again,").replace("square =", "again = Sub(x, mean)\n square =")
        + AFFINE,
        True,
        True,
    ),
    "ReduceMean and Sub twice": (
        CORE.replace("Div(d,", "Div(again,").replace(
            "square =",
            "mean2 = ReduceMean<axes = [2], keepdims = 1>(x)\n again = Sub(x, mean2)\n square =",
        )
        + AFFINE,
        True,
        True,
    ),
    "Mul of two equal differences": (
        CORE.replace("Pow(d, two)", "Mul(d, again)").replace(
            "square =", "again = Sub(x, mean)\n square ="
        )
        + AFFINE,
        True,
        True,
    ),
    "variance of the centred value": (
        CORE.replace(
            "square =", "zero = ReduceMean<axes = [-1]>(d)\n dd = Sub(d, zero)\n square ="
        ).replace("Pow(d,", "Pow(dd,")
        + AFFINE,
        True,
        True,
    ),
    "Reciprocal": (RSTD + "n = Mul(d, rstd)" + AFFINE, True, True),
    "one over Sqrt": (
        RSTD.replace("Reciprocal(deviation)", "Div(one, deviation)") + "n = Mul(rstd, d)" + AFFINE,
        True,
        True,
    ),
    "Pow of minus one half": (
        RSTD.replace("deviation = Sqrt(shifted)", "").replace(
            "Reciprocal(deviation)", "Pow(shifted, minus_half)"
        )
        + "n = Mul(d, rstd)"
        + AFFINE,
        True,
        True,
    ),
    "Pow of one half": (
        CORE.replace("Sqrt(shifted)", "Pow(shifted, half)") + AFFINE,
        True,
        True,
    ),
    "gamma times reciprocal": (
        RSTD + "factor = Mul(rstd, gamma)\n scaled = Mul(d, factor)\n y = Add(scaled, beta)",
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
        RSTD
        + """factor = Mul(rstd, gamma)
        left = Mul(x, factor)
        right = Mul(mean, factor)
        shift = Sub(beta, right)
        y = Add(left, shift)""",
        True,
        True,
    ),
    "folded without beta": (
        RSTD
        + """factor = Mul(gamma, rstd)
        left = Mul(factor, x)
        negative = Neg(mean)
        shift = Mul(negative, factor)
        y = Add(shift, left)""",
        True,
        False,
    ),
    "folded as a difference": (
        RSTD
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
        + AFFINE,
        True,
        True,
    ),
    "keepdims = 0, Reshape and Expand by computed sizes": (
        CORE.replace(
            "variance = ReduceMean<axes = [-1], keepdims = 1>(square)",
            """flat = ReduceMean<axes = [-1], keepdims = 0>(square)
            sizes = Shape(flat)
            kept = Concat<axis = 0>(sizes, single)
            shaped = Reshape(flat, kept)
            variance = Expand(shaped, kept)""",
        )
        + AFFINE,
        True,
        True,
    ),
    "keepdims = 0 and Unsqueeze": (
        CORE.replace(
            "mean = ReduceMean<axes = [-1]>(x)",
            "flat = ReduceMean<axes = [-1], keepdims = 0>(x)\n mean = Unsqueeze(flat, last)",
        )
        + AFFINE,
        True,
        True,
    ),
    "one pass": (ONE_PASS + AFFINE, True, True),
    "one pass, Pow and a swapped product": (
        ONE_PASS.replace("Mul(x, x)", "Pow(x, two)").replace("Mul(mean, mean)", "Pow(mean, two)")
        + "scaled = Mul(gamma, n)\n y = Add(beta, scaled)",
        True,
        True,
    ),
    "one pass, Max": (clamped("Max(nought, variance)"), True, True),
    "one pass, Relu": (clamped("Relu(variance)"), True, True),
    "one pass, Abs": (clamped("Abs(variance)"), True, True),
    "one pass, Clip": (clamped("Clip(variance, nought)"), True, True),
    "one pass, Clip without bounds": (clamped("Clip(variance)"), True, True),
    "one pass of ReduceSum": (
        ONE_PASS.replace("mean = ReduceMean<axes = [-1]>(x)", _SUM_AND_SHARE)
        .replace(
            "moment = ReduceMean<axes = [-1]>(xx)",
            "sum2 = ReduceSum(xx, last)\n moment = Mul(sum2, eighth)",
        )
        .replace("variance = Sub", "variance = Sub")
        + AFFINE,
        True,
        True,
    ),
    "one pass, axes dropped and brought back by Reshape (Flax)": (_FLAX + AFFINE, True, True),
    "one pass, axes brought back behind Sqrt": (
        _FLAX.replace("v3 = Reshape(v1, rows)\n", "")
        .replace("Add(v3, eps)", "Add(v1, eps)")
        .replace(
            "deviation = Sqrt(shifted)", "flat = Sqrt(shifted)\n deviation = Unsqueeze(flat, last)"
        )
        + AFFINE,
        True,
        True,
    ),
    "two passes, a clamp": (
        CORE.replace("Add(variance, eps)", "Add(v0, eps)").replace(
            "shifted =", "v0 = Max(variance, nought)\n shifted ="
        )
        + AFFINE,
        True,
        True,
    ),
    "ReduceSum times 1 / d": (
        CORE.replace("mean = ReduceMean<axes = [-1]>(x)", _SUM_AND_SHARE).replace(
            "variance = ReduceMean<axes = [-1], keepdims = 1>(square)",
            "sum2 = ReduceSum(square, last)\n variance = Mul(eighth, sum2)",
        )
        + AFFINE,
        True,
        True,
    ),
    "Abs before the square": (
        CORE.replace("Pow(d, two)", "Pow(a, two)").replace("square =", "a = Abs(d)\n square =")
        + AFFINE,
        True,
        True,
    ),
    "constants behind Casts": (
        CORE.replace("Pow(d, two)", "Pow(d, exponent)")
        .replace("square =", "exponent = Cast<to = 1>(two64)\n square =")
        .replace("Add(variance, eps)", "Add(variance, e)")
        .replace("shifted =", "e = Cast<to = 1>(eps64)\n shifted =")
        + AFFINE,
        True,
        True,
    ),
    "ReduceSumSquare": (
        CORE.replace("square = Pow(d, two)\n", "").replace(
            "variance = ReduceMean<axes = [-1], keepdims = 1>(square)",
            "sum2 = ReduceSumSquare<axes = [-1]>(d)\n variance = Div(sum2, eight)",
        )
        + AFFINE,
        True,
        True,
    ),
    "the square of ReduceL2": (
        CORE.replace("square = Pow(d, two)\n", "").replace(
            "variance = ReduceMean<axes = [-1], keepdims = 1>(square)",
            "l2 = ReduceL2<axes = [-1]>(d)\n sum2 = Mul(l2, l2)\n variance = Mul(sum2, eighth)",
        )
        + AFFINE,
        True,
        True,
    ),
    "an RMSNorm of the difference": (
        _ATTRIBUTE_MEAN + "y = SimplifiedLayerNormalization<epsilon = 0.001>(d, gamma)",
        True,
        False,
    ),
    "an RMSNorm of the difference, and beta": (
        _ATTRIBUTE_MEAN
        + "n = SimplifiedLayerNormalization<axis = 2, epsilon = 0.001>(d, gamma)"
        + "\n y = Add(n, beta)",
        True,
        True,
    ),
    "BatchNormalization of computed moments (Keras)": (KERAS + AFFINE, True, True),
    "BatchNormalization, ones and zeros of a computed size": (
        KERAS.replace("ones,", "o,")
        .replace("zeros,", "z,")
        .replace(
            "normal =",
            """count = Shape(mean)
            o = Expand(one, count)
            z = ConstantOfShape(count)
            normal =""",
        )
        + AFFINE,
        True,
        True,
    ),
    "Casts that change nothing": (
        CORE.replace("Pow(d, two)", "Pow(wide, two)")
        .replace("square =", "wide = Cast<to = 1>(d)\n square =")
        .replace("n = Div(d, deviation)", "w = Div(wide, deviation)\n n = Cast<to = 1>(w)")
        + AFFINE,
        True,
        True,
    ),
}
