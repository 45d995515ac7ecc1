"""Write norms in the operators of the target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from graphopt.passes.naming import Names
from graphopt.passes.original_spelling import spelling_of

__all__ = ["LowerNorms"]

_HALF = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16)


class LowerNorms(ir.passes.InPlacePass):
    """Turn the internal RMSNormalization and LayerNormalization into what a runtime accepts.

    ``ops="standard"``, ONNX operators only:

    1. RMSNormalization stays at opset 23 and above.
    2. Below, it becomes Pow, ReduceMean, Add, Sqrt, Div and Mul by gamma: the one spelling that
       ONNX Runtime fuses to its own RMS kernel. Epsilon is the Add's second input and a float32
       constant, because the fusion reads it there and assumes 1e-5 for anything else.
    3. float16 and bfloat16 compute between Casts to and from float32 (stash_type 1), which the
       fusion takes in; gamma is multiplied in the type of x, and each norm gets its own, because
       the Casts that ONNX Runtime inserts on the CPU keep the fusion from a shared one.
    4. float64 squares by Mul, which keeps the fusion away: it would lose the float64 epsilon.
    5. A canonical LayerNormalization that is left, with no spelling to return to, is decomposed
       likewise below opset 17, where ONNX does not have it.

    ``ops="ort"``: RMSNormalization becomes SimplifiedLayerNormalization, which ONNX Runtime
    registers in the ONNX domain; onnx.checker does not know it.

    Args:
        ops: ``"standard"`` or ``"ort"``.
    """

    def __init__(self, ops: str = "standard") -> None:
        self.ops = ops
        self.record: dict[str, int] = {}

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Lower in place; ``record`` counts the norms by what they became."""
        self.record = {"primitives": 0, "SimplifiedLayerNormalization": 0}
        opset = model.graph.opset_imports.get("", 1)
        primitives = _Primitives(model, opset)
        for graph in model.graphs():
            for node in list(graph):
                if node.domain:
                    continue
                if node.op_type == "RMSNormalization" and self.ops == "ort":
                    node.op_type = "SimplifiedLayerNormalization"
                    self.record["SimplifiedLayerNormalization"] += 1
                elif (node.op_type == "RMSNormalization" and opset < 23) or (
                    _is_canonical_layer_norm(node) and opset < 17
                ):
                    primitives.replace(node)
                    self.record["primitives"] += 1
        return ir.passes.PassResult(model, modified=any(self.record.values()))


def _is_canonical_layer_norm(node: ir.Node) -> bool:
    return (
        node.op_type == "LayerNormalization"
        and spelling_of(node) is not None
        and len(node.outputs) == 1
    )


class _Primitives:
    """Writes norms over the last axis in primitive operators."""

    def __init__(self, model: ir.Model, opset: int) -> None:
        self._names, self._opset = Names(model), opset
        self._constants: dict[tuple[str, float, ir.DataType], ir.Value] = {}

    def replace(self, node: ir.Node) -> None:
        """Put x / sqrt(mean(x^2) + epsilon) * gamma in the place of ``node``.

        LayerNormalization subtracts the mean from x before, and adds beta after.
        """
        x, gamma, beta = (*node.inputs, None)[:3]
        result, graph = node.outputs[0], node.graph
        assert x is not None and gamma is not None and graph is not None
        nodes: list[ir.Node] = []
        dtype = x.dtype or ir.DataType.FLOAT
        wide = ir.DataType.FLOAT if dtype in _HALF else dtype
        base = result.name or node.name or "norm"

        def emit(op_type: str, inputs: Sequence[ir.Value | None], like: ir.Value) -> ir.Value:
            name = self._names.fresh(f"{base}.{op_type.lower()}")
            new = ir.node(op_type, inputs, name=name)
            new.outputs[0].name, new.outputs[0].shape = name, like.shape
            new.outputs[0].type = like.type
            nodes.append(new)
            return new.outputs[0]

        def cast(value: ir.Value, target: ir.DataType) -> ir.Value:
            new = emit("Cast", [value], value)
            nodes[-1].attributes.add(ir.AttrInt64("to", target.value))
            new.type = ir.TensorType(target)
            return new

        def mean(value: ir.Value) -> ir.Value:
            axes = [] if self._opset < 18 else [self._axes()]
            new = emit("ReduceMean", [value, *axes], value)
            if self._opset < 18:
                nodes[-1].attributes.add(ir.AttrInt64s("axes", [-1]))
            nodes[-1].attributes.add(ir.AttrInt64("keepdims", 1))
            if value.shape is not None:
                new.shape = ir.Shape([*value.shape[:-1], 1])
            return new

        value = x if wide == dtype else cast(x, wide)
        if node.op_type == "LayerNormalization":
            value = emit("Sub", [value, mean(value)], value)
        if wide == ir.DataType.DOUBLE:
            square = emit("Mul", [value, value], value)
        else:
            square = emit("Pow", [value, self._constant("two", 2.0, wide)], value)
        moment = mean(square)
        epsilon = self._constant("epsilon", node.attributes.get_float("epsilon", 1e-5), wide)
        shifted = emit("Add", [moment, epsilon], moment)
        value = emit("Div", [value, emit("Sqrt", [shifted], shifted)], value)
        if wide != dtype:
            value, gamma = cast(value, dtype), self._names.unshared(gamma, f"{base}.gamma")
        value = emit("Mul", [value, gamma], result)
        if beta is not None:
            value = emit("Add", [value, beta], result)
        nodes[-1].name = node.name
        graph.insert_before(node, nodes)
        result.replace_all_uses_with(value, replace_graph_outputs=True)
        graph.remove(node, safe=True)
        value.name = result.name
        value.meta.update(result.meta)

    def _constant(self, name: str, number: float, dtype: ir.DataType) -> ir.Value:
        key = (name, number, dtype)
        if key not in self._constants:
            tensor = ir.tensor(np.array(number, dtype.numpy()), dtype=dtype)
            self._constants[key] = self._names.initializer(f"norm.{name}", tensor)
        return self._constants[key]

    def _axes(self) -> ir.Value:
        key = ("axes", -1.0, ir.DataType.INT64)
        if key not in self._constants:
            tensor = ir.tensor(np.array([-1], np.int64))
            self._constants[key] = self._names.initializer("norm.axes", tensor)
        return self._constants[key]
