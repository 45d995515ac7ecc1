"""Draws a whole graph: sources of streams, then steps, then heads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tests.random_graphs.branches import branched
from tests.random_graphs.builder import Builder
from tests.random_graphs.linear import embedding, linear
from tests.random_graphs.movers import full_constant, move
from tests.random_graphs.norms import epsilon, layer_norm
from tests.random_graphs.readers import captured, read
from tests.random_graphs.sublayers import activation, sublayer
from tests.random_graphs.tensors import Dim, Tensor

__all__ = ["Profile", "draw_program"]


@dataclasses.dataclass(frozen=True)
class Profile:
    """How large and how strange the graphs are.

    Attributes:
        steps: Largest number of blocks and other steps.
        opsets: Opsets to draw from, the simplest first.
        taps: Percentage of steps that only read a stream.
        moves: Percentage of steps that move a stream to another layout or the like.
        smooth: Leaves out what is convertible only by coincidence or only in another spelling.
        symbolic: Whether the batch and the sequence may be symbolic.
    """

    steps: int = 6
    opsets: tuple[int, ...] = (18, 17, 20, 13, 23)
    taps: int = 12
    moves: int = 45
    smooth: bool = False
    symbolic: bool = True


class Program:
    """The streams of one graph while it is drawn."""

    def __init__(self, g: Builder, profile: Profile) -> None:
        self.g = g
        self.profile = profile
        self.d = 3 + g.below(4)
        self.batch = self._dim("B", (2, 3) if profile.smooth else (2, 1, 3))
        self.sequence = self._dim("S", (4, 5) if profile.smooth else (4, 3, 2, 5, 1))
        self.streams: list[Tensor] = []
        self.tables: list[tuple[object, int]] = []

    def _dim(self, name: str, sizes: tuple[int, ...]) -> Dim:
        g = self.g
        first = g.pick(sizes)
        if not self.profile.symbolic or g.chance(50):
            return Dim.static(first)
        return Dim((first, g.pick(sizes)), name)

    # Sources ------------------------------------------------------------------------------------

    def source(self) -> Tensor:
        g, d = self.g, self.d
        dims = (self.batch, self.sequence)
        kind = g.below(6)
        if kind <= 1:
            x, table, rows = embedding(g, dims, d)
            self.tables.append((table, rows))
        elif kind == 2:
            x = linear(g, g.input([*dims, Dim.static(2 + g.below(3))], 2), d)
        elif kind == 3:
            x = self._patches()
        elif kind == 4:
            x = g.binary(
                "Add", linear(g, g.input([*dims, Dim.static(2)], 2), d), embedding(g, dims, d)[0]
            )
        else:
            x = g.input([*dims, Dim.static(d)], 2)
        if g.chance(60):
            x = self._with_positions(x)
        if g.chance(25):
            x = layer_norm(g, x, fused=g.smooth)
        return x

    def _patches(self) -> Tensor:
        """An image cut into patches by a Conv: [B, d, L], then [B, L, d]."""
        g, d, n = self.g, self.d, 1 + self.g.below(2)
        size = Dim.static(2)
        image = g.input([self.batch, size, *[Dim.static(4)] * n], 1)
        w = g.constant(g.normal([d, 2, *[2] * n], scale=0.5))
        inputs = [image, w, g.constant(g.normal([d]))] if g.chance(70) else [image, w]
        x = g.node(
            "Conv",
            inputs,
            [self.batch, Dim.static(d), *[size] * n],
            1,
            kernel_shape=[2] * n,
            strides=[2] * n,
        )
        if n == 2:
            flat = g.reshape(x, [self.batch, Dim.static(d), Dim.static(4)], 1)
            if flat is not None:
                x = flat
        return g.features_last(x) if g.chance(80) else x

    def _with_positions(self, x: Tensor) -> Tensor:
        g = self.g
        if x.is_last and g.chance(30):
            positions = embedding(g, x.dims[1:-1] if g.chance(50) else x.dims[:-1], self.d)[0]
            return g.binary("Add", x, positions, flip=g.chance(30))
        return full_constant(g, x)

    # Steps --------------------------------------------------------------------------------------

    def step(self) -> None:
        g = self.g
        at = g.below(len(self.streams))
        x = self.streams[at]
        roll = g.below(100)
        if roll >= 100 - self.profile.taps:
            read(g, x)
        elif roll >= 100 - self.profile.taps - self.profile.moves:
            self.streams[at] = move(g, x)
        else:
            self.streams[at] = g.pick(self._blocks())(x)

    def _blocks(self) -> list[Callable[[Tensor], Tensor]]:
        return [
            self.pre_norm,
            self.pre_norm,
            self.pre_norm,
            self.parallel,
            self.post_norm,
            self.peri_norm,
            self.fresh,
            self.fork,
            self.joined,
            self.gated,
            self.passed_through_if,
        ]

    def norm(self, x: Tensor, eps: float | None = None) -> Tensor:
        return layer_norm(self.g, x, eps=eps, fused=self.g.smooth)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        g = self.g
        return g.binary("Sub" if g.chance(10) else "Add", x, y, flip=g.chance(40))

    def memory(self, x: Tensor) -> Tensor | None:
        """Another stream to attend to: its norm, or the raw stream."""
        others = [
            s for s in self.streams if s.value is not x.value and s.is_last and s.rank == x.rank
        ]
        others = [s for s in others if s.dims[:-2] == x.dims[:-2] and s.dims[-2].least >= 2]
        if not others or not self.g.chance(60):
            return None
        other = self.g.pick(others)
        return self.norm(other) if self.g.chance(80) else other

    def pre_norm(self, x: Tensor) -> Tensor:
        return self.add(x, sublayer(self.g, self.norm(x), self.memory(x)))

    def parallel(self, x: Tensor) -> Tensor:
        """Two sublayers read one value through twin norms."""
        g = self.g
        eps = epsilon(g)
        first = self.norm(x, eps)
        second = first if g.chance(30) else self.norm(x, eps if g.chance(80) else 2e-3)
        return self.add(self.add(x, sublayer(g, first)), sublayer(g, second))

    def post_norm(self, x: Tensor) -> Tensor:
        return self.norm(self.add(x, sublayer(self.g, x)))

    def peri_norm(self, x: Tensor) -> Tensor:
        return self.add(x, self.norm(sublayer(self.g, self.norm(x))))

    def fresh(self, x: Tensor) -> Tensor:
        """A norm and a linear map start a new stream."""
        return linear(self.g, self.norm(x), self.d)

    def fork(self, x: Tensor) -> Tensor:
        """From here on two streams continue."""
        self.streams.append(x)
        return move(self.g, x)

    def joined(self, x: Tensor) -> Tensor:
        """Adds another stream of the same dimensions."""
        same = [s for s in self.streams if s.dims == x.dims and s.axis == x.axis]
        if not self.g.smooth:
            return self.add(x, self.g.pick(same))
        others = [s for s in same if s.value is not x.value]  # x - x has zero mean by coincidence
        return self.g.binary("Add", x, self.g.pick(others)) if others else x

    def gated(self, x: Tensor) -> Tensor:
        """adaLN-like: a gate from the data scales each feature of the branch."""
        g = self.g
        gate = g.unary("Tanh", linear(g, self.norm(x), x.size))
        return self.add(x, g.binary("Mul", sublayer(g, self.norm(x)), gate))

    def passed_through_if(self, x: Tensor) -> Tensor:
        if self.g.chance(40):
            return captured(self.g, x)
        return branched(self.g, x, self.pre_norm)

    # Heads --------------------------------------------------------------------------------------

    def head(self, x: Tensor) -> None:
        """Makes the stream an output: normed, projected, tied with a table, or raw."""
        g = self.g
        if g.chance(12):
            g.output(x)
            return
        y = self.norm(x)
        kind = g.below(4)
        tied = [(t, rows) for t, rows in self.tables if y.is_last]
        if kind == 1 and tied:
            table, rows = g.pick(tied)
            turned = g.node("Transpose", [table], [Dim.static(rows)], 0, perm=[1, 0])
            y = g.node("MatMul", [y, turned], [*y.dims[:-1], Dim.static(rows)], y.axis)
        elif kind == 2 and tied and y.rank == 2:
            table, rows = g.pick(tied)
            y = g.node("Gemm", [y, table], [y.dims[0], Dim.static(rows)], 1, transB=1)
        elif kind == 3:
            y = activation(g, linear(g, y, 3))
        g.output(y)


def draw_program(g: Builder, profile: Profile) -> None:
    """Fills the builder with one random graph."""
    program = Program(g, profile)
    program.streams.append(program.source())
    if g.chance(20):
        program.streams.append(program.source())
    for _ in range(g.below(profile.steps + 1)):
        program.step()
    for stream in program.streams:
        program.head(stream)
