"""Numbers in attributes over which inference would end the process."""

from __future__ import annotations

import onnx
import pytest
from onnx import parser

from graphopt.errors import ModelError
from graphopt.files.check_sizes import check_sizes

LARGE = [-(1 << 63), -(1 << 31) - 1, -1000, -3, -1, 7, 1 << 31, (1 << 63) - 1]


def model(body: str) -> onnx.ModelProto:
    """A model of opset 18 whose output y has any shape."""
    return parser.parse_model(
        f"""<ir_version: 9, opset_import: ["" : 18]>
        g (float[2, 3, 8] x, float[8] g, int64[2, 1] i) => (float[] y) {{ {body} }}"""
    )


@pytest.mark.parametrize("number", [n for n in LARGE if n < 0])
def test_batch_dims_below_zero_are_refused(number: int) -> None:
    with pytest.raises(ModelError, match=rf"GatherND 'y' has {number} batch_dims"):
        check_sizes(model(f"y = GatherND<batch_dims = {number}>(x, i)"))


@pytest.mark.parametrize("number", [*LARGE, 1, 2, 4])
def test_a_split_makes_what_it_says(number: int) -> None:
    body = "a, b, c = Split<axis = 2, num_outputs = {}>(x) y = Add(a, b)"
    with pytest.raises(ModelError, match=rf"Split 'a' has 3 results, and num_outputs {number}: "):
        check_sizes(model(body.format(number)))
    check_sizes(model(body.format(3)))


@pytest.mark.parametrize("number", LARGE)
def test_an_axis_of_a_norm_is_not_told(number: int) -> None:
    norm = f"LayerNormalization<axis = {number}>(x, g)"
    check_sizes(model(f"y = {norm}"))
    branches = (
        f"<then_branch = t () => (float[] t) {{ t = {norm} }}, "
        "else_branch = e () => (float[] e) { e = Identity(x) }>"
    )
    check_sizes(model(f"z = ReduceMax<keepdims = 0>(x) o = Cast<to = 9>(z) y = If(o) {branches}"))
