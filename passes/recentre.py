"""Push centring into what writes the residual stream, as the plan says."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph import constants
from graphopt.passes.graph.axes import Stream, dimension, rank
from graphopt.passes.graph.branches import replace
from graphopt.passes.graph.edits import Centring
from graphopt.passes.graph.naming import Names
from graphopt.passes.rewrite import PlannedRewrite
from graphopt.passes.streams.roles import Vanishes

__all__ = ["Recentre"]


class Recentre(PlannedRewrite):
    """Centre the streams that a plan names.

    1. A constant that only centred uses read is recentred in place; one that is read both ways gets
       a recentred copy for the centred uses.
    2. A value that is read both ways, or that nothing upstream can centre, is followed by an
       explicit x - ReduceMean(x) for its centred uses.
    3. What a branch of an If gives is recentred in the branch.
    4. In a centred op an operand that is broadcast along the features becomes zeros.

    Args:
        plan: The plan for this very model.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the plan to ``model``."""
        names = Names(model)
        self.record = {"weights recentred": 0, "copies": 0, "recentrings": 0, "zeroed": 0}
        copies = {
            stream: self._recentred_copy(model, names, stream)
            for stream in self._in_order(self.plan.recentred)
        }
        self._rewire(model, names, copies)
        for stream in self._in_order(self.plan.made):
            if self.plan.trace.streams[stream].constant:
                names.edit(stream.value, [_edit(stream)])
                self.record["weights recentred"] += 1
        return ir.passes.PassResult(model, modified=any(self.record.values()))

    def _in_order(self, streams: frozenset[Stream]) -> list[Stream]:
        """In the order of the trace, so that names and files are the same from run to run."""
        return [stream for stream in self.plan.trace.streams if stream in streams]

    def _recentred_copy(self, model: ir.Model, names: Names, stream: Stream) -> ir.Value:
        if self.plan.trace.streams[stream].constant:
            self.record["copies"] += 1
            return names.edited_copy(stream.value, [_edit(stream)], ".centred")
        self.record["recentrings"] += 1
        return _insert_recentring(model, names, stream)

    def _rewire(self, model: ir.Model, names: Names, copies: dict[Stream, ir.Value]) -> None:
        for norm in self.plan.converted:
            if norm.stream in copies:
                norm.node.replace_input_with(0, copies[norm.stream])
        done: set[ir.Node] = set()
        for stream in self._in_order(self.plan.made):
            facts = self.plan.trace.streams[stream]
            for use, axis in facts.reads:
                operand = use.value
                if operand is not None and Stream(operand, axis) in copies:
                    replace([use], copies[Stream(operand, axis)])
            node = stream.value.producer()
            if node is None or facts.roles is None or node in done:
                continue
            done.add(node)
            for index, role in enumerate(facts.roles):
                operand = node.inputs[index]
                if operand is not None and isinstance(role, Vanishes):
                    shaped = role.gives_shape and _shape_matters(node, index)
                    self._zero(model, names, node, index, operand, shaped)

    def _zero(
        self,
        model: ir.Model,
        names: Names,
        node: ir.Node,
        index: int,
        operand: ir.Value,
        shaped: bool,
    ) -> None:
        """Zeros of the operand's shape: an expanded zero where the shape matters, else a scalar."""
        self.record["zeroed"] += 1
        dtype = operand.dtype or node.outputs[0].dtype  # behind an op of which nothing is known
        assert dtype is not None
        # Tile to the operand's shape, an Expand that opset 7 has, too
        ones = [1] * (rank(operand) or 0) if shaped else []
        zero = names.initializer(
            f"{operand.name}.zero", ir.Tensor(np.zeros(ones, dtype=dtype.numpy()), dtype=dtype)
        )
        if shaped:
            shape = ir.node("Shape", [operand], name=names.fresh(f"{node.name}.shape"))
            expand = ir.node(
                "Expand" if model.opset_imports.get("", 1) >= 8 else "Tile",
                [zero, shape.outputs[0]],
                name=names.fresh(f"{node.name}.zeros"),
            )
            shape.outputs[0].name = names.fresh(f"{operand.name}.shape")
            expand.outputs[0].name = names.fresh(f"{operand.name}.zeros")
            expand.outputs[0].dtype, expand.outputs[0].shape = dtype, operand.shape
            _graph_of(node).insert_before(node, [shape, expand])
            zero = expand.outputs[0]
        node.replace_input_with(index, zero)


