"""Streams that pass through an If: each branch hands a stream on, changes it or writes it anew.

Both branches give the dimensions of the stream.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from tests.random_graphs.builder import Builder
from tests.random_graphs.linear import linear
from tests.random_graphs.norms import layer_norm
from tests.random_graphs.sublayers import activation
from tests.random_graphs.tensors import Tensor

__all__ = ["branched"]

Change = Callable[[Tensor], Tensor]


def branched(g: Builder, x: Tensor, update: Change) -> Tensor:
    """An If with one result or two, each a stream; ``update`` is a block of such a stream.

    The second one may be read by nobody, but not in a smooth graph: what is dead reads nothing raw.
    """
    count = 1 if g.smooth and g.in_body else 1 + g.chance(25)
    condition = g.input(
        [], draw=lambda s: np.asarray(g.random.random() < 0.5), dtype=ir.DataType.BOOL
    )
    graphs = []
    for name in ("then", "else"):
        with g.body() as nodes:
            given = [_own(g, _change(g, x, update), nodes) for _ in range(count)]
        graphs.append(ir.Graph([], given, nodes=nodes, name=g.name(name)))
    results = g.node_outputs(
        "If",
        [condition],
        [x.dims] * count,
        x.axis,
        then_branch=graphs[0],
        else_branch=graphs[1],
    )
    if count == 1:
        return results[0]
    if not g.smooth and g.chance(50):  # x - x has zero mean by coincidence
        return g.binary("Add", *results)
    if not g.in_body:
        g.output(layer_norm(g, results[1], fused=g.smooth))
    return results[0]


def _change(g: Builder, x: Tensor, update: Change) -> Tensor:
    changes: list[Change] = [
        lambda x: x,
        update,
        lambda x: g.unary("Neg", x),
        lambda x: linear(g, g.features_last(x), x.size) if x.is_last else g.unary("Neg", x),
        lambda x: linear(g, layer_norm(g, x, fused=g.smooth), x.size) if x.is_last else x,
        lambda x: activation(g, x),
        lambda x: layer_norm(g, x, fused=g.smooth),
        lambda x: g.binary("Add", x, g.constant(g.normal([x.size] + [1] * (x.rank - 1 - x.axis)))),
    ]
    if not g.depth > 1:
        changes.append(lambda x: branched(g, x, update))
    return g.pick(changes)(x)


def _own(g: Builder, y: Tensor, nodes: list[ir.Node]) -> ir.Value:
    """A value of the branch, which no other result of it is: a result may be given once."""
    if y.value.producer() not in nodes or y.value.is_graph_output() or g.chance(20):
        y = g.unary("Identity", y)
    y.value.type = ir.TensorType(ir.DataType.DOUBLE)
    return y.value
