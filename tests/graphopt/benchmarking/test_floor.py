"""The norm-free floor of whole graphs: no norm left, and activations as they were in magnitude."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from graphopt.benchmarking.floor import Removed, remove_all_norms
from graphopt.errors import ModelError
from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64

D = 16


def pre_ln(blocks: int, gain: float) -> ir.Model:
    """Pre-LN blocks x + MatMul(LN(x)) whose linear maps have this gain, and a last norm."""
    rng = np.random.default_rng(3)
    constants = [constant("gamma", rng.normal(1, 0.2, D)), constant("beta", rng.normal(0, 0.2, D))]
    lines = []
    for i in range(blocks):
        stream = f"s{i - 1}" if i else "x"
        constants.append(constant(f"W{i}", rng.normal(0, gain / np.sqrt(D), (D, D))))
        lines.append(f"n{i} = LayerNormalization <axis = -1> ({stream}, gamma, beta)")
        lines.append(f"f{i} = MatMul (n{i}, W{i})")
        lines.append(f"s{i} = Add ({stream}, f{i})")
    lines.append(f"y = LayerNormalization <axis = -1> (s{blocks - 1}, gamma, beta)")
    return graph(constants, lines)


def constant(name: str, array: np.ndarray) -> str:
    entries = ", ".join(f"{entry:.8f}" for entry in array.reshape(-1))
    return f"float[{', '.join(map(str, array.shape))}] {name} = {{{entries}}}"


def graph(constants: list[str], lines: list[str]) -> ir.Model:
    return ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[N, {D}] x) => (float[N, {D}] y) <{", ".join(constants)}> {{
            {" ".join(lines)}
        }}"""
    )


def inputs() -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(5).normal(0, 1, (8, D)).astype(np.float32)}


def root_mean_square(model: ir.Model, name: str) -> float:
    wide = {"x": inputs()["x"].astype(np.float64)}
    values = evaluate(cast_to_float64(model), wide, [name])[name]
    return float(np.sqrt(np.mean(np.square(values))))


def test_the_floor_is_the_graph_without_its_norms() -> None:
    model = pre_ln(blocks=3, gain=1.0)
    assert remove_all_norms(model, inputs()) == Removed(norms=4, fused=False)
    ops = [node.op_type for node in model.graph]
    assert ops == ["MatMul", "Add"] * 3 + ["Identity"]
    assert [value.name for value in model.graph.outputs] == ["y"]


@pytest.mark.parametrize("gain", [1e-3, 1.0, 1e4])
def test_activations_keep_their_magnitude(gain: float) -> None:
    blocks = 24
    model = pre_ln(blocks, gain)
    before = [root_mean_square(model, f"s{i}") for i in range(blocks)]
    remove_all_norms(model, inputs())
    after = [root_mean_square(model, f"s{i}") for i in range(blocks)]
    np.testing.assert_allclose(np.log10(after), np.log10(before), atol=0.7)


def test_a_model_whose_activations_overflow_without_norms_has_no_floor() -> None:
    """The norms' readers multiply two computed values: there is no weight that takes a factor."""
    lines = ["s0 = Mul (x, big)"]
    for i in range(8):
        lines.append(f"n{i} = LayerNormalization <axis = -1> (s{i}, gamma)")
        lines.append(f"s{i + 1} = Mul (n{i}, s{i})")
    lines.append("y = LayerNormalization <axis = -1> (s8, gamma)")
    constants = [constant("big", np.full(1, 100.0)), constant("gamma", np.full(D, 1.1))]
    with pytest.raises(ModelError, match=r"s\d: its root mean square .* no norm-free floor"):
        remove_all_norms(graph(constants, lines), inputs())
