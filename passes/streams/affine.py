"""Who could take over the affine part of a norm: gamma into weight rows, beta into biases.

y = gamma * n + beta is read by linear maps W: W y = (W diag(gamma)) n + W beta. Between the norm
and a linear map only ops that hand a constant vector on unchanged may stand (Reshape, Transpose,
Slice, Gather, Split, Tile, ReduceMean, Identity, Squeeze, Unsqueeze, and a Concat of such parts);
a Pad, a mask, a ReduceSum or an activation would see beta, and then beta stays at the norm.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.axes import Stream
from graphopt.passes.streams import algebra
from graphopt.passes.streams.trace import Norm

__all__ = ["BIASED", "Affine", "LinearReader", "affine_of", "contracted_beta"]

BIASED = "graphopt.biased"
"""Key of a value's ``meta``: the value that took its place when it was given a bias."""

_HANDS_ON = frozenset(
    {
        "Concat",
        "Flatten",
        "Gather",
        "GatherND",
        "Identity",
        "ReduceMean",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    }
)


@dataclasses.dataclass(frozen=True)
class LinearReader:
    """A linear map with a constant weight that contracts the features.

    Attributes:
        node: MatMul, Gemm, FusedMatMul, Conv or com.microsoft Attention.
        axis: Contracted axis of the weight.
        bias_node: Node whose operand ``bias_index`` is the constant bias, or takes a new one; None
            where a new Add has to follow the node.
        bias_index: Operand position of the bias.
        outputs: Number of output features.
    """

    node: ir.Node
    axis: int
    bias_node: ir.Node | None
    bias_index: int
    outputs: int

    @property
    def owns_weight(self) -> bool:
        """True where nobody else reads the weight, so that it may change in place.

        Asked of the weight that the node reads by then: recentring may have given it a copy, which
        other maps share.
        """
        weight = self.node.inputs[1]
        return weight is not None and len(weight.uses()) == 1 and not weight.is_graph_output()


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
        return Affine(
            linear, "stays", 0, f"{widest.node.op_type} {widest.node.name} has no bias to take it"
        )
    return Affine(linear, "folds", added, "", between)


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
            if node.op_type in ("Shape", "Size") and not node.domain:
                continue
            carried = list(algebra.results(node, use.idx, stream.axis))
            if node.domain or node.op_type not in _HANDS_ON or not carried:
                return None, (), f"{node.op_type} {node.name} reads it"
            if node.op_type == "Concat":
                concats.append(node)
            for result in carried:
                if result.value not in reached:
                    reached[result.value] = result.axis
                    queue.append(result)
                elif reached[result.value] != result.axis:
                    words = f"{node.op_type} {node.name} joins it with itself on another axis"
                    return None, (), words
    for node in concats:
        if not reached.keys() >= set(node.inputs):
            return None, (), f"Concat {node.name} joins it with other values"
    return tuple(found), tuple(Stream(value, axis) for value, axis in reached.items()), ""


def _linear_reader(node: ir.Node, operand: int, stream: Stream) -> LinearReader | None:
    """``node`` as a linear map of the stream's features with a constant weight, or None."""
    match = _READERS.get((node.domain, node.op_type))
    if match is None or operand != 0 or not stream.is_whole:
        return None
    weight = node.inputs[1] if len(node.inputs) > 1 else None
    tensor = constants.constant_tensor(weight)
    if weight is None or tensor is None or not tensor.dtype.is_floating_point():
        return None
    return match(node, weight, stream)


def _matmul(node: ir.Node, weight: ir.Value, stream: Stream) -> LinearReader | None:
    last = (axes.rank(stream.value) or 0) - 1
    if axes.rank(weight) != 2 or stream.axis.axis != last or last < 1:
        return None
    flipped = bool(node.attributes.get_int("transB", 0))
    if node.attributes.get_int("transA", 0) or node.attributes.get_int("transBatchA", 0):
        return None
    axis, out = (1, 0) if flipped else (0, 1)
    outputs = axes.dimension(weight, out)
    assert isinstance(outputs, int)
    bias = _following_bias(node.outputs[0], outputs)
    return LinearReader(node, axis, bias[0], bias[1], outputs)


def _following_bias(value: ir.Value, outputs: int) -> tuple[ir.Node | None, int]:
    """The Add of a constant vector that is the only reader of ``value``."""
    uses = list(value.uses())
    if len(uses) != 1 or value.is_graph_output():
        return None, 1
    node, index = uses[0].node, 1 - uses[0].idx
    if node.op_type != "Add" or node.domain or node.graph is not value.graph:
        return None, 1
    bias = node.inputs[index]
    tensor = constants.constant_tensor(bias)
    if tensor is None or not tensor.dtype.is_floating_point():
        return None, 1
    dims = list(tensor.shape.numpy())
    fits = dims[-1:] == [outputs] and set(dims[:-1]) <= {1} and len(dims) <= (axes.rank(value) or 0)
    return (node, index) if fits else (None, 1)


def _gemm(node: ir.Node, weight: ir.Value, stream: Stream) -> LinearReader | None:
    if node.attributes.get_int("transA", 0) or stream.axis.axis != 1:
        return None
    if "activation" in node.attributes:
        return None
    axis, out = (1, 0) if node.attributes.get_int("transB", 0) else (0, 1)
    outputs = axes.dimension(weight, out)
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if not isinstance(outputs, int):
        return None
    if bias is not None and constants.constant_tensor(bias) is None:
        return LinearReader(node, axis, None, 1, outputs)
    return LinearReader(node, axis, node, 2, outputs)


def _conv(node: ir.Node, weight: ir.Value, stream: Stream) -> LinearReader | None:
    """A Conv without padding: a padded border would see 0 in the place of beta."""
    padded = any(node.attributes.get_ints("pads", ()))
    automatic = node.attributes.get_string("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    if padded or automatic or stream.axis.axis != 1 or node.attributes.get_int("group", 1) != 1:
        return None
    outputs = axes.dimension(weight, 0)
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if not isinstance(outputs, int):
        return None
    if bias is not None and constants.constant_tensor(bias) is None:
        return None
    return LinearReader(node, 1, node, 2, outputs)


def _attention(node: ir.Node, weight: ir.Value, stream: Stream) -> LinearReader | None:
    """com.microsoft Attention projects its input [B, S, d] by one weight [d, 3 h] and bias."""
    outputs = axes.dimension(weight, 1)
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if not isinstance(outputs, int) or stream.axis.axis != 2:
        return None
    if bias is not None and constants.constant_tensor(bias) is None:
        return None
    return LinearReader(node, 0, node, 2, outputs)


_READERS = {
    ("", "MatMul"): _matmul,
    ("com.microsoft", "FusedMatMul"): _matmul,
    ("", "Gemm"): _gemm,
    ("", "Conv"): _conv,
    ("com.microsoft", "Attention"): _attention,
}


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
