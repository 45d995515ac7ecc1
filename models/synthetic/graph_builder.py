"""Puts a graph together node by node, with weights that are drawn later."""

from __future__ import annotations

__all__ = ["GraphBuilder"]

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from graphopt.errors import UsageError
from graphopt.models.synthetic.weights import BIAS, Draw, linear, values

_OPSET, _IR_VERSION = 18, 8
"""LayerNormalization is there; every ONNX Runtime that graphopt supports reads both."""


class GraphBuilder:
    """Nodes and weights of one graph. A value is named after the node that makes it.

    Attributes:
        dtype: FLOAT or FLOAT16, of weights and values.
    """

    def __init__(self, dtype: ir.DataType, seed: int) -> None:
        """Begin an empty graph.

        Raises:
            UsageError: the seed is negative.
        """
        if seed < 0:
            raise UsageError(f"the seed is {seed}: give 0 or more")
        self.dtype = dtype
        self._seed = seed
        self._nodes: list[ir.Node] = []
        self._initializers: list[ir.Value] = []

    def op(self, op_type: str, name: str, *inputs: ir.Value, **attributes: Any) -> ir.Value:
        """Add a node and return its output."""
        return self.ops(op_type, [name], *inputs, **attributes)[0]

    def ops(
        self, op_type: str, names: Sequence[str], *inputs: ir.Value, **attributes: Any
    ) -> Sequence[ir.Value]:
        """Add a node and return its outputs, which have these names."""
        outputs = [ir.Value(name=name) for name in names]
        self._nodes.append(
            ir.node(op_type, inputs, attributes or None, outputs=outputs, name=names[0])
        )
        return outputs

    def weight(self, name: str, shape: Sequence[int], draw: Draw) -> ir.Value:
        """Add a weight that is drawn each time that it is read, and never kept."""
        dtype, seed = self.dtype, self._seed

        def drawn() -> ir.TensorProtocol:
            return ir.Tensor(values(name, shape, draw, dtype.numpy(), seed), dtype, name=name)

        return self._initializer(name, dtype, shape, drawn)

    def constant(self, name: str, array: float | Sequence[int] | int) -> ir.Value:
        """Add a constant: of int64, or of the type of the weights where it is a float."""
        dtype = self.dtype if isinstance(array, float) else ir.DataType.INT64
        tensor = ir.Tensor(np.array(array, dtype.numpy()), name=name)
        return self._initializer(name, dtype, tensor.shape.numpy(), lambda: tensor)

    def linear(self, name: str, source: ir.Value, inputs: int, outputs: int) -> ir.Value:
        """Add source [..., inputs] times a weight [inputs, outputs], plus a bias."""
        weight = self.weight(f"{name}.weight", (inputs, outputs), linear(inputs))
        product = self.op("MatMul", f"{name}.product", source, weight)
        return self.op("Add", name, product, self.weight(f"{name}.bias", (outputs,), BIAS))

    def model(self, inputs: Sequence[ir.Value], outputs: Sequence[ir.Value]) -> ir.Model:
        """The finished model."""
        graph = ir.Graph(
            inputs,
            outputs,
            nodes=self._nodes,
            initializers=self._initializers,
            opset_imports={"": _OPSET},
            name="synthetic",
        )
        return ir.Model(graph, ir_version=_IR_VERSION, producer_name="graphopt export synthetic")

    def _initializer(
        self,
        name: str,
        dtype: ir.DataType,
        shape: Sequence[int],
        drawn: Callable[[], ir.TensorProtocol],
    ) -> ir.Value:
        tensor = ir.LazyTensor(drawn, dtype, ir.Shape(shape), name=name)
        value = ir.Value(
            name=name,
            type=ir.TensorType(dtype),
            shape=ir.Shape(shape),
            const_value=tensor,
        )
        self._initializers.append(value)
        return value
