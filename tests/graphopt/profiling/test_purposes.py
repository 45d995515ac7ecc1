"""What the nodes of a graph are for."""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx_ir as ir
import pytest

from graphopt.profiling.purposes import Purpose, purposes_of


def purposes(body: str, shapes: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, Purpose]:
    """The purpose of each node, by the name of its first result.

    The graph has the inputs x [2, 3, 4] and m [2, 1, 4], and a few constants. When it ran, every
    value had the shape [2, 3, 4], unless ``shapes`` says otherwise.
    """
    constants = ", ".join(
        f"float[{','.join(map(str, shape))}] {name} = {{{','.join(['1.5'] * math.prod(shape))}}}"
        for name, shape in {
            "w": (4, 4),
            "table": (3, 4),
            "gamma": (4,),
            "bias": (1, 1, 4),
        }.items()
    )
    scalars = (
        "float epsilon = {1e-5}, float two = {2.0}, float minus_half = {-0.5}, int64 last = {-1}"
    )
    last = body.strip().splitlines()[-1].split("=")[0].strip()
    model = ir.from_onnx_text(
        '<ir_version: 10, opset_import: ["" : 17, "com.microsoft" : 1, "graphopt" : 1]> '
        f"g (float[2,3,4] x, float[2,1,4] m) => (float[2,3,4] {last}) <{constants}, {scalars}> "
        f"{{ {body} }}"
    )
    ran = {
        node: [(shapes or {}).get(value.name or "", (2, 3, 4)) for value in node.inputs if value]
        for node in model.graph
    }
    return {
        str(node.outputs[0].name): purpose
        for node, purpose in purposes_of(model.graph, ran).items()
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            """
            n = LayerNormalization (x, gamma)
            h = MatMul (n, w)
            b = Add (bias, h)
            g = Gelu (b)
            y = Add (x, g)
            """,
            {
                "n": "normalization",
                "h": "other",
                "b": "bias",
                "g": "other",
                "y": "residual",
            },
            id="a block",
        ),
        pytest.param(
            """
            h = MatMul (x, w)
            k = MatMul (m, w)
            s = Add (h, k)
            y = com.microsoft.SimplifiedLayerNormalization (s, gamma)
            """,
            {"s": "residual", "y": "normalization"},
            id="a norm reads the sum of two branches",
        ),
        pytest.param(
            """
            h = MatMul (x, w)
            k = Relu (h)
            r = Relu (x)
            s = Add (k, r)
            y = Add (s, x)
            """,
            {"s": "residual", "y": "residual"},
            id="a residual sum reads the sum of two branches",
        ),
        pytest.param(
            """
            c = Mul (x, gamma)
            s = Sin (x)
            y = Add (c, s)
            """,
            {"y": "other"},
            id="a sum that skips nothing",
        ),
        pytest.param(
            """
            h = MatMul (x, w)
            p = Add (h, table)
            y = Add (p, epsilon)
            """,
            {"p": "other", "y": "other"},
            id="a table and a scalar are no bias",
        ),
        pytest.param(
            """
            t = Transpose (x)
            q = MatMul (x, t)
            a = Add (q, x)
            s = Softmax (a)
            y = com.microsoft.FusedMatMul (s, x)
            """,
            {
                "t": "other",
                "q": "other",
                "a": "other",
                "s": "other",
                "y": "other",
            },
            id="attention with a mask",
        ),
        pytest.param(
            """
            n, s = graphopt.SkipRMSNorm (x, x, gamma)
            y = graphopt.RMSNorm (s, gamma)
            """,
            {"n": "normalization", "y": "normalization"},
            id="custom operators",
        ),
        pytest.param(
            """
            n = graphopt.SkipLayerNorm (x, x, gamma, gamma)
            y = graphopt.LayerNorm (n, gamma, gamma)
            """,
            {"n": "normalization", "y": "normalization"},
            id="custom operators of norms that stay",
        ),
    ],
)
def test_purposes(body: str, expected: dict[str, Purpose]) -> None:
    assert purposes(body).items() >= expected.items()


def test_a_broadcast_sum_is_no_residual() -> None:
    body = """
        h = Relu (m)
        y = Add (x, h)
        z = Relu (x)
        """
    assert purposes(body)["y"] == "residual"
    assert purposes(body, {"h": (2, 1, 4)})["y"] == "other"


@pytest.mark.parametrize(
    ("body", "others"),
    [
        pytest.param(
            """
            mean = ReduceMean <axes = [-1]> (x)
            d = Sub (x, mean)
            q = Pow (d, two)
            v = ReduceMean <axes = [-1]> (q)
            e = Add (v, epsilon)
            r = Sqrt (e)
            n = Div (d, r)
            s = Mul (n, gamma)
            y = Add (s, bias)
            """,
            {},
            id="LayerNorm",
        ),
        pytest.param(
            """
            h = Cast <to = 1> (x)
            q = Mul (h, h)
            v = ReduceMean <axes = [-1]> (q)
            e = Add (v, epsilon)
            f = Pow (e, minus_half)
            n = Mul (h, f)
            c = Cast <to = 1> (n)
            y = Mul (gamma, c)
            """,
            {"h": "other"},
            id="RMSNorm between Casts",
        ),
        pytest.param(
            """
            q = Mul (x, x)
            a = ReduceSum (q)
            b = ReduceSum (x)
            c = Mul (b, b)
            v = Add (a, c)
            e = Add (v, epsilon)
            r = Sqrt (e)
            y = Div (x, r)
            """,
            {},
            id="CRMSNorm",
        ),
        pytest.param(
            """
            shape = Shape (x)
            length = Gather (shape, last)
            size = Cast <to = 1> (length)
            d = Add (size, epsilon)
            total = ReduceSum (x)
            square = Mul (total, total)
            q = Mul (x, x)
            squares = ReduceSum (q)
            energy = Add (squares, square)
            v = Div (energy, d)
            r = Sqrt (v)
            f = Reciprocal (r)
            y = Mul (x, f)
            """,
            {},
            id="CRMSNorm that reads its size",
        ),
        pytest.param(
            """
            shape = Shape (x)
            length = Gather (shape, last)
            size = Cast <to = 1> (length)
            r = Sqrt (size)
            y = Div (x, r)
            """,
            dict.fromkeys(("shape", "length", "size", "r", "y"), "other"),
            id="the root of a size is no norm",
        ),
        pytest.param(
            """
            mean = ReduceMean <axes = [-1]> (x)
            d = Sub (x, mean)
            y = MatMul (d, w)
            """,
            {"y": "other"},
            id="recentring",
        ),
        pytest.param(
            """
            mean = ReduceMean <axes = [1]> (x)
            h = MatMul (mean, w)
            y = Add (x, h)
            """,
            {"mean": "other", "h": "other", "y": "residual"},
            id="pooling is no norm",
        ),
        pytest.param(
            """
            e = Exp (x)
            s = ReduceSum (e)
            y = Div (e, s)
            """,
            {"e": "other", "s": "other", "y": "other"},
            id="a softmax is no norm",
        ),
    ],
)
def test_norms_in_primitive_operators(body: str, others: dict[str, Purpose]) -> None:
    found = purposes(body)
    assert found == {**dict.fromkeys(found, "normalization"), **others}
