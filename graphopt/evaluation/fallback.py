"""Operators that have no kernel here run on the reference implementation of the onnx package."""

from __future__ import annotations

__all__ = ["evaluate_with_onnx_reference"]

from typing import Any

import numpy as np
import onnx_ir as ir

from graphopt.evaluation.calls import Call, UnsupportedOperator


def evaluate_with_onnx_reference(call: Call, *inputs: Any) -> Any:
    """Evaluate one node as a graph of its own with ``onnx.reference``.

    Raises:
        UnsupportedOperator: The onnx package has no implementation, or the node holds a graph.
    """
    import onnx  # imported late: the reference operators alone take 0.2 s to import
    from onnx.reference import ReferenceEvaluator

    node = call.node
    if node.domain != "" or any(isinstance(value, ir.Graph) for value in call.attributes.values()):
        raise _unsupported(node)
    given = dict(call.attributes)
    if node.op_type == "Resize":
        # An empty roi or empty scales are none, but older onnx indexes them; its axes count from 0.
        inputs = tuple(None if array is None or not array.size else array for array in inputs)
        if "axes" in given:
            given["axes"] = [axis % inputs[0].ndim for axis in given["axes"]]
    names = ["" if array is None else f"x{i}" for i, array in enumerate(inputs)]
    outputs = [f"y{i}" if value.name else "" for i, value in enumerate(node.outputs)]
    attributes = {
        name: onnx.numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for name, value in given.items()
    }
    proto = onnx.helper.make_node(node.op_type, names, outputs, **attributes)
    graph = onnx.helper.make_graph(
        [proto],
        node.op_type,
        [
            _declare(name, array)
            for name, array in zip(names, inputs, strict=True)
            if array is not None
        ],
        [onnx.ValueInfoProto(name=name) for name in outputs if name],
    )
    try:
        evaluator = ReferenceEvaluator(graph, opsets={"": call.version})
    except (NotImplementedError, RuntimeError) as error:
        raise _unsupported(node) from error
    feeds = {name: array for name, array in zip(names, inputs, strict=True) if name}
    results = iter(evaluator.run(None, feeds))
    return tuple(next(results) if name else None for name in outputs)


def _declare(name: str, array: Any) -> Any:
    import onnx

    if not isinstance(array, np.ndarray):
        return onnx.ValueInfoProto(name=name)
    element = ir.DataType.from_numpy(array.dtype).value
    return onnx.helper.make_tensor_value_info(name, element, array.shape)


def _unsupported(node: ir.Node) -> UnsupportedOperator:
    domain = f" of domain {node.domain!r}" if node.domain else ""
    return UnsupportedOperator(
        f"node {node.name!r}: operator {node.op_type}{domain} cannot be evaluated with numpy"
    )
