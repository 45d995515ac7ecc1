"""Move the guards behind Softmax that may act to where there is less to guard."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from graphopt.passes.attention.guards import Guard, guard_of, largest_product
from graphopt.passes.attention.heads import join_of
from graphopt.passes.attention.masks import Mask, mask_of
from graphopt.passes.graph import axes
from graphopt.passes.graph.intervals import Intervals
from graphopt.passes.graph.naming import Names, all_nodes
from graphopt.passes.graph.not_finite import NotFinite
from graphopt.passes.graph.placing import squeezed, written
from graphopt.passes.graph.unread import remove_unread
from graphopt.passes.graph.walking import only_reader, orders, produced_by
from graphopt.passes.rewrite import Rewrite

__all__ = ["MoveNanGuards"]

_FILL = -1e38
_LARGEST = 1e36
"""With any score added the fill is finite, and below any other by more than Softmax can tell."""
_TYPES = (ir.DataType.FLOAT, ir.DataType.DOUBLE)


class MoveNanGuards(Rewrite):
    """Where(IsNaN(p), 0, p) V becomes Where(r, p V, 0), with p = Softmax(s + mask).

    A mask of -Inf makes NaN of a row of p that it hides whole, and the guard makes zeros of it: two
    passes over the scores in every layer. r, which says of each row whether any key is seen, is
    computed once from the mask, and p V is smaller. The mask becomes a finite one.

    1. The guard is that of ``passes/attention/guards.py``, with zero, and nothing but the
       multiplication by V reads what it gives; only the guard reads p, only Softmax s. None of them
       is a graph output.
    2. The mask is Where(seen, 0, -Inf) or Where(hidden, -Inf, 0), added to what is proved finite as
       for ``passes/drop_nan_guards.py`` and at most 1e36. So a row of s + mask holds a number where
       a key is seen; the others, at -1e38, keep weights of exactly zero. Where none is seen, p V is
       some finite number, which r replaces.
    3. Softmax goes over the last axis, that of the keys. s and V are matrices, and float32 or
       float64: float16 has no such number.
    4. p V is chosen from behind Transpose and Reshape that join the heads, where it is proved that
       these make [B, S, N * H] and the mask is one for all heads.

    A model whose scores overflow to Inf or NaN gives NaN for such a row, and zeros with the guard;
    one whose values V do gives zeros for a row that sees no key, and NaN with the guard.
    """

    needs_shapes = True

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites ``model`` in place."""
        opset = model.graph.opset_imports.get("", 1)
        intervals, not_finite = Intervals(largest_product), NotFinite(model)
        writer = _Writer(Names(model), opset)
        moved = 0
        for node in all_nodes(model):
            found = _read(intervals, not_finite, opset, node)
            if found is not None:
                writer.move(*found)
                moved += 1
        self.record = {"NaN guards moved": moved}
        return ir.passes.PassResult(model, modified=moved > 0)


def _read(
    intervals: Intervals, not_finite: NotFinite, opset: int, node: ir.Node
) -> tuple[Guard, ir.Node, Mask, ir.Node] | None:
    """Rules 1 to 3: the guard, the sum of scores and mask, the mask, and the multiplication."""
    guard = guard_of(node)
    if guard is None or not _is_zero(intervals, guard.filler):
        return None
    mixing = only_reader(node.outputs[0], "MatMul")
    if mixing is None or mixing.inputs[0] is not node.outputs[0]:
        return None
    if mixing.outputs[0].is_graph_output() or node.graph is not guard.softmax.graph:
        return None
    if {use.node for use in guard.weights.uses()} != {guard.test, node}:
        return None
    if guard.weights.is_graph_output() or not _is_read_by(guard.test.outputs[0], node):
        return None
    weights, values = axes.rank(guard.weights), axes.rank(mixing.inputs[1])
    if guard.weights.dtype not in _TYPES or not weights or weights < 2 or (values or 0) < 2:
        return None
    if guard.softmax.attributes.get_int("axis", -1 if opset >= 13 else 1) not in (-1, weights - 1):
        return None
    adding = produced_by(guard.softmax.inputs[0], "Add")
    if adding is None or only_reader(adding.outputs[0]) is not guard.softmax:
        return None
    for scores, added in orders(adding):
        mask, bounds = mask_of(added), intervals.of(scores)
        if mask is None or mask.fill != -np.inf or bounds is None:
            continue
        if max(-bounds.low, bounds.high) <= _LARGEST and not not_finite.reaches(scores):
            return guard, adding, mask, mixing
    return None


def _is_zero(intervals: Intervals, value: ir.Value) -> bool:
    interval = intervals.of(value)
    return interval is not None and interval.only == 0


def _is_read_by(test: ir.Value, guard: ir.Node) -> bool:
    """True where nothing but the guard reads what IsNaN, or its negation, gives."""
    reader = only_reader(test)
    return reader is guard or (reader is not None and only_reader(reader.outputs[0]) is guard)


