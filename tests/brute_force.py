"""Which LayerNorms could lose their mean: found by trying, not by the optimizer's table.

A *choice* changes one use of one constant (recentred over runs of one of its axes), or replaces one
operand that is broadcast by zeros. A set of choices is sound when every graph output stays the same
while all norms are still LayerNorms; a norm is then convertible when what it normalizes has zero
mean. Everything is decided by evaluating the graph in float64 on random inputs. The search knows no
op but LayerNormalization itself and the few whose operands broadcast.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from graphopt.evaluation import evaluate

__all__ = ["Choice", "Search", "convertible_norms"]

_TOLERANCE = 1e-8
_BROADCASTING = {"Add": (0, 1), "Sub": (0, 1), "Sum": (0, 1, 2), "Where": (1, 2), "Gemm": (2,)}
_ZEROS = -1

Feed = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True, order=True)
class Choice:
    """Recentre one use over runs of ``size`` entries of ``axis``; axis -1 makes it zeros."""

    use: str
    axis: int
    size: int = 0

    def apply(self, array: np.ndarray) -> np.ndarray:
        if self.axis == _ZEROS:
            return np.zeros_like(array)
        shape = array.shape
        runs = array.reshape(*shape[: self.axis], -1, self.size, *shape[self.axis + 1 :])
        return (runs - runs.mean(axis=self.axis + 1, keepdims=True)).reshape(shape)


def convertible_norms(model: ir.Model, feeds: Sequence[Feed]) -> frozenset[str]:
    """Names of the LayerNormalization nodes that convert with no explicit recentring.

    Args:
        model: In float64, every norm a LayerNormalization node. It is changed: give it a clone.
        feeds: Arrays for the graph inputs; a choice must be sound on each of them.
    """
    search = Search(model, feeds)
    return search.zero_mean_norms(search.best())


class Search:
    """The choices of one graph, and what they make convertible."""

    def __init__(self, model: ir.Model, feeds: Sequence[Feed]) -> None:
        self.model, self.feeds = model, feeds
        self.arrays: dict[str, np.ndarray] = {}
        """What each use holds when no choice changes it."""
        values = evaluate(model, feeds[0], [str(v.name) for v in _values(model.graph)])
        values = {name: a for name, a in values.items() if a.dtype == np.float64}
        self.norms = {str(n.name): n for n in model.graph if _is_single_axis_norm(n, values)}
        self.sizes = {values[str(node.inputs[0].name)].shape[-1] for node in self.norms.values()}
        self.choices = sorted(self._separate_uses(values))
        self.expected = [self._run(frozenset(), feed) for feed in feeds]

    # The choices --------------------------------------------------------------------------------

    def _separate_uses(self, values: Mapping[str, np.ndarray]) -> Iterator[Choice]:
        """Each use of a constant becomes a graph input, each broadcast operand gets a gate."""
        for node in list(self.model.graph):
            for position, value in enumerate(node.inputs):
                if value is None or value.name not in values or _is_norm_parameter(node, position):
                    continue
                array = values[value.name]
                vanishes = self._is_broadcast(node, position, values)
                if _is_constant(value):
                    use = self._own_input(node, position, array)
                    yield from self._recentrings(use, array)
                    if vanishes:
                        yield Choice(use, _ZEROS)
                elif vanishes:
                    yield Choice(self._gate(node, position, value), _ZEROS)

    def _recentrings(self, use: str, array: np.ndarray) -> Iterator[Choice]:
        for axis, size in itertools.product(range(array.ndim), sorted(self.sizes)):
            if array.shape[axis] % size == 0:
                yield Choice(use, axis, size)

    def _is_broadcast(self, node: ir.Node, position: int, values: Mapping[str, np.ndarray]) -> bool:
        if position not in _BROADCASTING.get(node.op_type, ()):
            return False
        result = values[str(node.outputs[0].name)].shape
        own = values[str(node.inputs[position].name)].shape
        own = (1,) * (len(result) - len(own)) + own
        return any(a == 1 and b in self.sizes for a, b in zip(own, result, strict=True))

    def _own_input(self, node: ir.Node, position: int, array: np.ndarray) -> str:
        name = f"{node.outputs[0].name}:{position}"
        value = ir.Value(
            name=name, shape=ir.Shape(array.shape), type=ir.TensorType(ir.DataType.DOUBLE)
        )
        self.model.graph.inputs.append(value)
        node.replace_input_with(position, value)
        self.arrays[name] = array
        return name

    def _gate(self, node: ir.Node, position: int, value: ir.Value) -> str:
        product = ir.node("Mul", [value, value], name=f"{node.outputs[0].name}:{position}:gate")
        product.outputs[0].name = f"{product.name}:out"
        self.model.graph.insert_before(node, product)
        node.replace_input_with(position, product.outputs[0])
        return self._own_input(product, 1, np.ones(()))

    # Their effect -------------------------------------------------------------------------------

    def _run(self, chosen: frozenset[Choice], feed: Feed) -> dict[str, np.ndarray]:
        arrays = dict(self.arrays)
        for choice in chosen:
            arrays[choice.use] = choice.apply(arrays[choice.use])
        wanted = [*self.model.graph.outputs, *(node.inputs[0] for node in self.norms.values())]
        names = {str(value.name) for value in wanted if value is not None}
        return evaluate(self.model, {**feed, **arrays}, sorted(names))

    def is_sound(self, chosen: Iterable[Choice]) -> bool:
        """True where the graph outputs stay the same."""
        names = [str(value.name) for value in self.model.graph.outputs]
        for feed, expected in zip(self.feeds, self.expected, strict=True):
            found = self._run(frozenset(chosen), feed)
            for name in names:
                limit = _TOLERANCE * max(1.0, float(np.abs(expected[name]).max()))
                if float(np.abs(found[name] - expected[name]).max()) > limit:
                    return False
        return True

    def zero_mean_norms(self, chosen: Iterable[Choice]) -> frozenset[str]:
        """The norms whose input has zero mean over its last axis."""
        runs = [self._run(frozenset(chosen), feed) for feed in self.feeds]
        return frozenset(
            name
            for name, node in self.norms.items()
            if all(_has_zero_mean(run[str(node.inputs[0].name)]) for run in runs)
        )

    def best(self) -> frozenset[Choice]:
        """A sound set of choices that makes as many norms convertible as can be.

        A change of the mean that one choice makes is either read by an output or not, whatever the
        other choices are, so the sound choices are sound together. Taking more of them only
        removes more means, with one exception: zeroing the mean of x - mean(x). What is checked
        here is the first claim; the second is repaired by leaving out what costs a norm.
        """
        chosen = frozenset(choice for choice in self.choices if self.is_sound([choice]))
        if not self.is_sound(chosen):
            chosen = self._grown(chosen)
        count = len(self.zero_mean_norms(chosen))
        for choice in sorted(chosen):
            without = chosen - {choice}
            if len(self.zero_mean_norms(without)) > count and self.is_sound(without):
                chosen, count = without, len(self.zero_mean_norms(without))
        return chosen

    def _grown(self, candidates: frozenset[Choice]) -> frozenset[Choice]:
        chosen: frozenset[Choice] = frozenset()
        for choice in sorted(candidates):
            if self.is_sound(chosen | {choice}):
                chosen |= {choice}
        return chosen

    def best_of_all_subsets(self) -> int:
        """The same number by trying every subset, to test ``best`` on tiny graphs."""
        subsets = itertools.chain.from_iterable(
            itertools.combinations(self.choices, n) for n in range(len(self.choices) + 1)
        )
        return max(len(self.zero_mean_norms(s)) for s in subsets if self.is_sound(s))


def _is_single_axis_norm(node: ir.Node, values: Mapping[str, np.ndarray]) -> bool:
    """A LayerNormalization over the last axis alone, whose Mean is no output."""
    if node.op_type != "LayerNormalization" or len(node.outputs) > 1:
        return False
    return values[str(node.inputs[1].name)].ndim == 1


def _is_norm_parameter(node: ir.Node, position: int) -> bool:
    return node.op_type == "LayerNormalization" and position > 0


def _is_constant(value: ir.Value) -> bool:
    producer = value.producer()
    if producer is not None:
        return producer.op_type == "Constant"
    return value.is_initializer() and not value.is_graph_input()


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    yield from graph.initializers.values()
    for node in graph:
        yield from (value for value in node.outputs if value.name)


def _has_zero_mean(x: np.ndarray) -> bool:
    return bool((np.abs(x.mean(axis=-1)) <= _TOLERANCE * (1e-3 + np.abs(x).max())).all())
