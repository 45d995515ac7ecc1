"""A graph as a short list of its ops, for a failure message."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

__all__ = ["graph_text"]


def graph_text(model: ir.Model) -> str:
    """Inputs, initializers, one line for each node (bodies indented), outputs."""
    graph = model.graph
    lines = [f"opset {model.opset_imports.get('')}"]
    lines += [f"input {v.name}: {v.dtype} {v.shape}" for v in graph.inputs]
    lines += [f"initializer {v.name}: {v.dtype} {v.shape}" for v in graph.initializers.values()]
    lines += _nodes(graph, "")
    lines.append("outputs " + ", ".join(str(v.name) for v in graph.outputs))
    return "\n".join(lines)


def _nodes(graph: ir.Graph, indent: str) -> Iterator[str]:
    for node in graph:
        outputs = ", ".join(str(v.name) for v in node.outputs)
        inputs = ", ".join("-" if v is None else str(v.name) for v in node.inputs)
        plain = [a for a in node.attributes.values() if a.type != ir.AttributeType.GRAPH]
        attributes = " ".join(f"{a.name}={_short(a)}" for a in plain)
        yield f"{indent}{outputs} = {node.op_type}({inputs}) {attributes}".rstrip()
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                body = attribute.as_graph()
                results = ", ".join(str(v.name) for v in body.outputs)
                yield f"{indent}  {attribute.name} -> {results}"
                yield from _nodes(body, indent + "    ")


def _short(attribute: ir.Attr) -> str:
    if attribute.type != ir.AttributeType.TENSOR:
        return str(attribute.value)
    array = attribute.as_tensor().numpy()
    return str(array.tolist()) if array.size <= 4 else f"{array.dtype}{list(array.shape)}"
