"""How the heads of attention are split off [B, S, N * H], and joined to it again."""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from graphopt.passes.graph import axes, constants
from graphopt.passes.graph.axes import Dim
from graphopt.passes.graph.naming import Names
from graphopt.passes.graph.sizes import same_dimensions, same_shape
from graphopt.passes.graph.unread import remove_unread, replace
from graphopt.passes.graph.walking import only_reader, produced_by

__all__ = [
    "SPLIT",
    "SPLIT_KEYS",
    "Heads",
    "join_of",
    "joining",
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
        apart: [B, S, N, H].
        joined: [B, S, N * H] with the same entries, where there is such a value.
        count: N.
        size: H, the features of a head.
    """

    apart: ir.Value
    joined: ir.Value | None
    count: int
    size: int

    @property
    def batch(self) -> Dim | None:
        """B, where it is known."""
        return axes.dimension(self.apart, 0)

    @property
    def length(self) -> Dim | None:
        """S, where it is known."""
        return axes.dimension(self.apart, 1)

    @property
    def sizes(self) -> ir.Shape:
        """[B, S, N * H]."""
        assert self.apart.shape is not None
        return ir.Shape([*self.apart.shape[:2], self.count * self.size])

    def join(self, names: Names, reader: ir.Node) -> ir.Value:
        """[B, S, N * H] for ``reader``; a Reshape, before it, where there is no such value."""
        if self.joined is not None:
            return self.joined
        width, name = self.count * self.size, names.fresh(f"{self.apart.name}.joined")
        node = ir.node("Reshape", [self.apart, names.integers(0, 0, width)], name=name)
        result = node.outputs[0]
        result.name, result.type, result.shape = name, self.apart.type, self.sizes
        assert reader.graph is not None
        reader.graph.insert_before(reader, node)
        return result


def split_from(value: ir.Value | None, order: tuple[int, ...] = SPLIT) -> Heads | None:
    """What ``value`` = Transpose(Reshape(x, [B, S, N, H]), order) has been split off.

    N and H are numbers. x is [B, S, N * H], or anything else with these entries, as a matrix.
    """
    turn = produced_by(value, "Transpose")
    if turn is None or tuple(turn.attributes.get_ints("perm", ())) != order:
        return None
    split = produced_by(turn.inputs[0], "Reshape")
    if split is None or axes.rank(split.outputs[0]) != 4:
        return None
    x, apart = split.inputs[0], split.outputs[0]
    count, size = (axes.dimension(apart, axis) for axis in (2, 3))
    if not isinstance(count, int) or not isinstance(size, int) or count < 1 or size < 1:
        return None
    found = Heads(apart, None, count, size)
    if x is None or axes.rank(x) != 3 or axes.dimension(x, 2) != count * size:
        return found
    before, behind = ([axes.dimension(v, axis) for axis in (0, 1)] for v in (x, apart))
    return dataclasses.replace(found, joined=x) if same_dimensions(before, behind) else found


def joining(mixed: ir.Value, count: int, size: int) -> ir.Node | None:
    """The Reshape of Transpose(``mixed``, (0, 2, 1, 3)) that joins the heads [B, N, S, H].

    None unless nothing else reads what lies between, and the Reshape may read [B, S, N * H] instead
    of [B, S, N, H]: it makes just that, or its sizes are constants of which none beyond the first
    two is 0, which would be the operand's own.
    """
    turn = only_reader(mixed, "Transpose")
    if turn is None or tuple(turn.attributes.get_ints("perm", ())) != SPLIT:
        return None
    apart = turn.outputs[0]
    join = only_reader(apart, "Reshape")
    if join is None or join.inputs[0] is not apart or axes.rank(apart) != 4:
        return None
    result = join.outputs[0]
    sizes = constants.entries(join.inputs[1]) if len(join.inputs) > 1 else None
    if sizes is not None and 0 not in sizes.reshape(-1)[2:]:
        return join
    own = [axes.dimension(apart, 0), axes.dimension(apart, 1), count * size]
    made = [axes.dimension(result, axis) for axis in range(axes.rank(result) or 0)]
    return join if same_dimensions(own, made) and not result.is_graph_output() else None


def join_of(mixed: ir.Value) -> ir.Node | None:
    """The Reshape of ``joining`` where what it makes of [B, N, S, H] is proved [B, S, N * H]."""
    count, size = (axes.dimension(mixed, axis) for axis in (1, 3))
    if axes.rank(mixed) != 4 or not isinstance(count, int) or not isinstance(size, int):
        return None
    join = joining(mixed, count, size)
    if join is None or join.outputs[0].is_graph_output():
        return None
    apart, result = join.inputs[0], join.outputs[0]
    assert apart is not None
    own = [axes.dimension(apart, 0), axes.dimension(apart, 1), count * size]
    made = [axes.dimension(result, axis) for axis in range(axes.rank(result) or 0)]
    return join if same_dimensions(own, made) else None


def put(join: ir.Node, joined: ir.Value) -> None:
    """Let all that reads what ``join`` makes read ``joined`` [B, S, N * H]."""
    result, apart = join.outputs[0], join.inputs[0]
    if same_shape(result, joined) and not result.is_graph_output():
        replace(result, joined)
        return
    join.replace_input_with(0, joined)
    remove_unread([apart])
