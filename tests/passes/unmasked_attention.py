"""A block of attention without a mask, as exporters write it, and what may be written otherwise."""

from __future__ import annotations

import re

import numpy as np
import onnx_ir as ir

from tests.passes.attention import changed
from tests.passes.graphs import graph, random_array

__all__ = ["BLOCK", "NUMBERS", "WEIGHTS", "heads_of", "in_half", "inputs_of", "model_of"]

BLOCK = """
    q0 = MatMul(x, wq) k0 = MatMul(x, wk) v0 = MatMul(x, wv)
    q1 = Reshape(q0, split) q = Transpose<perm=[0,2,1,3]>(q1)
    k1 = Reshape(k0, split) kt = Transpose<perm=[0,2,3,1]>(k1)
    v1 = Reshape(v0, split) v = Transpose<perm=[0,2,1,3]>(v1)
    s = MatMul(q, kt) p = Softmax<axis=-1>(s) o = MatMul(p, v)
    o1 = Transpose<perm=[0,2,1,3]>(o) o2 = Reshape(o1, join) y = MatMul(o2, wo)
"""
NUMBERS = {
    "split": np.array([0, 0, 2, 4], np.int64),
    "tokens": np.array([-1, 3, 2, 4], np.int64),
    "narrow": np.array([0, 0, 2, 3], np.int64),
    "one_head": np.array([0, 0, 1, 8], np.int64),
    "join": np.array([0, 0, 8], np.int64),
    "flat": np.array([-1, 8], np.int64),
    "thin": np.array([0, 0, 6], np.int64),
    "kept": np.array([0, 0, 0, 4], np.int64),
    "half": np.array(0.5, np.float32),
    "half_of_each": np.array([0.5, 0.25, 0.5, 1], np.float32),
    "root": np.array([[2]], np.float32),
    "three": np.array(3, np.float32),
    "zero": np.array(0, np.float32),
    "infinite": np.array(np.inf, np.float32),
}
WEIGHTS = "wq[8,8] wk[8,8] wv[8,8] wn[8,6] wo[8,8] wl[6,8] wm[8,8] bias[3,3]"


def model_of(changes: dict[str, str], batch: str = "B", length: str = "S") -> ir.Model:
    body = changed(BLOCK, changes)
    made = ["y"] if re.search(r"\by =", body) else ["y0"]
    outputs = ", ".join(f"float {name}" for name in [*made, *re.findall(r"\bextra\b(?= =)", body)])
    return graph(
        _in_order(body),
        WEIGHTS,
        inputs=f"float[{batch},{length},8] x, float[{batch},T,8] z, float[3] row",
        outputs=outputs,
        constants=NUMBERS,
        float64=False,
    )


def _in_order(body: str) -> str:
    """The nodes, each behind those whose results it reads."""
    nodes = re.findall(r"\w+ = \w+(?:<[^>]*>)?\([^)]*\)", body)
    made = {node.split(" =")[0]: node for node in nodes}
    placed: dict[str, str] = {}

    def place(name: str) -> None:
        if name in placed or name not in made:
            return
        for operand in re.findall(r"\w+", made[name].rsplit("(", 1)[1]):
            place(operand)
        placed[name] = made[name]

    for name in made:
        place(name)
    return " ".join(placed.values())


def inputs_of(batch: int, length: int, keys: int) -> dict[str, np.ndarray]:
    shapes = {"x": (batch, length, 8), "z": (batch, keys, 8), "row": (3,)}
    return {name: random_array(name, shape) for name, shape in shapes.items()}


def in_half(model: ir.Model) -> ir.Model:
    """The model in float16, in place."""
    wide = (ir.DataType.DOUBLE, ir.DataType.FLOAT)
    for value in [*model.graph.inputs, *model.graph.initializers.values()]:
        if value.dtype in wide:
            value.dtype = ir.DataType.FLOAT16
            if value.const_value is not None:
                value.const_value = ir.tensor(value.const_value.numpy().astype(np.float16))
    for value in [each for node in model.graph for each in node.outputs]:
        if value.dtype in wide:
            value.dtype = ir.DataType.FLOAT16
    return model


def heads_of(size: int, value_size: int) -> ir.Model:
    """Two heads, whose scores are scaled."""
    sizes = {"split": size, "narrow": value_size}
    constants = {name: np.array([0, 0, 2, each], np.int64) for name, each in sizes.items()}
    constants["thin"] = np.array([0, 0, 2 * value_size], np.int64)
    changes = {
        "Reshape(v0, split)": "Reshape(v0, narrow)",
        "Reshape(o1, join)": "Reshape(o1, thin)",
        "Softmax<axis=-1>(s)": "Softmax<axis=-1>(f) f = Mul(s, half)",
    }
    return graph(
        _in_order(changed(BLOCK, changes)),
        f"wq[8,{2 * size}] wk[8,{2 * size}] wv[8,{2 * value_size}] wo[{2 * value_size},8]",
        inputs="float[B,S,8] x",
        outputs="float y",
        constants=NUMBERS | constants,
        float64=False,
    )