def _shape_matters(node: ir.Node, index: int) -> bool:
    """False where the other operands alone are proved to give the result its shape."""
    operand = node.inputs[index]
    if operand is None:
        return False
    others = [value for i, value in enumerate(node.inputs) if i != index and value is not None]
    for back in range(1, (rank(operand) or 0) + 1):
        own = _dimension_from_behind(operand, back)
        aligned = [_dimension_from_behind(value, back) for value in others]
        if own == 1 and any(dim is not None for dim in aligned):
            continue
        if own is None or own not in aligned:
            return True
    return rank(operand) is None


def _dimension_from_behind(value: ir.Value, back: int) -> int | ir.SymbolicDim | None:
    return dimension(value, (rank(value) or 0) - back)


def _edit(stream: Stream) -> Centring:
    return Centring(stream.axis.axis, stream.axis.size, stream.axis.inner)


def _graph_of(node: ir.Node) -> ir.Graph:
    assert node.graph is not None
    return node.graph


class _Emitter:
    """Writes nodes for a value, whose results have its shape and the type that sums are made in."""

    def __init__(self, names: Names, value: ir.Value, dtype: ir.DataType) -> None:
        self._names, self._value, self._dtype = names, value, dtype
        self.nodes: list[ir.Node] = []

    def __call__(
        self, op: str, inputs: list[ir.Value], suffix: str, **attributes: int | list[int]
    ) -> ir.Value:
        name = self._value.name
        node = ir.node(op, inputs, attributes=attributes, name=self._names.fresh(f"{name}.{op}"))
        result = node.outputs[0]
        result.name = self._names.fresh(f"{name}.{suffix}")
        result.dtype, result.shape = self._dtype, self._value.shape
        self.nodes.append(node)
        return result


def _insert_recentring(model: ir.Model, names: Names, stream: Stream) -> ir.Value:
    """x - ReduceMean(x) behind the value, in float32 where its type is shorter."""
    value = stream.value
    dtype = value.dtype
    assert dtype is not None and value.shape is not None
    short = dtype in constants.HALF
    emit = _Emitter(names, value, ir.DataType.FLOAT if short else dtype)
    source = emit("Cast", [value], "wide", to=ir.DataType.FLOAT.value) if short else value
    mean = _reduce_mean(model, names, emit, source, stream.axis.axis)
    dims = [1 if axis == stream.axis.axis else dim for axis, dim in enumerate(value.shape)]
    mean.shape = ir.Shape(dims)
    centred = emit("Sub", [source, mean], "centred")
    if short:
        centred = emit("Cast", [centred], "centred", to=dtype.value)
        centred.dtype = dtype
    producer = value.producer()
    graph = value.graph if producer is None else producer.graph
    assert isinstance(graph, ir.Graph)
    if producer is not None:
        graph.insert_after(producer, emit.nodes)
    elif len(graph):
        graph.insert_before(graph[0], emit.nodes)
    return centred


def _reduce_mean(
    model: ir.Model, names: Names, emit: _Emitter, source: ir.Value, axis: int
) -> ir.Value:
    if model.opset_imports.get("", 1) < 18:
        return emit("ReduceMean", [source], "mean", axes=[axis], keepdims=1)
    axes = names.initializer("recentring.axes", ir.tensor(np.array([axis], dtype=np.int64)))
    return emit("ReduceMean", [source, axes], "mean", keepdims=1)
