"""Random transformer-like ONNX graphs in float64.

``random_graph(seed)`` draws one from a seed; ``random_graphs()`` is the hypothesis strategy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import onnx_ir as ir
from hypothesis import strategies as st

from random_graphs.builder import Builder
from random_graphs.program import Profile, draw_program
from random_graphs.text import graph_text

__all__ = ["Profile", "RandomGraph", "random_graph", "random_graphs"]


@dataclasses.dataclass(frozen=True, repr=False)
class RandomGraph:
    """A valid float64 model, and inputs for it at each binding of its symbolic dimensions."""

    model: ir.Model
    inputs: tuple[dict[str, np.ndarray], ...]

    def __repr__(self) -> str:
        return "\n" + graph_text(self.model)


def _draw(below: Callable[[int], int], profile: Profile) -> RandomGraph:
    opset = profile.opsets[below(len(profile.opsets))]
    builder = Builder(below, opset=opset, smooth=profile.smooth)
    draw_program(builder, profile)
    return RandomGraph(builder.model(), tuple(builder.arrays))


def random_graph(seed: int, profile: Profile | None = None) -> RandomGraph:
    """The graph of this seed."""
    generator = np.random.default_rng(seed)
    return _draw(lambda n: int(generator.integers(n)), profile or Profile())


@st.composite
def random_graphs(draw: st.DrawFn, profile: Profile | None = None) -> RandomGraph:
    """Strategy of random graphs, simple ones first."""
    return _draw(lambda n: draw(st.integers(0, n - 1)), profile or Profile())
