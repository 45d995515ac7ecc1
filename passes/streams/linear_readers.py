"""Linear maps of constant weight that could take over the affine part of the norm before them."""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.axes import Stream

__all__ = ["LinearReader", "attention", "conv", "gemm", "matmul"]


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
        output_axis: Axis of the result that holds them.
        bias_factor: What the node multiplies its own bias by (beta of Gemm).
    """

    node: ir.Node
    axis: int
    bias_node: ir.Node | None
    bias_index: int
    outputs: int
    output_axis: int
    bias_factor: float = 1.0

    @property
    def owns_weight(self) -> bool:
        """True where nobody else reads the weight, so that it may change in place.

        One that is stored in a shorter type would grow.

        Asked of the weight that the node reads by then: recentring may have given it a copy, which
        other maps share.
        """
        weight = self.node.inputs[1]
        if weight is None or constants.stored_tensor(weight) is not None:
            return False
        return len(weight.uses()) == 1 and not weight.is_graph_output()


def matmul(node: ir.Node, weight: ir.Value, stream: Stream) -> LinearReader | None:
    """x W over the last axis; the bias is an Add behind it."""
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
    return LinearReader(node, axis, bias[0], bias[1], outputs, last)


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


def gemm(node: ir.Node, weight: ir.Value, stream: Stream) -> LinearReader | None:
    """alpha x W' + beta b of rows x."""
    if node.attributes.get_int("transA", 0) or stream.axis.axis != 1:
        return None
    if "activation" in node.attributes:
        return None
    axis, out = (1, 0) if node.attributes.get_int("transB", 0) else (0, 1)
    outputs = axes.dimension(weight, out)
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if not isinstance(outputs, int):
        return None
    tensor = constants.constant_tensor(bias)
    if bias is not None and tensor is None:
        return LinearReader(node, axis, None, 1, outputs, 1)
    if tensor is not None and tuple(tensor.shape.numpy())[-1:] not in ((), (1,), (outputs,)):
        return None  # nothing runs it
    factor = node.attributes.get_float("beta", 1.0)
    return LinearReader(node, axis, node, 2, outputs, 1, factor)


def conv(node: ir.Node, weight: ir.Value, stream: Stream) -> LinearReader | None:
    """A Conv without padding: a padded border would see 0 in the place of beta."""
    padded = any(node.attributes.get_ints("pads", ()))
    automatic = node.attributes.get_string("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    if padded or automatic or stream.axis.axis != 1 or node.attributes.get_int("group", 1) != 1:
        return None
    outputs = axes.dimension(weight, 0)
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if not isinstance(outputs, int) or not _is_vector(bias, outputs):
        return None
    return LinearReader(node, 1, node, 2, outputs, 1)


def attention(node: ir.Node, weight: ir.Value, stream: Stream) -> LinearReader | None:
    """com.microsoft Attention projects its input [B, S, d] by one weight [d, 3 h] and bias."""
    outputs = axes.dimension(weight, 1)
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if not isinstance(outputs, int) or stream.axis.axis != 2 or not _is_vector(bias, outputs):
        return None
    return LinearReader(node, 0, node, 2, outputs, 2)


def _is_vector(bias: ir.Value | None, outputs: int) -> bool:
    """True where there is no bias, or it is a constant of one entry for each output."""
    tensor = constants.constant_tensor(bias)
    return bias is None or (tensor is not None and tuple(tensor.shape.numpy()) == (outputs,))
