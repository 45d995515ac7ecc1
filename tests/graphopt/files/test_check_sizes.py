"""Sizes below zero, over which an assertion of the onnx package would end the process."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest
from onnx import parser

from graphopt.errors import ModelError
from graphopt.files.check_sizes import check_sizes
from graphopt.files.check_types import check_types

SLICE = """zero = Constant<value_ints = [0]>() nine = Constant<value_ints = [9]>()
last = Constant<value_ints = [-1]>()"""
CUT = f"{SLICE} y = Slice(b, zero, nine, last)"
PADDED = "pads = Constant<value_ints = [0, 0, 0, -9]>() b = Pad(x, pads)"
TWICE = f"""{CUT.replace("y = Slice(b", "c = Slice(x")} {PADDED.replace("(x", "(c")}
y = Slice(b, zero, nine, last)"""
_RESIZED_INPUTS = "float[1, 8, 4, 4] x, int64[2] grid"
RESIZED = f"""{SLICE} two = Constant<value_ints = [2]>() h = Shape(x) l = Cast<to = 7>(h)
c = Slice(l, zero, two, zero) k = Concat<axis = 0>(c, grid) y = Resize<mode = "cubic">(x, , , k)"""
RESIZING = f"""<domain: "own", opset_import: ["" : 18]> G (x, grid) => (y) {{ {RESIZED} }}"""
FUNCTION = f"""<domain: "own", opset_import: ["" : 18]> F (x) => (y) {{ {PADDED} {CUT} }}"""


def model(body: str, inputs: str = "float[2, 4] x", functions: str = "") -> onnx.ModelProto:
    """A model of opset 18 whose output y has any shape."""
    return parser.parse_model(
        f"""<ir_version: 9, opset_import: ["" : 18, "own" : 1]>
        g ({inputs}) => (float[] y) {{ {body} }} {functions}"""
    )


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (model(f"{PADDED} {CUT}"), r"^axis 1 of 'b' has the size -5: export the model again$"),
        (
            model(f"b = Conv(x, w) {CUT}", "float[1, 1, 4, 4] x, float[1, 1, 9, 9] w"),
            "axis 2 of 'b' has the size -4",
        ),
        (
            model(
                f"y = If(c) <then_branch = t () => (float[] t) {{ {PADDED} "
                f"{CUT.replace('y =', 't =')} }}, else_branch = e () => (float[] e) "
                "{ e = Identity(x) }>",
                "float[2, 4] x, bool c",
            ),
            "axis 1 of 'b' has the size -5",
        ),
    ],
    ids=["pad", "conv", "branch"],
)
def test_a_size_below_zero_is_named(proto: onnx.ModelProto, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        check_sizes(proto)


@pytest.mark.parametrize(
    "proto",
    [
        model(CUT.replace("(b,", "(x,")),
        model(f"b = Identity(x) {CUT}", "float[N, 0] x"),
        model("y = own.F(x)", functions=FUNCTION.replace("-9", "-3")),
        model("y = own.F(x)", functions=FUNCTION),
        model(TWICE),
        model(RESIZED, _RESIZED_INPUTS),
        model(
            RESIZED.replace("k = ", "s = Slice(c, zero, two, zero) k = ").replace("(c, g", "(s, g"),
            _RESIZED_INPUTS,
        ),
        model("y = own.G(x, grid)", _RESIZED_INPUTS, RESIZING),
    ],
    ids=[
        "plain",
        "empty",
        "function",
        "below zero in a function",
        "below zero behind a Slice",
        "list",
        "list of a list",
        "list in a function",
    ],
)
def test_other_models_pass(proto: onnx.ModelProto) -> None:
    check_sizes(proto)


@pytest.mark.parametrize(
    "proto",
    [
        model(f"{TWICE} z = MatMul(x, x)"),
        model("y = own.F(x) z = MatMul(x, x)", functions=FUNCTION),
    ],
    ids=["behind a Slice", "in a function"],
)
def test_a_size_below_zero_beside_a_contradiction_ends_no_process(proto: onnx.ModelProto) -> None:
    with pytest.raises(ModelError, match=r"axis 1 of 'b.*' has the size -5"):
        check_sizes(proto)


def test_what_one_branch_knows_the_sizes_of_the_other_may_not() -> None:
    body = f"""k = Constant<value = bool {{1}}>() z = MatMul(x, x) y = If(k) <
        then_branch = t () => (float[] u) {{
            {SLICE} b = Shape(x) u0 = Slice(b, zero, nine) u = Cast<to = 1>(u0) }},
        else_branch = e () => (float[] v) {{
            {SLICE} h = Shape(x) c = Slice(h, zero, nine)
            pads = Constant<value_ints = [0, -9]>() b = Pad(c, pads)
            v0 = Slice(b, zero, nine) v = Cast<to = 1>(v0)
        }}>"""
    with pytest.raises(ModelError, match=r"axis 0 of 'b' has the size -7"):
        check_sizes(model(body))


def test_a_size_below_zero_is_named_where_hidden_starts_confuse_inference() -> None:
    body = f"{PADDED} {CUT.replace(SLICE, '').replace('y =', 'z =')} {RESIZED}"
    with pytest.raises(ModelError, match=r"axis 1 of 'b' has the size -5"):
        check_sizes(
            model(body.replace("(x, pads", "(v, pads"), _RESIZED_INPUTS + ", float[2, 4] v")
        )


def test_a_declared_size_below_zero_is_unknown() -> None:
    proto = model(CUT.replace("(b,", "(x,"))
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = -1
    check_types(ir.from_proto(proto))
