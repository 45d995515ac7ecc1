"""Models whose inputs are what a test is about."""

from __future__ import annotations

from typing import Any

import onnx_ir as ir

HEAD = '<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>'


def model(signature: str, body: str) -> ir.Model:
    return ir.from_onnx_text(f"{HEAD} g ({signature}) => (float[?] y) {body}")


def declared(**inputs: list[Any]) -> ir.Model:
    """A model of which only the inputs matter: the element type, then the dimensions of each."""
    values = [
        ir.val(name, ir.DataType[dtype], ir.Shape(dims)) for name, (dtype, *dims) in inputs.items()
    ]
    node = ir.node("Identity", values[:1])
    node.outputs[0].type, node.outputs[0].shape = values[0].type, values[0].shape
    graph = ir.Graph(values, node.outputs, nodes=[node], opset_imports={"": 17}, name="g")
    return ir.Model(graph, ir_version=8)
