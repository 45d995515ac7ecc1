"""Residual sums that a norm reads: how to read them, and how to fuse them with the norm."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import onnx_ir as ir

from graphopt.passes.graph.constants import constant_tensor
from graphopt.passes.graph.walking import orders, produced_by

__all__ = [
    "ResidualSum",
    "depends_on",
    "dims",
    "full_sum",
    "is_vector",
    "put_fused",
    "residual_sums",
]

_GRAPHS = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


@dataclasses.dataclass(frozen=True)
class ResidualSum:
    """``total`` = ``first`` + ``second`` + ``bias``, in one or two Adds of one graph.

    Attributes:
        add: The Add that computes ``total``.
        first: An operand.
        second: The other one.
        bias: What a second Add adds, or None.
    """

    add: ir.Node
    first: ir.Value
    second: ir.Value
    bias: ir.Value | None

    @property
    def total(self) -> ir.Value:
        """The sum."""
        return self.add.outputs[0]

    @property
    def is_kept(self) -> bool:
        """True where the sum has other readers than one norm."""
        return len(self.total.uses()) > 1 or self.total.is_graph_output()


def residual_sums(total: ir.Value, graph: ir.Graph | ir.Function) -> Iterator[ResidualSum]:
    """Every way to read ``total`` as a sum in ``graph``: those with a bias first.

    Nothing is said of shapes: of three operands each may be the bias. An inner Add must have one
    reader.
    """
    last = produced_by(total, "Add")
    if last is None or last.graph is not graph:
        return
    for outer in orders(last):
        inner = produced_by(outer[0], "Add")
        if inner is None or inner.graph is not graph or outer[0].is_graph_output():
            continue
        if len(outer[0].uses()) == 1:
            for left, right in orders(inner):
                yield ResidualSum(last, left, outer[1], right)
                yield ResidualSum(last, outer[1], left, right)
                yield ResidualSum(last, left, right, outer[1])
    for left, right in orders(last):
        yield ResidualSum(last, left, right, None)


def full_sum(norm: ir.Node, has_bias: bool) -> ResidualSum | None:
    """What ``norm`` reads as a sum of two operands of one shape, and of a bias [d] if asked for.

    None where the shapes are not proved equal, or a parameter of the norm may be computed from the
    sum.
    """
    x, graph = norm.inputs[0], norm.graph
    assert x is not None and graph is not None
    if any(depends_on(parameter, x) for parameter in norm.inputs[1:]):
        return None
    shape = dims(x)
    for read in residual_sums(x, graph):
        if (read.bias is not None) != has_bias:
            continue
        if read.bias is not None and not is_vector(read.bias, x):
            continue
        same_type = read.first.dtype == read.second.dtype == x.dtype
        if shape is not None and same_type and dims(read.first) == dims(read.second) == shape:
            return read
    return None


def depends_on(value: ir.Value | None, source: ir.Value) -> bool:
    """True where ``value`` may be computed from ``source``, a value of the same graph.

    A node that holds graphs may read anything in them.
    """
    seen: set[ir.Value] = set()
    queue = [value]
    while queue:
        current = queue.pop()
        if current is source:
            return True
        node = None if current is None or current in seen else current.producer()
        if node is None or current is None:
            continue
        seen.add(current)
        if any(attribute.type in _GRAPHS for attribute in node.attributes.values()):
            return True
        queue.extend(node.inputs)
    return False


def is_vector(value: ir.Value, x: ir.Value) -> bool:
    """True for a constant of one entry for each feature of ``x``."""
    tensor = constant_tensor(value)
    return tensor is not None and x.shape is not None and list(tensor.shape) == [x.shape[-1]]


def dims(value: ir.Value) -> list[int | str] | None:
    """The dimensions of ``value`` if all are known numbers or symbols."""
    if value.shape is None:
        return None
    found = [dim if isinstance(dim, int) else dim.value for dim in value.shape]
    known = [dim for dim in found if dim is not None]
    return known if len(known) == len(found) else None


def put_fused(fused: ir.Node, norm: ir.Node, read: ResidualSum, total: ir.Value | None) -> None:
    """Put ``fused`` in the place of ``norm`` and of the Adds whose sum it reads.

    Args:
        fused: Its first output takes over the readers and the name of the norm's.
        norm: The norm that reads the sum.
        read: The sum.
        total: The output of ``fused`` that takes over the sum; None where only the norm reads it.
    """
    graph = norm.graph
    assert graph is not None
    graph.insert_before(read.add, fused)
    _take_over(norm.outputs[0], fused.outputs[0])
    if total is not None:
        _take_over(read.total, total)
    adds = [operand.producer() for operand in read.add.inputs if operand is not None]
    graph.remove(norm, safe=True)
    graph.remove(read.add, safe=True)
    for add in adds:
        if add is not None and add.op_type == "Add" and not _is_read(add.outputs[0]):
            graph.remove(add, safe=True)


def _take_over(old: ir.Value, new: ir.Value) -> None:
    """Give the readers, the name and the type of ``old`` to ``new``."""
    old.replace_all_uses_with(new, replace_graph_outputs=True)
    new.name, new.type, new.shape = old.name, old.type, old.shape
    new.meta.update(old.meta)


def _is_read(value: ir.Value) -> bool:
    return bool(value.uses()) or value.is_graph_output()
