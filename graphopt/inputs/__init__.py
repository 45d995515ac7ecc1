"""Valid inputs for a model whose only documentation is its graph."""

from __future__ import annotations

__all__ = ["GeneratedInputs", "InputGenerator", "InputsUnknown", "generate_inputs"]

from graphopt.inputs.dimensions import InputsUnknown
from graphopt.inputs.generation import GeneratedInputs, InputGenerator, generate_inputs