class _Writer:
    """Writes what layers share once: the finite mask, and which rows see a key.

    Args:
        names: Hands out names.
        opset: That of ONNX's operators.
    """

    def __init__(self, names: Names, opset: int) -> None:
        self._names = names
        self._opset = opset
        self._made: dict[tuple[str, ir.Value, ir.Graph], ir.Value] = {}
        self._numbers: dict[tuple[float, ir.DataType], ir.Value] = {}

    def move(self, guard: Guard, adding: ir.Node, mask: Mask, mixing: ir.Node) -> None:
        """Rewrite one attention."""
        graph, dtype = mixing.graph, guard.weights.dtype
        assert graph is not None and dtype is not None

        def once(name: str) -> ir.Value | None:
            return self._made.get((name, mask.value, graph))

        def keep(name: str, value: ir.Value) -> ir.Value:
            self._made[name, mask.value, graph] = value
            return value

        index = list(adding.inputs).index(mask.value)
        finite = once("finite") or keep("finite", self._finite(mask, dtype, graph))
        adding.replace_input_with(index, finite)
        mixing.replace_input_with(0, guard.weights)
        rows = once("rows") or keep("rows", self._rows(mask, graph))
        join = join_of(mixing.outputs[0])
        if join is None or not mask.is_for_all_heads:
            self._choose(rows, mixing, dtype)
        else:
            joined = once("joined") or keep(
                "joined",
                squeezed(self._names, graph, self._opset, rows, f"{rows.name}.joined", 1),
            )
            self._choose(joined, join, dtype)
        remove_unread([guard.node.outputs[0], mask.value])

    def _finite(self, mask: Mask, dtype: ir.DataType, graph: ir.Graph) -> ir.Value:
        parts = [self._number(0.0, dtype), self._number(_FILL, dtype)]
        parts = parts[::-1] if mask.hides else parts
        return self._node("Where", [mask.condition, *parts], "finite", mask.value, graph)

    def _rows(self, mask: Mask, graph: ir.Graph) -> ir.Value:
        """True for each row that sees a key, [..., S, 1]."""
        seen = mask.condition
        if mask.hides:
            seen = self._node("Not", [seen], "seen", mask.condition, graph)
        numbers = self._node("Cast", [seen], "numbers", mask.value, graph, to=ir.DataType.FLOAT)
        numbers.type = ir.TensorType(ir.DataType.FLOAT)
        operands = [numbers, self._ones(numbers, graph)]
        count = self._node("MatMul", operands, "count", numbers, graph)
        shape = None if mask.condition.shape is None else [*mask.condition.shape[:-1], 1]
        count.shape = None if shape is None else ir.Shape(shape)
        zero = self._number(0.0, ir.DataType.FLOAT)
        rows = self._node("Greater", [count, zero], "rows", count, graph)
        rows.type = ir.TensorType(ir.DataType.BOOL)
        return rows

    def _ones(self, numbers: ir.Value, graph: ir.Graph) -> ir.Value:
        """A one for each key, [T, 1], to add up with.

        ReduceSum of ONNX Runtime up to 1.31 leaves the axes of an empty mask as they are.
        """
        last = self._names.integers((axes.rank(numbers) or 0) - 1)
        sizes = self._node("Shape", [numbers], "sizes", numbers, graph)
        length = self._node("Gather", [sizes, last], "length", numbers, graph, axis=0)
        operands = [length, self._names.integers(1)]
        column = self._node("Concat", operands, "column", numbers, graph, axis=0)
        for value, entries in ((sizes, axes.rank(numbers) or 0), (length, 1), (column, 2)):
            value.type, value.shape = ir.TensorType(ir.DataType.INT64), ir.Shape([entries])
        one = ir.tensor(np.ones(1, np.float32))
        ones = self._node("ConstantOfShape", [column], "ones", numbers, graph, value=one)
        keys = None if numbers.shape is None else numbers.shape[-1]
        ones.shape = None if keys is None else ir.Shape([keys, 1])
        return ones

    def _choose(self, rows: ir.Value, node: ir.Node, dtype: ir.DataType) -> None:
        """Let what reads ``node`` read zeros in the rows that see no key."""
        result, graph = node.outputs[0], node.graph
        assert graph is not None
        zero = self._number(0.0, dtype)
        name = self._names.fresh(f"{result.name}.guarded")
        choice = ir.node("Where", [rows, result, zero], name=name)
        chosen = choice.outputs[0]
        chosen.name, chosen.type, chosen.shape = name, result.type, result.shape
        graph.insert_after(node, choice)
        for reader, index in [(use.node, use.idx) for use in result.uses()]:
            if reader is not choice:
                reader.replace_input_with(index, chosen)

    def _node(
        self,
        op_type: str,
        operands: list[ir.Value],
        suffix: str,
        like: ir.Value,
        graph: ir.Graph,
        **attributes: Any,
    ) -> ir.Value:
        """What a new node gives, of the type and shape of ``like``."""
        base = f"{like.name}.{suffix}"
        return written(
            self._names, graph, op_type, operands, base, like.dtype, like.shape, **attributes
        )

    def _number(self, number: float, dtype: ir.DataType) -> ir.Value:
        key = (number, dtype)
        if key not in self._numbers:
            tensor = ir.tensor(np.array(number, dtype.numpy()))
            self._numbers[key] = self._names.initializer(f"number.{number:g}", tensor)
        return self._numbers[key]
