"""SkipLayerNormalization is split, with all its inputs and outputs."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx_shape_inference import infer_symbolic_shapes

from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes.norms.original_spelling import NAME, SPELLING
from graphopt.passes.restore_norms import RestoreNorms
from graphopt.passes.unfuse_skip_norms import UnfuseSkipNorms
from tests.passes.outputs import assert_close

_PARAMETERS = """<float[8] gamma = {0.5, -1.25, 2.0, 0.75, 1.5, -0.25, 1.0, 3.0},
    float[8] beta = {0.125, -0.5, 1.0, 0.0, -2.0, 0.25, 0.75, -1.0},
    float[8] bias = {1.0, 0.5, -0.25, 2.0, 0.75, -1.5, 0.125, 0.25}>"""
FULL = "float[B, S, 8]"
# name: (node and what follows, outputs, shape of the skip input, types of the nodes after)
CASES: dict[str, tuple[str, str, str, list[str]]] = {
    "no beta, no bias": ("y = {op}(x, s, gamma)", "y", FULL, ["Add", "LayerNormalization"]),
    "beta": ("y = {op}(x, s, gamma, beta)", "y", FULL, ["Add", "LayerNormalization"]),
    "bias": (
        "y = {op}(x, s, gamma, beta, bias)",
        "y",
        FULL,
        ["Add", "Add", "LayerNormalization"],
    ),
    "bias without beta": (
        'y = {op}(x, s, gamma, "", bias)',
        "y",
        FULL,
        ["Add", "Add", "LayerNormalization"],
    ),
    "epsilon": (
        "y = {op}<epsilon = 0.25>(x, s, gamma)",
        "y",
        FULL,
        ["Add", "LayerNormalization"],
    ),
    "the sum is an output": (
        'y, "", "", t = {op}(x, s, gamma, beta, bias)',
        "y t",
        FULL,
        ["Add", "Add", "LayerNormalization"],
    ),
    "the sum goes on": (
        "n, m, i, t = {op}(x, s, gamma, beta)\n y = Add(n, t)",
        "y",
        FULL,
        ["Add", "LayerNormalization", "Add"],
    ),
    "skip of batch 1": (
        "y = {op}(x, s, gamma)",
        "y",
        "float[1, S, 8]",
        ["Add", "LayerNormalization"],
    ),
    "skip without batch": (
        "y = {op}(x, s, gamma, beta, bias)",
        "y",
        "float[S, 8]",
        ["Add", "Add", "LayerNormalization"],
    ),
    "the bias of a MatMul": (
        "w = MatMul(s, weight)\n y = {op}(x, w, gamma, beta, bias)",
        "y",
        FULL,
        ["MatMul", "Add", "Add", "LayerNormalization"],
    ),
}


def _model(name: str, op: str = "com.microsoft.SkipLayerNormalization") -> ir.Model:
    body, outputs, skip, _ = CASES[name]
    declared = ", ".join(f"{FULL} {output}" for output in outputs.split())
    model = ir.from_onnx_text(
        f"""<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
        g ({FULL} x, {skip} s, float[8, 8] weight) => ({declared})
        {_PARAMETERS} {{ {body.format(op=op)} }}"""
    )
    infer_symbolic_shapes(model)
    return model


def _inputs(name: str) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(2)
    shape = {"float[1, S, 8]": (1, 3, 8), "float[S, 8]": (3, 8)}.get(CASES[name][2], (2, 3, 8))
    return {
        "x": draw.normal(1, 1, (2, 3, 8)),
        "s": draw.normal(-0.5, 2, shape),
        "weight": draw.normal(0, 1, (8, 8)),
    }


@pytest.mark.parametrize("name", CASES)
def test_the_parts_compute_what_the_whole_did(name: str) -> None:
    model = cast_to_float64(_model(name))
    before = evaluate(model, _inputs(name))
    unfuse = UnfuseSkipNorms()
    unfuse(model)
    assert unfuse.record == {"SkipLayerNormalization": 1}
    assert [node.op_type for node in model.graph] == CASES[name][3]
    after = evaluate(model, _inputs(name))
    assert list(before) == CASES[name][1].split()
    assert_close(after, before, rtol=1e-12, atol=1e-12)


def test_the_norm_is_canonical() -> None:
    model = _model("the sum goes on")
    UnfuseSkipNorms()(model)
    (norm,) = [node for node in model.graph if node.op_type == "LayerNormalization"]
    values = {name: attribute.value for name, attribute in norm.attributes.items()}
    assert values == {"axis": 2, "epsilon": pytest.approx(1e-12), "stash_type": 1}
    assert (norm.meta[SPELLING], norm.meta[NAME]) == ("SkipLayerNormalization", "n")
    assert (norm.inputs[0].name, str(norm.inputs[0].shape)) == ("t", "[B,S,8]")


def test_the_bias_joins_the_matrix_product() -> None:
    model = _model("the bias of a MatMul")
    UnfuseSkipNorms()(model)
    biased = next(node for node in model.graph if node.op_type == "Add")
    assert [value.name for value in biased.inputs] == ["w", "bias"]


@pytest.mark.parametrize("read", ["m", "i"])
def test_a_node_whose_statistics_are_read_stays(read: str) -> None:
    model = _model("the sum goes on")
    (node, add) = list(model.graph)
    add.replace_input_with(0, node.outputs[1 if read == "m" else 2])
    assert not UnfuseSkipNorms()(model).modified


def test_rms_skip_norms_stay() -> None:
    model = _model("no beta, no bias", "com.microsoft.SkipSimplifiedLayerNormalization")
    assert not UnfuseSkipNorms()(model).modified


@pytest.mark.parametrize("name", CASES)
def test_a_kept_norm_is_fused_again_for_cuda(name: str) -> None:
    model = cast_to_float64(_model(name))
    before = evaluate(model, _inputs(name))
    single = _model(name)
    UnfuseSkipNorms(provider="cuda")(single)
    restore = RestoreNorms()
    restore(single)
    assert restore.record == {"restored": 1}
    assert [node.op_type for node in single.graph if node.domain] == ["SkipLayerNormalization"]
    fused = next(node for node in single.graph if node.domain)
    original = next(node for node in _model(name).graph if node.domain)
    assert dict(fused.attributes).keys() == {"epsilon"}
    assert {value.name for value in fused.inputs if value is not None} == {
        value.name for value in original.inputs if value is not None
    }
    after = evaluate(cast_to_float64(single), _inputs(name))
    assert_close(after, before, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_it_is_fused_again_though_its_shapes_are_not_known(name: str) -> None:
    model = _model(name)
    UnfuseSkipNorms(provider="cuda")(model)
    for node in model.graph:
        node.outputs[0].shape = None
    assert RestoreNorms()(model).modified
    fused = next(node for node in model.graph if node.domain)
    original = next(node for node in _model(name).graph if node.domain)
    assert [value and value.name for value in fused.inputs] == [
        value and value.name for value in original.inputs
    ]


@pytest.mark.parametrize("name", CASES)
def test_a_kept_norm_stays_split_for_the_cpu(name: str) -> None:
    model = _model(name)
    UnfuseSkipNorms(provider="cpu")(model)
    assert not RestoreNorms()(model).modified
    assert [node.op_type for node in model.graph] == CASES[name][3]
