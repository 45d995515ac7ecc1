"""A norm that is kept returns to the nodes that the input graph wrote."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx_ir.passes.common import RemoveUnusedNodesPass
from onnx_shape_inference import infer_symbolic_shapes

from graphopt.evaluation import evaluate
from graphopt.passes.canonicalize_norms import CanonicalizeNorms
from graphopt.passes.restore_norms import RestoreNorms
from tests.passes.norms.norm_fragments import arrays, spelled
from tests.passes.norms.norm_spellings import SPELLINGS

ORDINARY = {
    "all defaults": "y = LayerNormalization(x, gamma, beta)",
    "no bias": "y = LayerNormalization<axis = -1, epsilon = 0.5>(x, gamma)",
    "empty bias": 'y = LayerNormalization<stash_type = 1>(x, gamma, "")',
    "unread outputs": "y, mean, inverse = LayerNormalization<axis = 2>(x, gamma, beta)",
    "already canonical": (
        "y = LayerNormalization<axis = 2, epsilon = 0.5, stash_type = 1>(x, gamma, beta)"
    ),
    "gamma of rank 3": "y = LayerNormalization(x, gamma3, beta3)",
    "Constant nodes": ("g = Constant<value_floats = [2.0]>()\n y = LayerNormalization(x, g, beta)"),
}
BODIES = {**ORDINARY, **{name: body for name, (body, _, _) in SPELLINGS.items()}}


def _canonicalize(model: ir.Model) -> int:
    canonicalize = CanonicalizeNorms()
    canonicalize(model)
    return sum(canonicalize.record.values())


def _restore(model: ir.Model) -> int:
    restore = RestoreNorms()
    restore(model)
    RemoveUnusedNodesPass()(model)  # constants that the canonical form needed
    return restore.record["restored"]


def _without_unused(model: ir.Model) -> onnx.ModelProto:
    RemoveUnusedNodesPass()(model)
    return ir.to_proto(model)


@pytest.mark.parametrize("name", BODIES)
def test_a_kept_norm_is_written_as_it_was(name: str) -> None:
    original = _without_unused(spelled(BODIES[name]))
    model = spelled(BODIES[name])
    assert (_canonicalize(model), _restore(model)) == (1, 1)
    assert ir.to_proto(model).graph == original.graph


@pytest.mark.parametrize("name", BODIES)
def test_a_removed_constant_comes_back(name: str) -> None:
    original = _without_unused(spelled(BODIES[name]))
    model = spelled(BODIES[name])
    _canonicalize(model)
    RemoveUnusedNodesPass()(model)
    assert _restore(model) == 1
    restored = ir.to_proto(model).graph
    assert {tensor.name for tensor in restored.initializer} >= {
        tensor.name for tensor in original.graph.initializer
    }
    expected = [node for node in original.graph.node if node.op_type != "Constant"]
    assert list(restored.node) == expected


@pytest.mark.parametrize("name", BODIES)
def test_it_reads_what_the_canonical_node_reads_by_then(name: str) -> None:
    model = spelled(BODIES[name])
    _canonicalize(model)
    (node,) = [node for node in model.graph if node.op_type == "LayerNormalization"]
    doubled = ir.node("Add", [node.inputs[0], node.inputs[0]], name="doubled")
    doubled.outputs[0].shape, doubled.outputs[0].type = node.inputs[0].shape, node.inputs[0].type
    model.graph.insert_before(node, doubled)
    node.replace_input_with(0, doubled.outputs[0])
    wanted = evaluate(model, _float32())["y"]
    assert _restore(model) == 1
    np.testing.assert_allclose(evaluate(model, _float32())["y"], wanted, rtol=1e-4, atol=1e-5)
    readers = {use.node.name for use in model.graph.inputs[0].uses()}
    assert readers == {"doubled"}


@pytest.mark.parametrize("is_removed", [False, True])
def test_a_size_that_comes_from_elsewhere_must_still_be_there(is_removed: bool) -> None:
    body = SPELLINGS["keepdims = 0, Reshape and Expand by computed sizes"][0]
    body = body.replace("Shape(flat)", "Shape<end = 2>(other)")
    original = _without_unused(spelled(body))
    model = spelled(body)
    _canonicalize(model)
    if is_removed:
        RemoveUnusedNodesPass()(model)
    assert _restore(model) == (not is_removed)
    if not is_removed:
        nodes = map(str, ir.to_proto(model).graph.node)
        assert sorted(nodes) == sorted(map(str, original.graph.node))


def test_nodes_that_others_kept_alive_are_used_again() -> None:
    body = SPELLINGS["attribute axes, Pow, Div"][0].replace("y =", "z =")
    body += "w = Add(z, mean)\n y = Mul(w, deviation)"
    original = _without_unused(spelled(body))
    model = spelled(body)
    assert (_canonicalize(model), _restore(model)) == (1, 1)
    assert ir.to_proto(model).graph == original.graph


def test_nodes_that_others_kept_alive_are_not_used_for_another_input() -> None:
    body = SPELLINGS["attribute axes, Pow, Div"][0].replace("y =", "z =")
    model = spelled(body + "w = Add(z, mean)\n y = Mul(w, deviation)")
    _canonicalize(model)
    (node,) = [node for node in model.graph if node.op_type == "LayerNormalization"]
    node.replace_input_with(0, model.graph.inputs[1])
    wanted = evaluate(model, _float32())["y"]
    assert _restore(model) == 1
    np.testing.assert_allclose(evaluate(model, _float32())["y"], wanted, rtol=1e-4, atol=1e-5)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)


def test_norms_that_shared_a_normalization_share_it_again() -> None:
    body = (
        SPELLINGS["no affine"][0].replace("y =", "n =")
        + """
        first = Mul(n, gamma)
        second = Mul(n, beta)
        y = Sub(first, second)"""
    )
    original = _without_unused(spelled(body))
    model = spelled(body)
    assert (_canonicalize(model), _restore(model)) == (2, 2)
    assert ir.to_proto(model).graph == original.graph


def test_a_norm_whose_scale_was_changed_keeps_the_change() -> None:
    model = spelled(SPELLINGS["gamma and beta of rank 3"][0])
    _canonicalize(model)
    (node,) = [node for node in model.graph if node.op_type == "LayerNormalization"]
    node.replace_input_with(1, model.graph.initializers["gamma"])
    assert _restore(model) == 1
    (scaled,) = [node for node in model.graph if node.op_type == "Mul"]
    assert scaled.inputs[1].name == "gamma"


def test_a_change_that_the_original_cannot_express_keeps_the_canonical_node() -> None:
    model = spelled(SPELLINGS["no affine"][0])
    _canonicalize(model)
    (node,) = list(model.graph)
    node.replace_input_with(1, model.graph.initializers["gamma"])
    assert _restore(model) == 0
    assert [node.op_type for node in model.graph] == ["LayerNormalization"]


def test_kept_norms_of_nested_graphs_are_restored() -> None:
    text = f"""yes = Greater(input_eps, one)
        y = If(yes) <
          then_branch = then_graph () => (float[B, S, 8] a) {{
            {SPELLINGS["folded"][0].replace("y =", "a =")}
          }},
          else_branch = else_graph () => (float[B, S, 8] b) {{
            b = LayerNormalization(x, gamma3)
          }}
        >"""
    original = _without_unused(spelled(text))
    model = spelled(text)
    infer_symbolic_shapes(model)
    assert (_canonicalize(model), _restore(model)) == (2, 2)
    assert ir.to_proto(model).graph == original.graph


def _float32() -> dict[str, np.ndarray]:
    return {name: array.astype(np.float32) for name, array in arrays().items()}
