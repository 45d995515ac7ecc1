"""Write norms in the operators of the target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from graphopt.passes.choices import OPS
from graphopt.passes.graph.constants import HALF
from graphopt.passes.graph.naming import Names
from graphopt.passes.norms.canonical import epsilon_of, keeps_epsilon
from graphopt.passes.norms.original_spelling import spelling_of
from graphopt.passes.rewrite import Rewrite
from graphopt.passes.targets import operator_set_named

__all__ = ["LowerNorms"]

_CAST_LIKE = 15  # the first opset with it


class LowerNorms(Rewrite):
    """Turn the internal norms into what a runtime accepts.

    They are RMSNormalization, CRMSNormalization and the canonical LayerNormalization.

    ``ops="standard"``, ONNX operators only:

    1. RMSNormalization stays at opset 23 and above, with an epsilon that its attribute can hold.
    2. Below, it becomes Pow, ReduceMean, Add, Sqrt, Div and Mul by gamma: the one spelling that
       ONNX Runtime fuses to its own RMS kernel. Epsilon is the Add's second input and a float32
       constant, because the fusion reads it there and assumes 1e-5 for anything else.
    3. float16 and bfloat16 compute between Casts to and from float32 (stash_type 1), which the
       fusion takes in; gamma is multiplied in the type of x, and each norm gets its own, because
       the Casts that ONNX Runtime inserts on the CPU keep the fusion from a shared one.
    4. float64 squares by Mul, which keeps the fusion away: it would lose the float64 epsilon.
    5. A canonical LayerNormalization that is left, with no spelling to return to, is decomposed
       likewise below opset 17, where ONNX does not have it.
    6. CRMSNormalization, for which nobody has a kernel, always becomes primitives: the sum of
       squares and the square of the sum, each of a ReduceSum, over d, and one Reciprocal a row; d
       is counted at run time where it is not proved
       (see :func:`~graphopt.passes.operators.custom_ops.define_operators` for why).

    ``ops="ort"``: RMSNormalization with such an epsilon becomes SimplifiedLayerNormalization, which
    ONNX Runtime registers in the ONNX domain; onnx.checker does not know it.

    What stays one node names its axis from the end, -1, where that is proved to be the same:
    OpenVINO refuses a SimplifiedLayerNormalization with any other.

    Args:
        ops: The operator set; with ``custom`` what LowerCustomNorms left is written in ONNX's.
    """

    needs_shapes = True

    def __init__(self, ops: str = OPS.default) -> None:
        super().__init__()
        self.simplified = operator_set_named(ops).simplified_norms

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Lower in place; ``record`` counts the norms by what they became."""
        self.record = {"primitives": 0, "SimplifiedLayerNormalization": 0}
        opset = model.graph.opset_imports.get("", 1)
        primitives = _Primitives(model, opset)
        for graph in model.graphs():
            for node in list(graph):
                if node.domain:
                    continue
                is_rms = node.op_type == "RMSNormalization"
                if is_rms:
                    _name_axis_from_the_end(node)
                if is_rms and self.simplified and keeps_epsilon(node):
                    node.op_type = "SimplifiedLayerNormalization"
                    self.record["SimplifiedLayerNormalization"] += 1
                elif (
                    node.op_type == "CRMSNormalization"
                    or (is_rms and (opset < 23 or not keeps_epsilon(node)))
                    or (_is_canonical_layer_norm(node) and opset < 17)
                ):
                    primitives.replace(node)
                    self.record["primitives"] += 1
        return ir.passes.PassResult(model, modified=any(self.record.values()))


def _name_axis_from_the_end(node: ir.Node) -> None:
    x = node.inputs[0]
    if x is None or x.shape is None:
        return
    if node.attributes.get_int("axis", -1) == len(x.shape) - 1:
        node.attributes.add(ir.AttrInt64("axis", -1))


def _is_canonical_layer_norm(node: ir.Node) -> bool:
    return (
        node.op_type == "LayerNormalization"
        and spelling_of(node) is not None
        and len(node.outputs) == 1
    )


