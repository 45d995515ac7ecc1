"""How the heads of attention are split off x [B, S, N * H], and joined to it again."""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.axes import Dim
from graphopt.passes.graph.sizes import same_dimensions, same_shape
from graphopt.passes.graph.unread import remove_unread, replace

__all__ = [
    "SPLIT",
    "SPLIT_KEYS",
    "Heads",
    "joining",
    "only_reader",
    "producer",
    "put",
    "split_from",
]

SPLIT = (0, 2, 1, 3)
"""From [B, S, N, H] to [B, N, S, H], and back."""
SPLIT_KEYS = (0, 2, 3, 1)
"""From [B, S, N, H] to [B, N, H, S], what the queries are multiplied by."""


@dataclasses.dataclass(frozen=True)
class Heads:
    """What heads have been split off.

    Attributes:
        joined: [B, S, N * H].
        count: N.
        size: H, the features of a head.
    """

    joined: ir.Value
    count: int
    size: int

    @property
    def batch(self) -> Dim | None:
        """B, where it is known."""
        return axes.dimension(self.joined, 0)

    @property
    def length(self) -> Dim | None:
        """S, where it is known."""
        return axes.dimension(self.joined, 1)


def split_from(value: ir.Value | None, order: tuple[int, ...] = SPLIT) -> Heads | None:
    """What ``value`` = Transpose(Reshape(x, [B, S, N, H]), order) has been split off.

    None unless it is proved that x is [B, S, N * H] of the same B and S; N and H are numbers.
    """
    turn = producer(value, "Transpose")
    if turn is None or tuple(turn.attributes.get_ints("perm", ())) != order:
        return None
    split = producer(turn.inputs[0], "Reshape")
    joined = None if split is None else split.inputs[0]
    if split is None or joined is None or axes.rank(joined) != 3:
        return None
    apart = split.outputs[0]
    if axes.rank(apart) != 4 or joined.dtype != apart.dtype:
        return None
    count, size, width = (
        axes.dimension(v, axis) for v, axis in ((apart, 2), (apart, 3), (joined, 2))
    )
    if not isinstance(count, int) or not isinstance(size, int) or width != count * size:
        return None
    before, behind = ([axes.dimension(v, axis) for axis in (0, 1)] for v in (joined, apart))
    return Heads(joined, count, size) if same_dimensions(before, behind) else None


def joining(mixed: ir.Value, count: int, size: int) -> ir.Node | None:
    """The Reshape of Transpose(``mixed``, (0, 2, 1, 3)) that joins the heads [B, N, S, H].

    None unless nothing else reads what lies between, and the Reshape may read [B, S, N * H] instead
    of [B, S, N, H]: it makes just that, or its sizes are constants of which none beyond the first
    two is 0, which would be the operand's own.
    """
    turn = only_reader(mixed)
    if turn is None or turn.op_type != "Transpose" or turn.domain:
        return None
    if tuple(turn.attributes.get_ints("perm", ())) != SPLIT:
        return None
    apart = turn.outputs[0]
    join = only_reader(apart)
    if join is None or join.op_type != "Reshape" or join.domain or join.inputs[0] is not apart:
        return None
    if join.graph is not turn.graph or axes.rank(apart) != 4:
        return None
    result = join.outputs[0]
    sizes = constants.entries(join.inputs[1]) if len(join.inputs) > 1 else None
    if sizes is not None and 0 not in sizes.reshape(-1)[2:]:
        return join
    own = [axes.dimension(apart, 0), axes.dimension(apart, 1), count * size]
    made = [axes.dimension(result, axis) for axis in range(axes.rank(result) or 0)]
    return join if same_dimensions(own, made) and not result.is_graph_output() else None


def put(join: ir.Node, joined: ir.Value) -> None:
    """Let all that reads what ``join`` makes read ``joined`` [B, S, N * H]."""
    result, apart = join.outputs[0], join.inputs[0]
    if same_shape(result, joined) and not result.is_graph_output():
        replace(result, joined)
        return
    join.replace_input_with(0, joined)
    remove_unread([apart])


def only_reader(value: ir.Value) -> ir.Node | None:
    """The node that reads ``value``, if nothing else does, and no caller of the model."""
    uses = list(value.uses())
    return uses[0].node if len(uses) == 1 and not value.is_graph_output() else None


def producer(value: ir.Value | None, op_type: str) -> ir.Node | None:
    """The node that computes ``value`` if it is the ONNX operator ``op_type``."""
    node = None if value is None else value.producer()
    return None if node is None or node.domain or node.op_type != op_type else node
