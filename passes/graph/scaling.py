"""Which constants a computed value is proportional to: where a factor on it may go instead."""

from __future__ import annotations

import dataclasses
import heapq
import math

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.sizes import same_shape

__all__ = ["Share", "shares_behind"]

_MOVES = frozenset({"Identity", "Neg", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"})
_ALL = np.array(True)
_MOST_NODES = 64
_MOST_FEATURES = 1 << 20
"""Of an axis that is marked entry by entry; a damaged file may declare any size."""
"""Queries are computed within fewer."""

Marks = np.ndarray
"""Which entries are to be scaled: all of them where it has no axis, else it is broadcast."""


@dataclasses.dataclass(frozen=True)
class Share:
    """A constant that is scaled along one axis.

    Attributes:
        reader: The node that reads it.
        index: The position among the inputs of that node.
        axis: Axis of the constant.
        marks: For each entry of the axis, whether it is scaled.
    """

    reader: ir.Node
    index: int
    axis: int
    marks: np.ndarray

    @property
    def constant(self) -> ir.Value:
        """The constant."""
        value = self.reader.inputs[self.index]
        assert value is not None
        return value


def shares_behind(
    value: ir.Value, reader: ir.Node, order: dict[ir.Node, int]
) -> list[Share] | None:
    """The constants of which ``value`` is a multiple, each taken once.

    1. It goes back through ops that are linear in what is followed: those that move entries, sums
       (all of their operands), products with something computed (the operand that has the shape of
       the result), Split and Concat, to the weights and biases of MatMul, Gemm and Add.
    2. Whatever lies between is read by nothing that is not scaled with it. A Split leaves its other
       results as they are, because only the columns of the weight that belong to this one are
       scaled.
    3. Weights are read by nobody else.

    Args:
        value: Where the factor is now.
        reader: The node that multiplies ``value``, its only reader.
        order: The place of each node in the graph.

    Returns:
        The constants, or None where some part is not proportional to constants.
    """
    walk = _Walk(reader, order)
    if not walk.mark(value, _ALL):
        return None
    while walk.waiting:
        if not walk.go_through(walk.last_waiting()):
            return None
    return walk.shares if walk.is_closed() else None


class _Walk:
    def __init__(self, reader: ir.Node, order: dict[ir.Node, int]) -> None:
        self.shares: list[Share] = []
        self.waiting: list[int] = []
        self._order = order
        self._nodes = {reader}
        self._at: dict[int, ir.Node] = {}
        self._marks: dict[ir.Value, Marks] = {}
        self._graph = reader.graph
        self._place = order.get(reader, -1)
        self._others: list[ir.Value | None] = []

    def mark(self, value: ir.Value | None, marks: Marks) -> bool:
        """Note that entries of ``value`` are scaled; False where that cannot be."""
        node = None if value is None else value.producer()
        if value is None or node is None or node.domain or node.graph is not self._graph:
            return False
        place = self._order.get(node, self._place)
        if place >= self._place or value.is_graph_output() or len(self._nodes) > _MOST_NODES:
            return False
        if value in self._marks:
            return np.array_equal(self._marks[value], marks)
        self._marks[value] = marks
        if node not in self._nodes:
            self._nodes.add(node)
            self._at[place] = node
            heapq.heappush(self.waiting, -place)
        return True

    def last_waiting(self) -> ir.Node:
        """The last of the nodes that wait, in the order of the graph: its readers were before."""
        self._place = -heapq.heappop(self.waiting)
        return self._at[self._place]

    def is_closed(self) -> bool:
        """True where all that reads what is scaled is scaled with it, and once: a product of two
        values that both are scaled would be scaled by the square.
        """
        if any(value in self._marks for value in self._others):
            return False
        return all(use.node in self._nodes for value in self._marks for use in value.uses())

    def go_through(self, node: ir.Node) -> bool:
        """Mark what the results of ``node`` are multiples of; False where they are none."""
        marks = self._marks.get(node.outputs[0], _ALL)
        if node.op_type == "Split":
            return self._split(node)
        if node.op_type in ("Add", "Sub"):
            return all(self._sum(node, index, marks) for index in (0, 1))
        if node.op_type == "MatMul":
            return self._weight(node, -1, marks)
        if node.op_type == "Gemm":
            bias = len(node.inputs) < 3 or node.inputs[2] is None or self._share(node, 2, -1, marks)
            turned = node.attributes.get_int("transB", 0)
            return bias and self._weight(node, 0 if turned else -1, marks)
        if node.op_type in _MOVES:
            moved = _moved(node, marks)
            return moved is not None and self.mark(node.inputs[0], moved)
        if marks.ndim:
            return False
        if node.op_type == "Mul":
            return self._product(node)
        return node.op_type == "Concat" and all(self.mark(value, marks) for value in node.inputs)

    def _split(self, node: ir.Node) -> bool:
        rank = axes.rank(node.inputs[0])
        sizes = None if rank is None else self._parts(node, rank)
        if rank is None or sizes is None:
            return False
        marked = [value in self._marks for value in node.outputs]
        if any(self._marks[value].ndim for value in node.outputs if value in self._marks):
            return False
        if all(marked):
            return self.mark(node.inputs[0], _ALL)
        shape = [1] * rank
        shape[node.attributes.get_int("axis", 0) % rank] = -1
        return self.mark(node.inputs[0], np.repeat(marked, sizes).reshape(shape))

    @staticmethod
    def _parts(node: ir.Node, rank: int) -> list[int] | None:
        axis = node.attributes.get_int("axis", 0) % rank
        sizes = [axes.dimension(value, axis) for value in node.outputs]
        numbers = [size for size in sizes if isinstance(size, int)]
        return numbers if len(numbers) == len(sizes) and sum(numbers) <= _MOST_FEATURES else None

    def _sum(self, node: ir.Node, index: int, marks: Marks) -> bool:
        value = node.inputs[index]
        if constants.constant_tensor(value) is not None:
            return self._share(node, index, -1, marks)
        if marks.ndim and not _has_all(value, marks):
            return False
        return self.mark(value, marks)

    def _product(self, node: ir.Node) -> bool:
        """Of two computed operands the one with the shape of the result is followed."""
        for value, other in zip(node.inputs, reversed(node.inputs), strict=True):
            if value is not None and same_shape(value, node.outputs[0]):
                self._others.append(other)
                return constants.constant_tensor(value) is None and self.mark(value, _ALL)
        return False

    def _weight(self, node: ir.Node, axis: int, marks: Marks) -> bool:
        value = node.inputs[1]
        if value is None or len(value.uses()) != 1 or value.is_graph_output():
            return False
        if marks.ndim and (axes.rank(value) or 0) < 2:  # a vector has no columns
            return False
        self._others.append(node.inputs[0])
        return self._share(node, 1, axis, marks)

    def _share(self, node: ir.Node, index: int, axis: int, marks: Marks) -> bool:
        tensor = constants.constant_tensor(node.inputs[index])
        if tensor is None or not tensor.dtype.is_floating_point() or not len(tensor.shape):
            return False
        axis %= len(tensor.shape)
        size = int(tensor.shape.numpy()[axis])
        along = np.full(size, True) if marks.ndim == 0 else marks.reshape(-1)
        if marks.ndim and (marks.shape[-1] != marks.size or along.size != size):
            return False
        self.shares.append(Share(node, index, axis, along))
        return True


def _has_all(value: ir.Value | None, marks: Marks) -> bool:
    """True where an addend has the axes of the sum, and the marked one is not broadcast."""
    if value is None or axes.rank(value) != marks.ndim:
        return False
    return all(size in (1, axes.dimension(value, axis)) for axis, size in enumerate(marks.shape))


def _moved(node: ir.Node, marks: Marks) -> Marks | None:
    """The marks of the operand of an op that moves entries, given those of its result."""
    if marks.ndim == 0:
        return marks
    if node.op_type in ("Identity", "Neg"):
        return marks
    if node.op_type == "Transpose":
        order = node.attributes.get_ints("perm", tuple(reversed(range(marks.ndim))))
        return np.transpose(marks, np.argsort(order))
    if node.op_type == "Reshape":
        return _reshaped(node, marks)
    return None


def _reshaped(node: ir.Node, marks: Marks) -> Marks | None:
    """Of [.., n] given those of [.., a, b] with a b = n, whatever stands before."""
    x, result = node.inputs[0], node.outputs[0]
    count, own = axes.rank(result), axes.rank(x)
    if x is None or count is None or not own:
        return None
    last = axes.dimension(x, own - 1)
    behind: list[int] = []
    for axis in reversed(range(count)):
        dim = axes.dimension(result, axis)
        if not isinstance(dim, int):
            return None
        behind.insert(0, dim)
        if math.prod(behind) == last:
            break
    lead = count - len(behind)
    if (
        not isinstance(last, int)
        or last > _MOST_FEATURES
        or math.prod(behind) != last
        or any(size != 1 for size in marks.shape[:lead])
    ):
        return None
    spread = np.broadcast_to(marks.reshape(marks.shape[lead:]), behind)
    return spread.reshape([1] * (own - 1) + [last])
