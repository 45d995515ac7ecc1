"""Text graphs of what only looks like a LayerNorm over the last axis, made from the spellings."""

from __future__ import annotations

from tests.passes.norms.norm_fragments import AFFINE, CORE, KERAS, ONE_PASS, RSTD, clamped
from tests.passes.norms.norm_spellings import SPELLINGS

_WRONG = CORE + AFFINE
_WRONG_ONE_PASS = ONE_PASS + AFFINE
_WRONG_KERAS = KERAS + AFFINE
_WRONG_SHARE = SPELLINGS["ReduceSum times 1 / d"][0]
_WRONG_CAST = SPELLINGS["constants behind Casts"][0]
_WRONG_RMS = SPELLINGS["an RMSNorm of the difference, and beta"][0]
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
    "two over Sqrt": RSTD.replace("Reciprocal(deviation)", "Div(two, deviation)")
    + "n = Mul(d, rstd)"
    + AFFINE,
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
    "numerator over another axis": _WRONG.replace("Div(d,", "Div(d1,").replace(
        "square =", "mean1 = ReduceMean<axes = [1]>(x)\n d1 = Sub(x, mean1)\n square ="
    ),
    "one pass, mean of another value": _WRONG_ONE_PASS.replace(
        "mm = Mul(mean, mean)", "m2 = ReduceMean<axes = [-1]>(other)\n mm = Mul(m2, m2)"
    ),
    "one pass, mean over another axis": _WRONG_ONE_PASS.replace(
        "mm = Mul(mean, mean)", "m2 = ReduceMean<axes = [1]>(x)\n mm = Mul(m2, m2)"
    ),
    "one pass, moment over another axis": _WRONG_ONE_PASS.replace(
        "ReduceMean<axes = [-1]>(xx)", "ReduceMean<axes = [1]>(xx)"
    ),
    "one pass, squares of another value": _WRONG_ONE_PASS.replace("Mul(x, x)", "Mul(other, other)"),
    "one pass, cubes": _WRONG_ONE_PASS.replace("Mul(x, x)", "Pow(x, three)"),
    "one pass, mean not squared": _WRONG_ONE_PASS.replace("Sub(moment, mm)", "Sub(moment, mean)"),
    "one pass, sum in the place of the difference": _WRONG_ONE_PASS.replace(
        "Sub(moment, mm)", "Add(moment, mm)"
    ),
    "one pass, difference reversed": clamped("Abs(variance)")
    .replace("Sub(moment, mm)", "Sub(mm, moment)")
    .replace("Abs(variance)", "Relu(variance)"),
    "one pass, numerator not centred": _WRONG_ONE_PASS.replace("Div(d,", "Div(x,"),
    "one pass, Bessel's correction": clamped("Mul(variance, corrected)"),
    "one pass, epsilon outside the root": _WRONG_ONE_PASS.replace(
        "shifted = Add(variance, eps)", "root = Sqrt(variance)"
    ).replace("deviation = Sqrt(shifted)", "deviation = Add(root, eps)"),
    "one pass, Max with a bound that binds": clamped("Max(half, variance)"),
    "one pass, Max with a value": clamped("Max(mean, variance)"),
    "one pass, Clip with a bound that binds": clamped("Clip(variance, half)"),
    "one pass, Clip from above": clamped("Clip(variance, nought, half)"),
    "one pass, Clip by an input": clamped("Clip(variance, input_eps)"),
    "ReduceSum times 1 / 7": _WRONG_SHARE.replace("Mul(eighth, sum2)", "Div(sum2, seven)"),
    "ReduceMean times 1 / d": _WRONG.replace(
        "shifted = Add(variance, eps)", "v1 = Mul(variance, eighth)\n shifted = Add(v1, eps)"
    ),
    "ReduceSum times d": _WRONG_SHARE.replace("Mul(eighth,", "Mul(eight,"),
    "ReduceSum alone": _WRONG_SHARE.replace(
        "variance = Mul(eighth, sum2)", "variance = Identity(sum2)"
    ),
    "exponent 3 behind a Cast": _WRONG_CAST.replace("(two64)", "(three64)"),
    "exponent that a Cast rounds": _WRONG_CAST.replace(
        "Cast<to = 1>(two64)", "Cast<to = 1>(input_eps)"
    ),
    "Abs before a cube": SPELLINGS["Abs before the square"][0].replace("(a, two)", "(a, three)"),
    "numerator without sign": _WRONG.replace("Div(d,", "Div(a,").replace(
        "square =", "a = Abs(d)\n square ="
    ),
    "ReduceSumSquare over d - 1": SPELLINGS["ReduceSumSquare"][0].replace("eight)", "seven)"),
    "ReduceSumSquare over another axis": SPELLINGS["ReduceSumSquare"][0].replace(
        "ReduceSumSquare<axes = [-1]>", "ReduceSumSquare<axes = [1]>"
    ),
    "ReduceL2, not squared": SPELLINGS["the square of ReduceL2"][0].replace(
        "Mul(l2, l2)", "Identity(l2)"
    ),
    "ReduceL1": SPELLINGS["the square of ReduceL2"][0].replace("ReduceL2", "ReduceL1"),
    "an RMSNorm of another difference": SPELLINGS["an RMSNorm of the difference, and beta"][
        0
    ].replace("axes = [-1]>(x)", "axes = [1]>(x)"),
    "an RMSNorm over two axes": _WRONG_RMS.replace("axis = 2", "axis = 1").replace(
        "(d, gamma)", "(d, table)"
    ),
    "BatchNormalization with a scale": _WRONG_KERAS.replace("ones, zeros", "twos, zeros"),
    "BatchNormalization with a bias": _WRONG_KERAS.replace("ones, zeros", "ones, ones"),
    "BatchNormalization by another mean": _WRONG_KERAS.replace("zeros, mean,", "zeros, zeros,"),
    "BatchNormalization by another variance": _WRONG_KERAS.replace(
        "mean, variance)", "mean, ones)"
    ),
    "BatchNormalization by the variance of another value": _WRONG_KERAS.replace(
        "Mul(c, c)", "Mul(flat, flat)"
    ),
    "BatchNormalization of rows that are not the last axis": _WRONG_KERAS.replace(
        "(x, four)", "(x, halves)"
    ).replace("ones, zeros", "ones12, zeros12"),
    "folded, mean added": SPELLINGS["folded as a difference"][0].replace("y = Sub", "y = Add"),
}