class _Primitives:
    """Writes norms over the last axis in primitive operators."""

    def __init__(self, model: ir.Model, opset: int) -> None:
        self.names, self.opset = Names(model), opset
        self._constants: dict[tuple[str, float, ir.DataType], ir.Value] = {}

    def replace(self, node: ir.Node) -> None:
        """Put the nodes that normalize x, scale it by gamma and add beta in the place of ``node``.

        They compute in float32 at least, but gamma and beta are applied in the type of x. Of what
        was read back from a file that type may be unknown: gamma has it, too; without gamma the
        nodes do as the body did, which gives back whatever type it is handed.
        """
        x, gamma, beta = (*node.inputs, None, None)[:3]
        assert x is not None
        known = x.dtype or (None if gamma is None else gamma.dtype)
        dtype = known or ir.DataType.FLOAT
        wide = ir.DataType.FLOAT if dtype in HALF else dtype
        is_any = known is None and self.opset >= _CAST_LIKE
        chain = _Chain(node, self)
        value = x if wide == dtype and not is_any else chain.cast(x, wide)
        epsilon = self.constant("epsilon", epsilon_of(node), wide)
        if node.op_type == "CRMSNormalization":
            value = self._crms(chain, value, epsilon)
        else:
            if node.op_type == "LayerNormalization":
                value = chain.emit("Sub", [value, chain.reduce("ReduceMean", value)], value)
            value = self._rms(chain, value, epsilon)
        if is_any:
            value = chain.emit("CastLike", [value, x], x)
        elif wide != dtype:
            value = chain.cast(value, dtype)
        if gamma is not None:
            if wide != dtype:
                gamma = self.names.unshared(gamma, f"{chain.base}.gamma")
            value = chain.emit("Mul", [value, gamma], x)
        if beta is not None:
            value = chain.emit("Add", [value, beta], x)
        chain.put(value)

    def _rms(self, chain: _Chain, x: ir.Value, epsilon: ir.Value) -> ir.Value:
        """x / sqrt(mean(x^2) + epsilon)"""
        if epsilon.dtype == ir.DataType.DOUBLE:
            square = chain.emit("Mul", [x, x], x)
        else:
            two = self.constant("two", 2.0, ir.DataType.FLOAT)
            square = chain.emit("Pow", [x, two], x)
        moment = chain.reduce("ReduceMean", square)
        shifted = chain.emit("Add", [moment, epsilon], moment)
        return chain.emit("Div", [x, chain.emit("Sqrt", [shifted], shifted)], x)

    def _crms(self, chain: _Chain, x: ir.Value, epsilon: ir.Value) -> ir.Value:
        """x * 1 / sqrt((sum(x^2) + sum(x)^2) / d + epsilon)"""
        assert epsilon.dtype is not None
        d = self._whole_size(chain, x, epsilon.dtype)
        squares = chain.reduce("ReduceSum", chain.emit("Mul", [x, x], x))
        total = chain.reduce("ReduceSum", x)
        energy = chain.emit("Add", [squares, chain.emit("Mul", [total, total], total)], total)
        moment = chain.emit("Div", [energy, d], total)
        root = chain.emit("Sqrt", [chain.emit("Add", [moment, epsilon], total)], total)
        return chain.emit("Mul", [x, chain.emit("Reciprocal", [root], total)], x)

    def _whole_size(self, chain: _Chain, x: ir.Value, dtype: ir.DataType) -> ir.Value:
        """d, one more than x has: a constant, or counted where a norm was read back from a file."""
        size = x.shape[-1] if x.shape else None
        if isinstance(size, int):
            return self.constant("d", size + 1.0, dtype)
        last = chain.emit("Gather", [chain.count(x), self.axes()], x)
        last.type, last.shape = ir.TensorType(ir.DataType.INT64), ir.Shape([1])
        number = chain.cast(last, dtype)
        return chain.emit("Add", [number, self.constant("one", 1.0, dtype)], number)

    def constant(self, name: str, number: float, dtype: ir.DataType) -> ir.Value:
        """A scalar that all norms share."""
        key = (name, number, dtype)
        if key not in self._constants:
            tensor = ir.tensor(np.array(number, dtype.numpy()), dtype=dtype)
            self._constants[key] = self.names.initializer(f"norm.{name}", tensor)
        return self._constants[key]

    def axes(self) -> ir.Value:
        """The last axis, as an input of reductions."""
        key = ("axes", -1.0, ir.DataType.INT64)
        if key not in self._constants:
            tensor = ir.tensor(np.array([-1], np.int64))
            self._constants[key] = self.names.initializer("norm.axes", tensor)
        return self._constants[key]


class _Chain:
    """The nodes that take the place of one norm."""

    def __init__(self, norm: ir.Node, primitives: _Primitives) -> None:
        self._norm, self._primitives = norm, primitives
        self._nodes: list[ir.Node] = []
        self.base = norm.outputs[0].name or norm.name or "norm"

    def emit(self, op_type: str, inputs: Sequence[ir.Value], like: ir.Value) -> ir.Value:
        """The result of a new node; it has the type and the shape of ``like``."""
        name = self._primitives.names.fresh(f"{self.base}.{op_type.lower()}")
        new = ir.node(op_type, inputs, name=name)
        new.outputs[0].name, new.outputs[0].type = name, like.type
        new.outputs[0].shape = like.shape
        self._nodes.append(new)
        return new.outputs[0]

    def cast(self, value: ir.Value, target: ir.DataType) -> ir.Value:
        """``value`` in another type."""
        new = self.emit("Cast", [value], value)
        self._nodes[-1].attributes.add(ir.AttrInt64("to", target.value))
        new.type = ir.TensorType(target)
        return new

    def count(self, value: ir.Value) -> ir.Value:
        """The sizes of ``value``."""
        new = self.emit("Shape", [value], value)
        new.type = ir.TensorType(ir.DataType.INT64)
        new.shape = ir.Shape([None if value.shape is None else len(value.shape)])
        return new

    def reduce(self, op_type: str, value: ir.Value) -> ir.Value:
        """ReduceMean or ReduceSum over the last axis, which stays with size 1."""
        is_input = self._primitives.opset >= {"ReduceMean": 18, "ReduceSum": 13}[op_type]
        new = self.emit(op_type, [value, self._primitives.axes()] if is_input else [value], value)
        if not is_input:
            self._nodes[-1].attributes.add(ir.AttrInt64s("axes", [-1]))
        self._nodes[-1].attributes.add(ir.AttrInt64("keepdims", 1))
        if value.shape is not None:
            new.shape = ir.Shape([*value.shape[:-1], 1])
        return new

    def put(self, value: ir.Value) -> None:
        """Replace the norm by the nodes, the last of which computes ``value``."""
        result, graph = self._norm.outputs[0], self._norm.graph
        assert graph is not None
        self._nodes[-1].name = self._norm.name
        graph.insert_before(self._norm, self._nodes)
        result.replace_all_uses_with(value, replace_graph_outputs=True)
        graph.remove(self._norm, safe=True)
        value.name, value.type, value.shape = result.name, result.type, result.shape
        value.meta.update(result.meta)
