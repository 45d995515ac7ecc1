"""Builds one random ONNX graph in float64, and knows the size of every value it makes.

Every decision is a call of ``below(n)``, a number in ``range(n)`` where 0 is the simplest choice:
hypothesis can shrink a failing graph, and a seed alone can draw one too.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from tests.random_graphs.tensors import BINDINGS, Dim, Tensor

__all__ = ["Builder"]


class Builder:
    """Collects the nodes, constants, inputs and outputs of one graph."""

    def __init__(self, below: Callable[[int], int], *, opset: int, smooth: bool = False) -> None:
        """``smooth`` leaves out what is convertible only by coincidence (see ``brute_force``)."""
        self.below = below
        self.opset = opset
        self.smooth = smooth
        self.random = np.random.default_rng(below(1 << 16))
        self.nodes: list[ir.Node] = []
        self.initializers: list[ir.Value] = []
        self.inputs: list[ir.Value] = []
        self.outputs: list[ir.Value] = []
        self.arrays: list[dict[str, np.ndarray]] = [{} for _ in range(BINDINGS)]
        self.weights: dict[tuple[tuple[int, ...], str], list[ir.Value]] = {}
        self.depth = 0
        self.is_valid = True
        self._count = 0

    @property
    def in_body(self) -> bool:
        """True while nodes are made for a subgraph."""
        return self.depth > 0

    def pick(self, options: Sequence[Any]) -> Any:
        return options[self.below(len(options))]

    def chance(self, percent: int) -> bool:
        return self.below(100) >= 100 - percent

    def name(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def dim(self, sizes: Sequence[int], *, static: bool) -> Dim:
        """A dimension that some node computes: static where its operands are."""
        if static:
            return Dim.static(sizes[0])
        return Dim(tuple(sizes), self.name("N"))

    def product(self, dims: Sequence[Dim]) -> Dim:
        if len(dims) == 1:
            return dims[0]
        sizes = [math.prod(dim.sizes[i] for dim in dims) for i in range(BINDINGS)]
        return self.dim(sizes, static=all(dim.is_static for dim in dims))

    # Constants and inputs -----------------------------------------------------------------------

    def normal(self, shape: Sequence[int], *, scale: float = 1.0) -> np.ndarray:
        """Random float64 of this shape, with a mean that differs from zero on every axis."""
        return scale * (self.random.standard_normal(tuple(shape)) + self.random.uniform(-0.5, 0.5))

    def constant(self, array: np.ndarray | list[int] | float, kind: str = "") -> ir.Value:
        """An initializer or a Constant node; sometimes a weight that another node reads too.

        A smooth graph shares weights of one ``kind`` alone: not a table with a transposed matrix.
        """
        data = np.asarray(array, dtype=np.int64 if isinstance(array, list) else None)
        is_weight = data.dtype == np.float64 and data.ndim > 0
        key = (data.shape, kind if self.smooth else "")
        if is_weight and self.weights.get(key) and self.chance(15):
            return self.pick(self.weights[key])
        if is_weight and not self.smooth and self.chance(6):
            return self._computed(data)
        name = self.name("w" if is_weight else "c")
        tensor = ir.tensor(data, name=name)
        if self.chance(25):
            node = ir.node("Constant", [], {"value": tensor}, name=self.name("Constant"))
            self.nodes.append(node)
            node.outputs[0].name = name
            return node.outputs[0]
        value = ir.Value(
            name=name,
            shape=ir.Shape(data.shape),
            type=ir.TensorType(tensor.dtype),
            const_value=tensor,
        )
        self.initializers.append(value)
        if is_weight:
            self.weights.setdefault(key, []).append(value)
            # An input, too, may hold something else: that its default is uniform says nothing.
            if self.chance(1) and not (self.smooth and kind in ("gamma", "beta")):
                self.inputs.append(value)
        return value

    def _computed(self, data: np.ndarray) -> ir.Value:
        """A weight that nodes compute: a Cast of a constant, or a product of two."""
        if self.chance(50):
            stored, inputs, op, attributes = data, [], "Cast", {"to": 11}
        else:
            stored, op, attributes = data / 2, "Mul", {}
            inputs = [self._stored(np.asarray(2.0))]
        inputs.insert(0, self._stored(stored))
        node = ir.node(op, inputs, attributes, name=self.name(f"{op}_"))
        node.outputs[0].name = self.name("v")
        self.nodes.append(node)
        return node.outputs[0]

    def _stored(self, data: np.ndarray) -> ir.Value:
        node = ir.node("Constant", [], {"value": ir.tensor(data)}, name=self.name("Constant"))
        node.outputs[0].name = self.name("w")
        self.nodes.append(node)
        return node.outputs[0]

    def input(
        self,
        dims: Sequence[Dim],
        axis: int = 0,
        *,
        draw: Callable[[tuple[int, ...]], np.ndarray] | None = None,
        dtype: ir.DataType = ir.DataType.DOUBLE,
    ) -> Tensor:
        """A graph input; ``draw`` makes its array from a shape (default: normal float64)."""
        name = self.name("x")
        shape = ir.Shape([dim.label for dim in dims])
        value = ir.Value(name=name, shape=shape, type=ir.TensorType(dtype))
        self.inputs.append(value)
        for binding, arrays in enumerate(self.arrays):
            arrays[name] = (draw or self.normal)(tuple(dim.sizes[binding] for dim in dims))
        return Tensor(value, tuple(dims), axis)

    # Nodes --------------------------------------------------------------------------------------

    def node(
        self,
        op_type: str,
        inputs: Sequence[Tensor | ir.Value | None],
        dims: Sequence[Dim],
        features: int = 0,
        /,
        **attributes: Any,
    ) -> Tensor:
        """Appends a node with one output of these dimensions, its features on this axis."""
        return self.node_outputs(op_type, inputs, [dims], features, **attributes)[0]

    def node_outputs(
        self,
        op_type: str,
        inputs: Sequence[Tensor | ir.Value | None],
        dims: Sequence[Sequence[Dim]],
        features: int = 0,
        /,
        **attributes: Any,
    ) -> list[Tensor]:
        """Appends a node with one output for each entry of ``dims``."""
        values = [item.value if isinstance(item, Tensor) else item for item in inputs]
        node = ir.node(
            op_type, values, attributes, num_outputs=len(dims), name=self.name(f"{op_type}_")
        )
        for output in node.outputs:
            output.name = self.name("v")
        self.nodes.append(node)
        return [Tensor(v, tuple(d), features) for v, d in zip(node.outputs, dims, strict=True)]

    def unary(self, op_type: str, x: Tensor, **attributes: Any) -> Tensor:
        return self.node(op_type, [x], x.dims, x.axis, **attributes)

    def binary(
        self, op_type: str, x: Tensor, other: Tensor | ir.Value, *, flip: bool = False
    ) -> Tensor:
        """An elementwise op whose result has the dimensions of ``x``."""
        return self.node(op_type, [other, x] if flip else [x, other], x.dims, x.axis)

    def transpose(self, x: Tensor, perm: Sequence[int]) -> Tensor:
        if list(perm) == list(range(x.rank)):
            return x
        dims = [x.dims[axis] for axis in perm]
        return self.node("Transpose", [x], dims, list(perm).index(x.axis), perm=list(perm))

    def features_last(self, x: Tensor) -> Tensor:
        return self.transpose(x, [*x.other_axes, x.axis])

    def reshape(self, x: Tensor, dims: Sequence[Dim], axis: int) -> Tensor | None:
        """A Reshape in some spelling, or None where a constant target cannot say it."""
        target: list[int] = []
        for position, dim in enumerate(dims):
            same = position < x.rank and x.dims[position] == dim
            if dim.is_static and not (same and self.chance(20)):
                target.append(dim.least)
            else:
                target.append(0 if same else -1)
        if target.count(-1) > 1:
            return None
        if -1 not in target and self.chance(30):
            target[self.below(len(target))] = -1
        return self.node("Reshape", [x, self.constant(target)], dims, axis)

    def reduce(self, op_type: str, x: Tensor, axis: int, *, keepdims: bool = True) -> Tensor:
        """ReduceMean or ReduceSum, with its axes where the opset wants them."""
        axis = axis if self.chance(50) else axis - x.rank
        removed = axis % x.rank
        dims = list(x.dims)
        feature_axis = x.axis
        if keepdims:
            dims[removed] = Dim.static(1)
        else:
            del dims[removed]
            feature_axis -= removed < x.axis
        if op_type == "ReduceSum" or self.opset >= 18:
            inputs, attributes = [x, self.constant([axis])], {"keepdims": int(keepdims)}
        else:
            inputs, attributes = [x], {"axes": [axis], "keepdims": int(keepdims)}
        return self.node(op_type, inputs, dims, max(feature_axis, 0), **attributes)

    @contextlib.contextmanager
    def body(self) -> Iterator[list[ir.Node]]:
        """The nodes that are appended meanwhile belong to a subgraph; constants may be captured."""
        outer, self.nodes = self.nodes, []
        self.depth += 1
        try:
            yield self.nodes
        finally:
            self.nodes = outer
            self.depth -= 1

    def output(self, x: Tensor) -> None:
        """Makes x a graph output; one that is an output already is passed through an Identity."""
        if x.value in self.outputs or x.value.producer() is None:
            x = self.unary("Identity", x)
        x.value.type = ir.TensorType(ir.DataType.DOUBLE)
        labels = [dim.label for dim in x.dims]
        if not self.smooth and labels and self.chance(5):  # a name proves nothing
            labels[self.below(len(labels))] = self.pick(["B", "S"])
        x.value.shape = ir.Shape(labels)
        self.outputs.append(x.value)

    def model(self) -> ir.Model:
        graph = ir.Graph(
            self.inputs,
            self.outputs,
            nodes=self.nodes,
            initializers=self.initializers,
            opset_imports={"": self.opset},
            name="random",
        )
        return ir.Model(graph, ir_version=11 if self.opset >= 23 else 10)
