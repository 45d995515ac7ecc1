"""What nothing reads goes, and what stays keeps the positions of its inputs and outputs."""

from __future__ import annotations

import onnx_ir as ir

from graphopt.passes.graph.liveness import remove_unused


def test_nodes_and_constants_that_nothing_reads_go() -> None:
    model = ir.from_onnx_text(
        """<ir_version: 8, opset_import: ["" : 17]> g (float[2] x, bool k) => (float[2] y)
        <float[2] used = {1, 2}, float[2] dead = {1, 2}> {
            a = Add(x, dead) b = Neg(a)
            y = If(k)<then_branch = t () => (float[2] o) { u = Neg(x) o = Add(x, used) },
                      else_branch = e () => (float[2] p) { p = Identity(x) }> }"""
    )
    remove_unused(model)
    assert [node.op_type for node in model.graph.all_nodes()] == ["If", "Add", "Identity"]
    assert list(model.graph.initializers) == ["used"]


def test_positions_stay() -> None:
    model = ir.from_onnx_text(
        """<ir_version: 8, opset_import: ["" : 17, "other" : 1]> g (float[2] x) => (float[2] y) {
            a, "", b, "" = other.Op(x, "", x, "") m, unread = MaxPool<kernel_shape = [1]>(a)
            y = Clip(m, "", "") }"""
    )
    remove_unused(model)
    op, pool, clip = model.graph
    assert [value and value.name for value in op.inputs] == ["x", None, "x", None]
    assert [value.name for value in op.outputs] == ["a", "", "b", ""]
    assert [value.name for value in pool.outputs] == ["m", "unread"]
    assert [value.name for value in clip.inputs] == ["m"]
