"""Operators that have no kernel here run on the reference implementation of the onnx package."""

from __future__ import annotations

__all__ = ["evaluate_with_onnx_reference"]

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from graphopt.evaluation.calls import Call, UnsupportedOperator

_RECURRENT, _LENGTHS = ("GRU", "LSTM", "RNN"), 4
_RESIZE_WITH_ROI = 11


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
    if reason := _wrong_there(call, inputs):
        raise UnsupportedOperator(
            f"node {node.name!r}: {node.op_type} with {reason} cannot be evaluated with numpy"
        )
    given = dict(call.attributes)
    if node.op_type == "Resize":
        inputs = _resize_inputs(call, inputs)
        if call.version < _RESIZE_WITH_ROI:
            given |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
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


def _wrong_there(call: Call, inputs: Sequence[Any]) -> str:
    """What the reference implementation leaves out of an operator or gets wrong, in words."""
    kind = call.node.op_type
    if kind in _RECURRENT:
        return _wrong_recurrence(call, inputs)
    if not kind.endswith("Pool"):
        return ""
    if call.wants(1):
        return "positions as output"
    if call.get("auto_pad") == "SAME_LOWER":
        return "auto_pad SAME_LOWER"
    if call.get("ceil_mode", 0) and (kind == "AveragePool" or any(call.get("pads") or ())):
        return "ceil_mode"
    return ""


def _wrong_recurrence(call: Call, inputs: Sequence[Any]) -> str:
    """Likewise of a GRU, an LSTM or an RNN."""
    for name in ("activations", "clip", "input_forget"):
        if call.get(name):
            return f"attribute {name}"
    if len(inputs) > _LENGTHS and inputs[_LENGTHS] is not None:
        steps = inputs[0].shape[call.get("layout", 0)]
        return "samples of several lengths" if (inputs[_LENGTHS] != steps).any() else ""
    return ""


def _resize_inputs(call: Call, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """Inputs that the reference implementation reads as ONNX Runtime does.

    An empty roi or empty scales are none, but older onnx indexes them. Until opset 10 the scales
    are the second input. Aligned corners are those of the whole number of elements that result.
    """
    x = inputs[0]
    given = [None if array is None or not array.size else array for array in inputs[1:]]
    if call.version < _RESIZE_WITH_ROI:
        given = [None, *given]
    is_aligned = call.get("coordinate_transformation_mode") == "align_corners"
    if is_aligned and len(given) > 1 and given[1] is not None:
        axes = call.get("axes") or range(x.ndim)
        sizes = [int(x.shape[axis] * scale) for axis, scale in zip(axes, given[1], strict=True)]
        given = [given[0], None, np.array(sizes, dtype=np.int64)]
    return x, *given


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
