"""Casts a whole model to float64, so that equivalence can be judged far below float32 rounding."""

from __future__ import annotations

__all__ = ["cast_to_float64", "evaluate_in_float64"]

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from graphopt.evaluation.calls import Array
from graphopt.evaluation.interpreter import evaluate
from graphopt.evaluation.tensors import read_tensor
from graphopt.passes.graph.constants import HALF

_NARROW = frozenset({ir.DataType.FLOAT, *HALF})
_TYPE_ATTRIBUTES = frozenset({"dtype", "output_datatype", "softmax_precision", "to"})


def cast_to_float64(model: ir.Model) -> ir.Model:
    """A copy of the model in which every float16, bfloat16 and float32 is float64.

    Changed are the types of all values (so float inputs become float64), the initializers and
    constants, and the attributes that name a type (``to``, ``dtype``, ...), in the graph, nested
    graphs and model-local functions. ``stash_type`` stays: the evaluator ignores it on float64.

    Args:
        model: Not changed. Tensors are shared with the copy and converted when they are read,
            each time anew, so that a converted tensor lives no longer than its reader needs it.
    """
    copy = model.clone()
    graphs: list[ir.Graph | ir.Function] = [copy.graph, *copy.functions.values()]
    for outermost in graphs:
        for graph in (outermost, *outermost.subgraphs()):
            _cast_values(graph.inputs)
            if isinstance(graph, ir.Graph):
                _cast_values(graph.initializers.values())
            for node in graph:
                _cast_values(node.outputs)
                _cast_attributes(node)
    return copy


def evaluate_in_float64(
    model: ir.Model, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None
) -> dict[str, Array]:
    """Evaluate a model as if every float of it were float64.

    Args:
        model: Not changed.
        inputs: One array for each graph input, by name; floats may be of any precision.
        outputs: Names of the values wanted; by default the graph outputs.

    Raises:
        UnsupportedOperator: No kernel is known for a node.
        EvaluationFailed: An input is missing, or a kernel failed on the given inputs.
    """
    declared = {value.name: value.dtype for value in model.graph.inputs}
    floats = _NARROW | {ir.DataType.DOUBLE}
    wide = {
        name: np.asarray(array, np.float64) if declared.get(name) in floats else array
        for name, array in inputs.items()
    }
    return evaluate(cast_to_float64(model), wide, outputs)


def _cast_values(values: Iterable[ir.Value]) -> None:
    for value in values:
        value.type = _cast_type(value.type)
        if value.const_value is not None:
            value.const_value = _cast_tensor(value.const_value)


def _cast_type(declared: ir.TypeProtocol | None) -> ir.TypeProtocol | None:
    if isinstance(declared, ir.SequenceType | ir.OptionalType):
        inner = _cast_type(declared.elem_type)
        assert inner is not None
        return type(declared)(inner, denotation=declared.denotation)
    if isinstance(declared, ir.TensorType) and declared.dtype in _NARROW:
        return ir.TensorType(ir.DataType.DOUBLE, denotation=declared.denotation)
    return declared


def _cast_tensor(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    if tensor.dtype not in _NARROW:
        return tensor
    return ir.LazyTensor(
        lambda: ir.tensor(read_tensor(tensor).astype(np.float64), name=tensor.name),
        dtype=ir.DataType.DOUBLE,
        shape=ir.Shape(tensor.shape.numpy()),
        name=tensor.name,
    )


def _cast_attributes(node: ir.Node) -> None:
    for name, attribute in list(node.attributes.items()):
        if attribute.is_ref():
            continue
        if attribute.type == ir.AttributeType.TENSOR:
            node.attributes[name] = ir.AttrTensor(name, _cast_tensor(attribute.as_tensor()))
        elif name in _TYPE_ATTRIBUTES and attribute.value in _NARROW:
            node.attributes[name] = ir.AttrInt64(name, ir.DataType.DOUBLE.value)
    if node.op_type == "Constant" and node.domain == "":
        _cast_constant(node)
    if node.op_type == "ConstantOfShape" and "value" not in node.attributes:
        zero = ir.tensor(np.zeros(1, dtype=np.float64))
        node.attributes["value"] = ir.AttrTensor("value", zero)


def _cast_constant(node: ir.Node) -> None:
    """``value_float`` and ``value_floats`` are float32 by definition: they become a tensor."""
    for name in ("value_float", "value_floats"):
        attribute = node.attributes.pop(name, None)
        if attribute is not None and attribute.is_ref():
            node.attributes.add(attribute)
            _cast_result(node)
        elif attribute is not None:
            tensor = ir.tensor(np.asarray(attribute.value, dtype=np.float64))
            node.attributes["value"] = ir.AttrTensor("value", tensor)


def _cast_result(node: ir.Node) -> None:
    """Widen what a node gives that can give float32 alone: an attribute of the function around."""
    narrow = node.outputs[0]
    narrow.type = ir.TensorType(ir.DataType.FLOAT)
    cast = ir.node("Cast", [narrow], {"to": ir.DataType.DOUBLE.value})
    wide = cast.outputs[0]
    wide.name, wide.type = f"{narrow.name}.float64", ir.TensorType(ir.DataType.DOUBLE)
    narrow.replace_all_uses_with(wide, replace_graph_outputs=True)
    cast.replace_input_with(0, narrow)
    assert node.graph is not None
    node.graph.insert_after(node, cast)
