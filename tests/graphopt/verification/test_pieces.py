"""What a Concat joins is compared apart: boxes in pixels hide no error of the scores beside."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from graphopt.options import Reference
from graphopt.verification import verify
from graphopt.verification.pieces import cuts, words

JOINED = {
    "behind each other": ("y = Concat <axis = -1> (boxes, scores)", "[batch, 6] y", "[:, 4:6]"),
    "transposed": (
        "j = Concat <axis = 1> (boxes, scores) i = Identity(j) y = Transpose <perm = [1, 0]> (i)",
        "[6, batch] y",
        "[4:6]",
    ),
}


def detector(score: float, join: str, output: str) -> ir.Model:
    """Boxes of about 300 and scores of about 1e-3, in one output."""
    return ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[batch, 4] x, float[batch, 2] z) => (float{output})
        <float[batch, 4] boxes, float[batch, 2] scores> {{
            c = Constant <value_float = 300.0> () d = Constant <value_float = {score}> ()
            boxes = Mul(x, c) scores = Mul(z, d) {join}
        }}"""
    )


@pytest.mark.parametrize("reference", ["ort", "float64"])
@pytest.mark.parametrize("name", JOINED)
def test_each_part_has_its_own_scale(name: str, reference: Reference) -> None:
    join, output, place = JOINED[name]
    base = detector(1e-3, join, output)
    assert verify(base, base, reference=reference).status == "passed"
    result = verify(base, detector(1.5e-3, join, output), reference=reference)
    assert result.status == "failed"
    assert result.reason.startswith(f"output 'y': at {place}: differs by ")


def value(body: str, inputs: str = "float[N, 2] a, float[N, 3] b, float[N, M] c") -> ir.Value:
    text = f"""<ir_version: 8, opset_import: ["" : 17]> g ({inputs}) => (float y) {{ {body} }}"""
    return ir.from_onnx_text(text).graph.outputs[0]


CUTS = {
    "known": ("y = Concat <axis = 1> (a, b)", (5, 5), ["[:, 0:2]", "[:, 2:5]"]),
    "one unknown": (
        "y = Concat <axis = 1> (a, c, b)",
        (1, 9),
        ["[:, 0:2]", "[:, 2:6]", "[:, 6:9]"],
    ),
    "an empty one": ("y = Concat <axis = 1> (a, c, b)", (1, 5), ["[:, 0:2]", "[:, 2:5]"]),
    "two unknown": ("y = Concat <axis = 1> (c, c)", (1, 8), []),
    "sizes that are wrong": ("y = Concat <axis = 1> (a, b)", (1, 6), []),
    "more than there is": ("y = Concat <axis = 1> (a, b, c)", (1, 4), []),
    "by default reversed": (
        "j = Concat <axis = 1> (a, b) y = Transpose (j)",
        (5, 7),
        ["[0:2]", "[2:5]"],
    ),
    "turned twice": (
        """j = Concat <axis = 1> (a, b) k = Cast <to = 1> (j)
        m = Transpose <perm = [1, 0]> (k) y = Transpose <perm = [1, 0]> (m)""",
        (7, 5),
        ["[:, 0:2]", "[:, 2:5]"],
    ),
    "of one": ("y = Concat <axis = 1> (a)", (7, 2), []),
    "not joined": ("y = Add (a, a)", (7, 2), []),
    "computed from it": ("j = Concat <axis = 1> (a, b) y = Exp (j)", (7, 5), []),
    "a foreign one": ("y = other.Concat <axis = 1> (a, b)", (7, 5), []),
}


@pytest.mark.parametrize("name", CUTS)
def test_cuts(name: str) -> None:
    body, shape, expected = CUTS[name]
    assert [words(cut) for cut in cuts(value(body), shape)] == expected
