"""LayerNorms that a graph spells out in primitive operators, with their affine part."""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from graphopt.passes.graph.constants import constant_tensor
from graphopt.passes.graph.walking import only_reader, orders, produced_by
from graphopt.passes.norms.normalization import Normalization, normalization
from graphopt.passes.norms.operator_norms import batch_normalized, rms_of_centred

__all__ = ["SpelledNorm", "is_per_feature", "spelled_norms"]

_MOST_NODES = 48


@dataclasses.dataclass(frozen=True)
class SpelledNorm:
    """A LayerNorm over the last axis with the affine part that follows it.

    Attributes:
        x: What is normalized.
        scale: gamma as the graph holds it (d entries or one), or None.
        bias: beta as the graph holds it, or None.
        epsilon: Added under the root.
        size: Number of features d.
        output: The result.
        nodes: All nodes between ``x`` and ``output``, each after those that it reads.
    """

    x: ir.Value
    scale: ir.Value | None
    bias: ir.Value | None
    epsilon: float
    size: int
    output: ir.Value
    nodes: tuple[ir.Node, ...]


def spelled_norms(node: ir.Node) -> tuple[SpelledNorm, ...]:
    """The LayerNorms that ``node`` normalizes: several where affine parts share it.

    1. Only the last axis, with a static size, and a known type; epsilon is a constant, or absent
       (0).
    2. A Cast back to the type of x after the normalization belongs to it (stash_type 1), unless
       gamma or beta is applied before it.
    3. One Mul by gamma and one Add of beta belong to it where gamma and beta have an entry for
       each feature (or one for all) and no other axis. An intermediate value that has a reader
       beside them ends the norm there.
    4. Whatever lies between x and the result reads nothing but x, gamma, beta, constants and
       integers (sizes).
    """
    core = normalization(node) or rms_of_centred(node) or batch_normalized(node)
    if core is None or not core.centred or not core.is_over_last_axis:
        return ()
    size = None if core.root.shape is None else core.root.shape[-1]
    if not isinstance(size, int):
        return ()
    normalized, x = core.output, core.root
    # An affine part before the Cast has the wide type, in which the norm must be computed then.
    is_bare = core.scale is None and core.bias is None
    cast = only_reader(normalized, "Cast") if is_bare else None
    if cast is not None and cast.outputs[0].dtype == core.root.dtype is not None:
        normalized = cast.outputs[0]
    elif core.output.dtype != core.root.dtype:
        x = core.source
    if x.dtype is None or x.dtype != normalized.dtype:
        return ()
    norms = []
    for output, scale, bias in _affine_parts(normalized, core, size):
        if not all(part is None or is_per_feature(part, x, size) for part in (scale, bias)):
            continue
        nodes = _nodes_between(output, x, (scale, bias))
        if nodes:
            norms.append(SpelledNorm(x, scale, bias, core.epsilon, size, output, nodes))
    return tuple(norms)


def is_per_feature(value: ir.Value, x: ir.Value, size: int) -> bool:
    """True where ``value`` has an entry for each of the last axis' features, or one for all.

    A constant may have leading axes of size 1 (no more axes than ``x``) or a single entry, or hold
    the same row for each token of ``x``, as folding an Expand leaves it; a computed value must have
    the shape [d].
    """
    tensor = constant_tensor(value)
    if tensor is None:
        return value.shape is not None and list(value.shape) == [size]
    rank = len(tensor.shape)
    if rank > 1 and (x.shape is None or rank > len(x.shape)):
        return False
    if tensor.size == 1 or (tensor.size == size and tensor.shape[-1] == size):
        return True
    return _repeats_one_row(tensor, x, size)


def _repeats_one_row(tensor: ir.TensorProtocol, x: ir.Value, size: int) -> bool:
    """True for one row of d entries, repeated over axes that ``x`` is proved to have as long."""
    dims = list(tensor.shape.numpy())
    if x.shape is None or len(dims) < 2 or dims[-1] != size or tensor.size == 0:
        return False
    lengths = list(x.shape)[-len(dims) : -1]
    if any(dim not in (1, length) for dim, length in zip(dims[:-1], lengths, strict=True)):
        return False
    rows = tensor.numpy().reshape(-1, size)
    return bool((rows == rows[0]).all())


def _affine_parts(
    normalized: ir.Value, core: Normalization, size: int
) -> list[tuple[ir.Value, ir.Value | None, ir.Value | None]]:
    """(result, gamma, beta) of each affine part that reads ``normalized``."""
    if core.bias is not None:
        return [(normalized, core.scale, core.bias)]
    scaled = [(normalized, core.scale)]
    if core.scale is None:
        readers = [_affine_reader(use.node, normalized, "Mul", size) for use in normalized.uses()]
        if readers and None not in readers and not normalized.is_graph_output():
            scaled = [reader for reader in readers if reader is not None]
    parts: list[tuple[ir.Value, ir.Value | None, ir.Value | None]] = []
    for output, scale in scaled:
        adder = only_reader(output, "Add")
        shifted = None if adder is None else _affine_reader(adder, output, "Add", size)
        parts.append((output, scale, None) if shifted is None else (shifted[0], scale, shifted[1]))
    return parts


def _affine_reader(
    node: ir.Node, value: ir.Value, op_type: str, size: int
) -> tuple[ir.Value, ir.Value] | None:
    """(result, parameter) of ``node`` if it applies a per-feature parameter to ``value``."""
    if node.op_type != op_type or node.domain != "":
        return None
    if node.graph is not (producer.graph if (producer := value.producer()) else None):
        return None
    for operand, parameter in orders(node):
        if value.shape is not None and len(value.shape) > 1:
            parameter = _unflattened(parameter)
        if operand is value is not parameter and is_per_feature(parameter, value, size):
            return node.outputs[0], parameter
    return None


def _unflattened(parameter: ir.Value) -> ir.Value:
    """``parameter`` before a Flatten of a vector to [1, d], which is one for two axes or more."""
    node = produced_by(parameter, "Flatten")
    source = None if node is None else node.inputs[0]
    if node is None or source is None or source.shape is None or len(source.shape) != 1:
        return parameter
    return source if node.attributes.get_int("axis", 1) == 0 else parameter


def _nodes_between(
    output: ir.Value, x: ir.Value, parameters: tuple[ir.Value | None, ...]
) -> tuple[ir.Node, ...]:
    """The nodes from ``x`` to ``output`` in dataflow order; none where they read something else."""
    last = output.producer()
    nodes: dict[ir.Node, None] = {}

    def visit(value: ir.Value | None) -> bool:
        if value is None or value is x or any(value is part for part in parameters):
            return True
        if constant_tensor(value) is not None:
            return True
        node, before = value.producer(), list(nodes)
        if node is not None and visit_node(node):
            return True
        for added in list(nodes)[len(before) :]:
            del nodes[added]
        return value.dtype == ir.DataType.INT64  # a size that comes from elsewhere

    def visit_node(node: ir.Node) -> bool:
        if node in nodes:
            return True
        if last is None or node.graph is not last.graph or len(nodes) >= _MOST_NODES:
            return False
        if not all(visit(operand) for operand in node.inputs):
            return False
        nodes[node] = None
        return True

    return tuple(nodes) if visit(output) else ()
