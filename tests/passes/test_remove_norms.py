"""The norm-free floor, on text graphs before and after, and in numbers where weights change."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.passes.remove_norms import RemoveNorms

RNG = np.random.default_rng(11)
HEADER = '<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>\n'
PRE_LN_BLOCK = """
g (float[N, 6] x, float[6] gamma, float[6] beta) => (float[N, 6] y) {
    n = LayerNormalization <axis = 1, epsilon = 0.00001> (x, gamma, beta)
    f = MatMul (n, W)
    y = Add (x, f)
}"""


def graph(text: str, **weights: np.ndarray) -> ir.Model:
    model = ir.from_onnx_text(HEADER + text.strip())
    for name, array in weights.items():
        value = next(v for node in model.graph for v in node.inputs if v and v.name == name)
        value.const_value = ir.tensor(array, name=name)
        value.shape, value.dtype = ir.Shape(array.shape), ir.DataType.FLOAT
        model.graph.register_initializer(value)
    return model


def weight(*shape: int) -> np.ndarray:
    return RNG.normal(0, 1, shape).astype(np.float32)


def operations(model: ir.Model) -> list[str]:
    """One line a node: its first output, its op and its inputs."""
    lines = []
    for node in model.graph.all_nodes():
        inputs = ", ".join(value.name or "" for value in node.inputs if value is not None)
        lines.append(f"{node.outputs[0].name} = {node.op_type}({inputs})")
    return lines


def initializer(model: ir.Model, name: str) -> np.ndarray:
    tensor = model.graph.initializers[name].const_value
    assert tensor is not None
    return tensor.numpy()


def test_readers_of_the_norm_read_its_input() -> None:
    model = graph(PRE_LN_BLOCK, W=weight(6, 6))
    remove = RemoveNorms()
    assert remove(model).modified
    assert operations(model) == ["f = MatMul(x, W)", "y = Add(x, f)"]
    assert remove.record == {"norms removed": 1, "weights scaled": 0}


def test_a_factor_moves_into_the_weight_of_the_reader() -> None:
    w = weight(6, 6)
    model = graph(PRE_LN_BLOCK, W=w)
    remove = RemoveNorms({"n": 0.25})
    remove(model)
    assert operations(model) == ["f = MatMul(x, W_norm_free)", "y = Add(x, f)"]
    np.testing.assert_array_equal(initializer(model, "W_norm_free"), w * np.float32(0.25))
    assert remove.record == {"norms removed": 1, "weights scaled": 1}


@pytest.mark.parametrize(
    ("between", "reader"),
    [
        ("r = Reshape (n, shape)", "y = Gemm (r, W, b)"),
        (
            "t = Transpose <perm = [0, 1]> (n) r = Cast <to = 1> (t)",
            "y = Gemm <transB = 1> (r, W, b)",
        ),
        ("r = Identity (n)", "y = com.microsoft.FusedMatMul (r, W)"),
        ("q, r = Split <axis = 0> (n, shape)", "y = MatMul (r, W)"),
    ],
    ids=["Reshape-Gemm", "Transpose-Cast-Gemm", "Identity-FusedMatMul", "Split-MatMul"],
)
def test_a_factor_passes_what_moves_entries(between: str, reader: str) -> None:
    w = weight(6, 6)
    model = graph(
        f"""
g (float[4, 6] x, float[6] gamma, int64[2] shape, float[6] b) => (float[4, 6] y) {{
    n = LayerNormalization (x, gamma)
    {between}
    {reader}
}}""",
        W=w,
    )
    RemoveNorms({"n": 3.0})(model)
    assert not any("LayerNormalization" in line for line in operations(model))
    np.testing.assert_array_equal(initializer(model, "W_norm_free"), w * np.float32(3))


def test_readers_that_are_not_linear_maps_read_the_input_as_it_is() -> None:
    model = graph(
        """
g (float[N, 6] x, float[6] gamma, float[N, 6] a) => (float[N, 6] y, float[N, N] z, float[N, 6] u) {
    n = LayerNormalization (x, gamma)
    y = Add (n, a)
    t = Transpose (a)
    z = MatMul (n, t)
    u = Gemm (a, W, n)
}""",
        W=weight(6, 6),
    )
    remove = RemoveNorms({"n": 3.0})
    remove(model)
    assert operations(model) == [
        "y = Add(x, a)",
        "t = Transpose(a)",
        "z = MatMul(x, t)",
        "u = Gemm(a, W, x)",
    ]
    assert remove.record == {"norms removed": 1, "weights scaled": 0}


def test_a_tied_weight_is_scaled_for_each_reader_alone() -> None:
    w = weight(6, 6)
    model = graph(
        """
g (float[N, 6] x, float[6] gamma) => (float[N, 6] y) {
    n = LayerNormalization (x, gamma)
    f = MatMul (n, W)
    m = LayerNormalization (f, gamma)
    h = MatMul (m, W)
    y = MatMul (h, W)
}""",
        W=w,
    )
    RemoveNorms({"n": 0.5, "m": 2.0})(model)
    assert operations(model) == [
        "f = MatMul(x, W_norm_free)",
        "h = MatMul(f, W_norm_free_1)",
        "y = MatMul(h, W)",
    ]
    np.testing.assert_array_equal(initializer(model, "W"), w)
    np.testing.assert_array_equal(initializer(model, "W_norm_free"), w / 2)
    np.testing.assert_array_equal(initializer(model, "W_norm_free_1"), w * 2)


def test_a_norm_that_is_a_graph_output_leaves_the_output_its_name_and_type() -> None:
    model = graph(
        """
g (float[N, 6] x, float[6] gamma) => (float[N, 6] y, float[N, 6] z) {
    s = Sqrt (x)
    y = LayerNormalization (s, gamma)
    z = Neg (y)
}"""
    )
    RemoveNorms()(model)
    assert operations(model) == ["s = Sqrt(x)", "y = Identity(s)", "z = Neg(s)"]
    assert [(v.name, v.dtype) for v in model.graph.outputs] == [
        ("y", ir.DataType.FLOAT),
        ("z", ir.DataType.FLOAT),
    ]


def test_norms_in_a_subgraph_are_removed() -> None:
    model = graph(
        """
g (float[N, 6] x, float[6] gamma, bool c) => (float[N, 6] y) {
    y = If (c) <
        then_branch = t () => (float[N, 6] p) {
            n = LayerNormalization (x, gamma)
            p = Neg (n)
        },
        else_branch = e () => (float[N, 6] q) { q = LayerNormalization (x, gamma) }
    >
}"""
    )
    remove = RemoveNorms()
    remove(model)
    assert operations(model) == ["y = If(c)", "p = Neg(x)", "q = Identity(x)"]
    assert remove.record["norms removed"] == 2


@pytest.mark.parametrize(
    "norm",
    [
        "y = RMSNormalization (x, gamma)",
        "y = com.microsoft.LayerNormalization (x, gamma)",
        "n, mean = LayerNormalization (x, gamma) y = Sub (n, mean)",
    ],
    ids=["an RMSNorm", "another domain", "a mean that is read"],
)
def test_what_is_not_a_plain_layer_norm_stays(norm: str) -> None:
    model = graph(f"g (float[N, 6] x, float[6] gamma) => (float[N, 6] y) {{ {norm} }}")
    before = operations(model)
    assert not RemoveNorms()(model).modified
    assert operations(model) == before
