"""Nodes that encode a centred value or decode a compressed one (see basis.py for E and D)."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from graphopt.passes.crms.basis import Basis
from graphopt.passes.graph.axes import Stream
from graphopt.passes.graph.constants import HALF
from graphopt.passes.graph.naming import Names

__all__ = ["insert_decoder", "insert_encoder"]


def insert_encoder(names: Names, stream: Stream, basis: Basis) -> ir.Value:
    """E v behind a centred value: its entries but the last, plus a share of the last."""
    emit = _Emitter(names, stream, "compressed")
    axis, last = stream.axis.axis, basis.size - 1
    value = emit.widened(stream.value) if basis.from_last else stream.value
    first = emit.slice(value, 0, last)
    if basis.from_last:
        share = emit("Mul", [emit.slice(value, last, last + 1), emit.number(basis.from_last)], 1)
        first = emit("Add", [first, share], last)
    if basis.scale != 1.0:
        first = emit("Mul", [first, emit.number(1.0 / basis.scale)], last)
    return emit.done(first, axis, last)


def insert_decoder(names: Names, stream: Stream, basis: Basis) -> ir.Value:
    """D z behind a compressed value: d entries, of zero mean."""
    emit = _Emitter(names, stream, "whole")
    axis, last = stream.axis.axis, basis.size - 1
    value = emit.widened(stream.value)
    total = emit("ReduceSum", [value, emit.axes()], 1, keepdims=1)
    first = value
    if basis.to_each:
        share = emit("Mul", [total, emit.number(basis.to_each * basis.scale)], 1)
        first = emit("Mul", [first, emit.number(basis.scale)], last)
        first = emit("Add", [first, share], last)
    tail = emit("Mul", [total, emit.number(basis.to_last * basis.scale)], 1)
    whole = emit("Concat", [first, tail], basis.size, axis=axis)
    return emit.done(whole, axis, basis.size)


class _Emitter:
    """Writes nodes behind a value, in float32 where its type is shorter."""

    def __init__(self, names: Names, stream: Stream, suffix: str) -> None:
        self._names, self._stream, self._suffix = names, stream, suffix
        self._nodes: list[ir.Node] = []
        dtype = stream.value.dtype
        assert dtype is not None
        self._dtype = dtype
        self._wide = ir.DataType.FLOAT if dtype in HALF else dtype

    def __call__(
        self, op: str, inputs: list[ir.Value], size: int, **attributes: int | list[int]
    ) -> ir.Value:
        """A node whose result has ``size`` features."""
        value = self._stream.value
        name = self._names.fresh(f"{value.name}.{self._suffix}.{op.lower()}")
        node = ir.node(op, inputs, attributes=attributes, name=name)
        result = node.outputs[0]
        result.name, result.type = name, inputs[0].type
        assert value.shape is not None
        result.shape = ir.Shape(
            [size if i == self._stream.axis.axis else dim for i, dim in enumerate(value.shape)]
        )
        self._nodes.append(node)
        return result

    def widened(self, value: ir.Value) -> ir.Value:
        """``value`` in the type that sums are made in."""
        if self._wide == self._dtype:
            return value
        size = value.shape[self._stream.axis.axis] if value.shape is not None else None
        assert isinstance(size, int)
        result = self("Cast", [value], size, to=self._wide.value)
        result.type = ir.TensorType(self._wide)
        return result

    def slice(self, value: ir.Value, start: int, end: int) -> ir.Value:
        """Entries ``start`` to ``end`` of the features."""
        bounds = [self._integer("start", start), self._integer("end", end), self.axes()]
        return self("Slice", [value, *bounds], end - start)

    def axes(self) -> ir.Value:
        """The feature axis as an operand."""
        return self._integer("axes", self._stream.axis.axis)

    def number(self, number: float) -> ir.Value:
        """A scalar constant of the type that sums are made in."""
        tensor = ir.tensor(np.array(number, self._wide.numpy()), dtype=self._wide)
        return self._names.initializer(f"{self._stream.value.name}.{self._suffix}.factor", tensor)

    def done(self, result: ir.Value, axis: int, size: int) -> ir.Value:
        """Put the nodes into the graph; ``result`` in the type of the value."""
        if result.dtype != self._dtype:
            result = self("Cast", [result], size, to=self._dtype.value)
            result.type = ir.TensorType(self._dtype)
        result.name = self._names.fresh(f"{self._stream.value.name}.{self._suffix}")
        value = self._stream.value
        producer = value.producer()
        graph = value.graph if producer is None else producer.graph
        assert isinstance(graph, ir.Graph)
        if producer is not None:
            graph.insert_after(producer, self._nodes)
        else:
            graph.insert_before(graph[0], self._nodes)
        return result

    def _integer(self, name: str, number: int) -> ir.Value:
        tensor = ir.tensor(np.array([number], dtype=np.int64))
        return self._names.initializer(f"{self._stream.value.name}.{self._suffix}.{name}", tensor)
