"""A new node stands as early as it may."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from graphopt.passes.graph.placing import place

_TEXT = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[4] x, bool c) => (float[4] y) {
        a = Neg (x) b = Abs (x)
        y = If (c) <
            then_branch = t () => (float[4] u) { u = Sin (a) },
            else_branch = e () => (float[4] w) { w = Cos (b) }
        >
    }"""


@pytest.mark.parametrize(
    ("operands", "index"), [("x", 0), ("a", 1), ("b", 2), ("ab", 2), ("ba", 2), ("xa", 1)]
)
def test_behind_the_last_that_makes_an_operand(operands: str, index: int) -> None:
    graph = ir.from_onnx_text(_TEXT).graph
    known = {"x": graph.inputs[0], **{node.outputs[0].name: node.outputs[0] for node in graph}}
    node = ir.node("Sum", [known[name] for name in operands])
    place(node, graph)
    assert list(graph).index(node) == index


def test_at_the_head_of_a_body_that_reads_values_of_the_graph_around_it() -> None:
    graph = ir.from_onnx_text(_TEXT).graph
    body = graph.node(2).attributes["then_branch"].as_graph()
    node = ir.node("Neg", [graph.node(0).outputs[0]])
    place(node, body)
    assert next(iter(body)) is node
    assert len(graph) == 3
