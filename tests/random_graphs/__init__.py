"""Random transformer-like ONNX graphs in float64.

``random_graph(seed)`` draws one from a seed; ``random_graphs()`` is the hypothesis strategy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx.shape_inference
import onnx_ir as ir
from hypothesis import strategies as st
from onnx_ir.passes import common

from tests.random_graphs.builder import Builder
from tests.random_graphs.program import Profile, draw_program
from tests.random_graphs.text import graph_text

__all__ = ["Profile", "RandomGraph", "random_graph", "random_graphs"]


@dataclasses.dataclass(frozen=True, repr=False)
class RandomGraph:
    """A valid float64 model, and inputs for it at each binding of its symbolic dimensions.

    It is not valid where a shape is declared that is not the value's, or that of an input is not.
    """

    proto: onnx.ModelProto
    inputs: tuple[dict[str, np.ndarray], ...]
    is_valid: bool = True

    def model(self) -> ir.Model:
        """A model of its own, as if loaded from a file (attributes are float32 there)."""
        return ir.serde.deserialize_model(self.proto)

    def __repr__(self) -> str:
        return "\n" + graph_text(self.model())

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How hypothesis prints a failing graph."""
        printer.text(repr(self))


def _draw(below: Callable[[int], int], profile: Profile) -> RandomGraph:
    opset = profile.opsets[below(len(profile.opsets))]
    builder = Builder(below, opset=opset, smooth=profile.smooth)
    draw_program(builder, profile)
    model = builder.model()
    if profile.smooth or below(4) < 3:
        common.RemoveUnusedNodesPass()(model)
    proto = ir.serde.serialize_model(model)
    if below(2) and builder.is_valid:
        proto = onnx.shape_inference.infer_shapes(proto)
    return RandomGraph(proto, tuple(builder.arrays), builder.is_valid)


def random_graph(seed: int, profile: Profile | None = None) -> RandomGraph:
    """The graph of this seed."""
    generator = np.random.default_rng(seed)
    return _draw(lambda n: int(generator.integers(n)), profile or Profile())


@st.composite
def random_graphs(draw: st.DrawFn, profile: Profile | None = None) -> RandomGraph:
    """Strategy of random graphs, simple ones first."""
    return _draw(lambda n: draw(st.integers(0, n - 1)), profile or Profile())
