"""Who could take over the affine part of a norm: gamma into weight rows, beta into biases.

y = gamma * n + beta is read by linear maps W: W y = (W diag(gamma)) n + W beta. Between the norm
and a linear map only ops that hand a constant vector on unchanged may stand, and a Concat of such
parts (``hands_on_beta`` in table.py); a Pad, a mask, a ReduceSum or an activation would see beta,
and then beta stays at the norm.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.axes import Stream
from graphopt.passes.graph.naming import node_words
from graphopt.passes.graph.overflow import beta_overflows
from graphopt.passes.streams import algebra
from graphopt.passes.streams.linear_readers import LinearReader
from graphopt.passes.streams.readers import only_sizes
from graphopt.passes.streams.selections import joins
from graphopt.passes.streams.trace import Norm

__all__ = ["BIASED", "Affine", "affine_of", "contracted_beta"]

BIASED = "graphopt.biased"
"""Key of a value's ``meta``: the value that took its place when it was given a bias."""


@dataclasses.dataclass(frozen=True)
class Affine:
    """The affine part of one norm, and the linear maps that could take it over.

    Attributes:
        linear: The linear readers, or None where some reader is not linear.
        beta: "none" (absent or zero), "folds" (into the biases of ``linear``) or "stays".
        added: Elements for each token that new bias Adds would write, where beta folds.
        obstacle: Why beta stays, or why ``linear`` is None, in words.
        between: The streams between the norm and its linear readers, the norm's result first.
    """

    linear: tuple[LinearReader, ...] | None
    beta: str
    added: int
    obstacle: str = ""
    between: tuple[Stream, ...] = ()

    @property
    def gamma_is_free(self) -> bool:
        """True where gamma can go into weights that nobody else reads."""
        return bool(self.linear) and all(reader.owns_weight for reader in self.linear or ())


def affine_of(norm: Norm, *, fold: bool = True) -> Affine:
    """Decide where the affine part of ``norm`` could go; nowhere unless ``fold``."""
    linear, between, obstacle = _linear_readers(norm.node.outputs[0], norm.stream)
    bias = norm.node.inputs[2] if len(norm.node.inputs) > 2 else None
    if bias is None or constants.uniform_value(bias) == 0.0:
        return Affine(linear, "none", 0, obstacle, between)
    if linear is None or not fold:
        return Affine(None, "stays", 0, obstacle or "affine folding is skipped")
    if constants.constant_tensor(bias) is None:
        return Affine(linear, "stays", 0, f"beta {bias.name} is not constant")
    added = sum(reader.outputs for reader in linear if reader.bias_node is None)
    if added > norm.stream.axis.size:
        widest = max(
            (reader for reader in linear if reader.bias_node is None), key=lambda r: r.outputs
        )
        return Affine(linear, "stays", 0, f"{node_words(widest.node)} has no bias to take it")
    crowded = next((reader for reader in linear if _beta_overflows(reader, bias)), None)
    if crowded is not None:
        return Affine(
            linear,
            "stays",
            0,
            f"folded into the bias of {node_words(crowded.node)} it could overflow",
        )
    return Affine(linear, "folds", added, "", between)


def _beta_overflows(reader: LinearReader, beta: ir.Value) -> bool:
    weight = constants.constant_tensor(reader.node.inputs[1])
    assert weight is not None
    node, index = reader.bias_node, reader.bias_index
    held = node.inputs[index] if node is not None and index < len(node.inputs) else None
    size = weight.shape.numpy()[reader.axis]
    factors = (reader.node.attributes.get_float("alpha", 1.0), reader.bias_factor)
    bias = constants.constant_tensor(held)
    return beta_overflows(weight, constants.vector(beta, size), bias, *factors)


def _linear_readers(
    value: ir.Value, norm: Stream
) -> tuple[tuple[LinearReader, ...] | None, tuple[Stream, ...], str]:
    """All linear readers of ``value`` and the streams up to them, or None and who is not linear."""
    start = Stream(value, norm.axis)
    reached, queue = {value: norm.axis}, [start]
    found: list[LinearReader] = []
    concats: list[ir.Node] = []
    while queue:
        stream = queue.pop()
        if stream.value.is_graph_output():
            return None, (), f"graph output {stream.value.name} reads it"
        for use in stream.value.uses():
            node = use.node
            reader = _linear_reader(node, use.idx, stream)
            if reader is not None:
                found.append(reader)
                continue
            op = algebra.op_of(node)
            if op is not None and op.tolerates is only_sizes:
                continue
            carried = list(algebra.results(node, use.idx, stream.axis))
            if op is None or not op.hands_on_beta or not carried:
                return None, (), f"{node_words(node)} reads it"
            if op.carries is joins:
                concats.append(node)
            for result in carried:
                if result.value not in reached:
                    reached[result.value] = result.axis
                    queue.append(result)
                elif reached[result.value] != result.axis:
                    words = f"{node_words(node)} joins it with itself on another axis"
                    return None, (), words
    for node in concats:
        if not reached.keys() >= set(node.inputs):
            return None, (), f"Concat {node.name} joins it with other values"
    return tuple(found), tuple(Stream(value, axis) for value, axis in reached.items()), ""


def _linear_reader(node: ir.Node, operand: int, stream: Stream) -> LinearReader | None:
    """``node`` as a linear map of the stream's features with a constant weight, or None."""
    op = algebra.op_of(node)
    if op is None or op.linear is None or operand != 0 or not stream.is_whole:
        return None
    weight = node.inputs[1] if len(node.inputs) > 1 else None
    tensor = constants.constant_tensor(weight)
    if weight is None or tensor is None or not tensor.dtype.is_floating_point():
        return None
    reader = op.linear(node, weight, stream)
    if reader is None or axes.dimension(weight, reader.axis) != stream.axis.size:
        return None  # nothing runs a product of other sizes
    return reader


def contracted_beta(weight: ir.TensorProtocol, axis: int, beta: np.ndarray) -> np.ndarray:
    """W beta in float64, of shape [outputs], for a weight of a linear reader.

    Args:
        weight: Matrix, or Conv weight [outputs, d, ...], of which all places see the same beta.
        axis: Contracted axis of the weight, 0 or 1; the other one holds the outputs.
        beta: float64 vector of shape [d].
    """
    total = np.zeros(weight.shape.numpy()[1 - axis])
    for index, block in constants.blocks(weight):
        matrix = block.sum(axis=tuple(range(2, block.ndim))) if block.ndim > 2 else block
        part = matrix if axis == 1 else matrix.T
        total[index[1 - axis]] += part @ beta[index[axis]]
    return total
