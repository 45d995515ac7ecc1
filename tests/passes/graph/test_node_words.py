"""What a node is called in messages."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph.naming import node_words


def test_a_node_without_a_name_is_what_it_makes() -> None:
    node = ir.node("MatMul", [None, None])
    node.outputs[0].name = "/h/3/out"
    assert node_words(node) == "the MatMul that makes /h/3/out"
    node.name = "product"
    assert node_words(node) == "MatMul product"
