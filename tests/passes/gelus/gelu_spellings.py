"""Spellings of GELU as graphs: what exporters write, and what only looks like it."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

__all__ = ["ERF", "NEAR_MISSES", "OPERATORS", "SIGMOID", "TANH", "spelled"]

ERF = {
    "PyTorch": "d = Div(x, root2) e = Erf(d) p = Add(e, one) m = Mul(x, p) y = Mul(m, half)",
    "half first": "k2 = Mul(x, half) d = Div(x, root2) e = Erf(d) p = Add(e, one) y = Mul(k2, p)",
    "half of the gate": """d = Mul(x, rsqrt2) e = Erf(d) p = Add(one, e) g = Mul(half, p)
        y = Mul(g, x)""",
    "half of each": "d = Mul(rsqrt2, x) e = Erf(d) q = Mul(e, half) p = Add(q, half) y = Mul(x, p)",
    "a sum of products": """d = Div(x, root2) e = Erf(d) k2 = Mul(x, half) q = Mul(e, k2)
        y = Add(k2, q)""",
    "over two": "d = Div(x, root2) e = Erf(d) p = Add(e, one) m = Mul(p, x) y = Div(m, two)",
    "a Sum and a root": """r = Sqrt(two) d = Div(x, r) e = Erf(d) p = Sum(e, one) k2 = Mul(half, x)
        y = Mul(k2, p)""",
    "an Identity": "i = Identity(x) d = Div(i, root2) e = Erf(d) p = Add(e, one) m = Mul(i, p) "
    "y = Mul(m, half)",
}
TANH = {
    "Hugging Face": """q = Pow(x, three) w = Mul(q, cube) v = Add(x, w) u = Mul(v, root) t = Tanh(u)
        p = Add(t, one) k2 = Mul(x, half) y = Mul(k2, p)""",
    "a cube of products": """s = Mul(x, x) q = Mul(s, x) w = Mul(cube, q) v = Add(w, x)
        u = Mul(root, v)
        t = Tanh(u) p = Add(one, t) m = Mul(x, p) y = Mul(m, half)""",
    "factored": """k = Mul(x, root) c = Mul(x, cube) w = Mul(c, x) v = Add(w, one) u = Mul(k, v)
        t = Tanh(u) p = Add(t, one) k2 = Mul(x, half) y = Mul(k2, p)""",
    "one constant less": """s = Mul(x, x) w = Mul(s, rootcube) v = Add(w, root) u = Mul(v, x)
        t = Tanh(u)
        g = Mul(t, half) p = Add(g, half) y = Mul(x, p)""",
    "a square by Pow": """s = Pow(x, two) w = Mul(s, cube) v = Add(one, w) k = Mul(root, x)
        u = Mul(k, v)
        t = Tanh(u) p = Add(one, t) k2 = Mul(half, x) y = Mul(k2, p)""",
}
SIGMOID = {
    "CLIP": "u = Mul(x, alpha) s = Sigmoid(u) y = Mul(x, s)",
    "the other way round": "u = Mul(alpha, x) s = Sigmoid(u) y = Mul(s, x)",
}
OPERATORS = {
    "ONNX": ("y = Gelu(x)", "Gelu"),
    "ONNX, tanh": ('y = Gelu<approximate = "tanh">(x)', "TanhGelu"),
    "Gelu": ("y = com.microsoft.Gelu(x)", "Gelu"),
    "BiasGelu": ("y = com.microsoft.BiasGelu(x, bias)", "Gelu"),
    "FastGelu": ("y = com.microsoft.FastGelu(x)", "TanhGelu"),
    "FastGelu with a bias": ("y = com.microsoft.FastGelu(x, bias)", "TanhGelu"),
    "QuickGelu": ("y = com.microsoft.QuickGelu<alpha = 1.702>(x)", "QuickGelu"),
}

_ERF = "d = Div(x, root2) e = Erf(d) p = Add(e, one) m = Mul(x, p) "
NEAR_MISSES = {
    "another scale inside": """d = Div(x, two) e = Erf(d) p = Add(e, one) m = Mul(x, p)
        y = Mul(m, half)""",
    "four digits of the root": "d = Div(x, short) e = Erf(d) p = Add(e, one) m = Mul(x, p) "
    "y = Mul(m, half)",
    "not halved": _ERF + "y = Identity(m)",
    "one is subtracted": """d = Div(x, root2) e = Erf(d) p = Sub(e, one) m = Mul(x, p)
        y = Mul(m, half)""",
    "the gate is subtracted": "d = Div(x, root2) e = Erf(d) p = Sub(one, e) m = Mul(x, p) "
    "y = Mul(m, half)",
    "minus x in the gate": "n = Neg(x) d = Div(n, root2) e = Erf(d) p = Add(e, one) m = Mul(x, p) "
    "y = Mul(m, half)",
    "the gate of another value": "d = Div(z, root2) e = Erf(d) p = Add(e, one) m = Mul(x, p) "
    "y = Mul(m, half)",
    "a gate times its square": "d = Div(x, root2) e = Erf(d) q = Mul(e, e) p = Add(q, one) "
    "m = Mul(x, p) y = Mul(m, half)",
    "two is added": "d = Div(x, root2) e = Erf(d) p = Add(e, two) m = Mul(x, p) y = Mul(m, half)",
    "divided by the gate": """d = Div(x, root2) e = Erf(d) p = Add(e, one) m = Div(x, p)
        y = Mul(m, half)""",
    "Tanh of the argument of Erf": "d = Div(x, root2) e = Tanh(d) p = Add(e, one) m = Mul(x, p) "
    "y = Mul(m, half)",
    "a cube with another factor": """q = Pow(x, three) w = Mul(q, half) v = Add(x, w)
        u = Mul(v, root)
        t = Tanh(u) p = Add(t, one) k2 = Mul(x, half) y = Mul(k2, p)""",
    "a square for a cube": """q = Pow(x, two) w = Mul(q, cube) v = Add(x, w) u = Mul(v, root)
        t = Tanh(u)
        p = Add(t, one) k2 = Mul(x, half) y = Mul(k2, p)""",
    "three digits of the root": """q = Pow(x, three) w = Mul(q, cube) v = Add(x, w)
        u = Mul(v, short2)
        t = Tanh(u) p = Add(t, one) k2 = Mul(x, half) y = Mul(k2, p)""",
    "SiLU": "s = Sigmoid(x) y = Mul(x, s)",
    "another alpha": "u = Mul(x, two) s = Sigmoid(u) y = Mul(x, s)",
    "the sigmoid of the negative": "n = Neg(x) u = Mul(n, alpha) s = Sigmoid(u) y = Mul(x, s)",
    "alpha of QuickGelu": "y = com.microsoft.QuickGelu<alpha = 1.0>(x)",
    "a constant for each feature": "d = Div(x, roots) e = Erf(d) p = Add(e, one) m = Mul(x, p) "
    "y = Mul(m, half)",
    "a constant of more axes": """d = Div(x, deep) e = Erf(d) p = Add(e, one) m = Mul(x, p)
        y = Mul(m, half)""",
}

_NUMBERS = {
    **{"root2": 2**0.5, "rsqrt2": 0.5**0.5, "half": 0.5, "one": 1.0, "two": 2.0, "three": 3.0},
    **{"cube": 0.044715, "root": (2 / np.pi) ** 0.5, "rootcube": 0.044715 * (2 / np.pi) ** 0.5},
    **{"alpha": 1.702, "short": 1.4142, "short2": 0.798},
}


def spelled(
    body: str, *, dtype: str = "float", opset: int = 20, inputs: str = "", outputs: str = ""
) -> ir.Model:
    """The graph of a body that computes y [B, S, 4] of x and z, which are inputs unless others are.

    ``bias`` is [4], and ``bias16`` the same in float16. Other constants are rounded once to the
    type.
    """
    given = inputs or f"{dtype}[B, S, 4] x, {dtype}[B, S, 4] z"
    made = outputs or f"{dtype}[B, S, 4] y"
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : {opset}, "com.microsoft" : 1]>
        g ({given}) => ({made}) {{ {body} }}"""
    )
    number = {"float": 1, "float16": 10, "bfloat16": 16, "double": 11}[dtype]
    arrays: dict[str, object] = {
        **_NUMBERS,
        "roots": [2**0.5] * 4,
        "bias": [0.25, -1.5, 0.75, 2.0],
        "number": [0.25],
        "deep": [[[[2**0.5]]]],
    }
    for name in sorted(_read(model.graph) & {*arrays, "bias16"}):
        values = np.array(arrays[name.removesuffix("16")])
        kind = 10 if name == "bias16" else number
        model.graph.initializer.append(
            onnx.helper.make_tensor(name, kind, values.shape, values.reshape(-1).tolist())
        )
    return ir.from_proto(model)


def _read(graph: onnx.GraphProto) -> set[str]:
    names = {name for node in graph.node for name in node.input}
    inner = [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    return names.union(*map(_read, inner))
