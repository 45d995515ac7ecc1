"""Valid inputs for a model whose only documentation is its graph."""

from __future__ import annotations

__all__ = ["GeneratedInputs", "generate_inputs"]

from graphopt.inputs.generation import GeneratedInputs, generate_inputs
