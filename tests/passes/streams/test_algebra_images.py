"""Convolutions, pooling and resizing: features on axis 1, which a norm reads as the last axis."""

from __future__ import annotations

import numpy as np

from tests.passes.graphs import Case, assert_outcome, cases

WEIGHTS = """k[8,3,2,2] k2[8,3,1,1] kt[3,8,2,2] b[8] depthwise[8,1,2,2] halves[8,4,1,1]
    line[8,3,2] p[1,8,1,1] g[8] c[8]"""
CONSTANTS = {
    "flat": np.array([0, 8, -1], np.int64),
    "doubled": np.array([1, 1, 2, 2], np.float32),
    "larger": np.array([1, 1.1, 1, 1], np.float32),
    "larger_features": np.array([1.1], np.float32),
    "pair": np.array([2, 2], np.float32),
    "empty": np.array([], np.float32),
    "nearly": np.array([9, 32, 32], np.int64),
    "tall": np.array([2, 8, 9, 9], np.int64),
    "region": np.array([0, 0, 0, 0, 1, 1, 1, 1], np.float32),
}
_IMAGE = "float[2,3,5,5] image, float[4] scales"


def _case(
    body: str, inputs: str = _IMAGE, opset: int = 17, declared: str = "", **expected: object
) -> Case:
    """The body writes x [2, 8, ...]; v is x with the places in one axis and the features last."""
    body += """ lines = Reshape(x, flat) v = Transpose<perm = [0, 2, 1]>(lines)
        y = LayerNormalization(v, g, c)"""
    given = {"inputs": inputs, "outputs": "float y", "opset": opset, "declared": declared}
    return Case(body, WEIGHTS, given={**given, "constants": CONSTANTS}, **expected)


_STREAM = "e = Conv(image, k) "

# body: (constants that absorb the mean, further arguments)
ABSORBS = {
    "x = Conv(image, k)": ("k", {}),
    "x = Conv(image, k, b)": ("k b", {}),
    "x = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(image, k, b)": ("k b", {}),
    'x = Conv<auto_pad = "SAME_UPPER">(image, k, b)': ("k b", {}),
    "x = Conv<group = 1>(image, k2)": ("k2", {}),
    "x = Conv(sound, line, b)": ("line b", {"inputs": "float[B,3,W] sound"}),
    "x = ConvTranspose(image, kt)": ("kt", {}),
    "x = ConvTranspose<pads = [1, 0, 0, 1], strides = [2, 2]>(image, kt, b)": ("kt b", {}),
    "x = ConvTranspose<output_padding = [1, 1], strides = [2, 2]>(image, kt, b)": ("kt b", {}),
    _STREAM + "x = Add(e, p)": ("k p", {}),
    _STREAM + "x = AveragePool<kernel_shape = [2, 2]>(e)": ("k", {}),
    _STREAM + "x = AveragePool<kernel_shape = [2, 2], pads = [1, 1, 1, 1]>(e)": ("k", {}),
    _STREAM + "x = GlobalAveragePool(e)": ("k", {}),
    _STREAM + 'x = Resize(e, "", doubled)': ("k", {}),
    _STREAM + 'x = Resize<mode = "linear">(e, empty, empty, tall)': ("k", {}),
    _STREAM + 'x = Resize<mode = "cubic", exclude_outside = 1>(e, "", doubled)': ("k", {}),
    _STREAM + 'x = Resize<axes = [2, 3]>(e, "", pair)': ("k", {"opset": 18}),
    _STREAM + 'x = Resize<axes = [-1, -2]>(e, "", pair)': ("k", {"opset": 18}),
}

# body: (why y stays, further arguments)
WRITES_RAW = {
    _STREAM + "x = Conv<group = 8>(e, depthwise)": ("Conv x writes it", {}),
    _STREAM + "x = Conv<group = 2>(e, halves)": ("Conv x writes it", {}),
    _STREAM + "x = ConvTranspose<group = 8>(e, depthwise)": ("ConvTranspose x writes it", {}),
    _STREAM + "x = MaxPool<kernel_shape = [2, 2]>(e)": ("MaxPool x writes it", {}),
    _STREAM + "x = GlobalMaxPool(e)": ("GlobalMaxPool x writes it", {}),
    _STREAM + 'x = Resize<mode = "linear">(e, "", larger)': ("Resize x writes it", {}),
    _STREAM + 'x = Resize(e, "", larger)': ("Resize x writes it", {}),
    _STREAM + 'x = Resize(e, "", scales)': (
        "Reshape lines writes it",
        {
            "declared": "float[2,8,4,4] x",
            "options": {"feeds": {"scales": np.array([1, 1.1, 1, 1])}},
        },
    ),
    _STREAM + 'x = Resize<axes = [1], mode = "linear">(e, "", larger_features)': (
        "Resize x writes it",
        {"opset": 18},
    ),
    _STREAM
    + 'x = Resize<coordinate_transformation_mode = "tf_crop_and_resize", '
    + 'extrapolation_value = 7.0, mode = "linear">(e, region, "", tall)': (
        "Resize x writes it",
        {},
    ),
    _STREAM
    + 'x = Resize<axes = [1, 2, 3], keep_aspect_ratio_policy = "not_larger", mode = "linear">'
    + '(e, "", "", nearly)': (
        "Reshape lines writes it",
        {"opset": 18, "inputs": "float[2,3,32,32] image", "declared": "float[2,8,32,32] x"},
    ),
    _STREAM
    + "turned = Transpose<perm = [0, 2, 1, 3]>(e) "
    + "q = AveragePool<kernel_shape = [3, 1], pads = [1, 0, 1, 0]>(turned) "
    + "x = Transpose<perm = [0, 2, 1, 3]>(q)": ("AveragePool q writes it", {}),
}


@cases({b: _case(b, absorbs=a, converts="y", **k) for b, (a, k) in ABSORBS.items()})
def test_features_of_an_image_are_centred(case: Case) -> None:
    assert_outcome(case)


@cases({b: _case(b, keeps={"y": y}, **k) for b, (y, k) in WRITES_RAW.items()})
def test_what_mixes_the_channels_writes_raw(case: Case) -> None:
    assert_outcome(case)
