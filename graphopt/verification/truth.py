"""What a model computes in float64: the truth that others are held against."""

from __future__ import annotations

__all__ = ["evaluate"]

import os
from collections.abc import Mapping, Sequence

import onnx_ir as ir

from graphopt.errors import UsageError, listed
from graphopt.evaluation.calls import Array
from graphopt.evaluation.float64 import evaluate_in_float64
from graphopt.files import loading


def evaluate(
    model: ir.Model | str | os.PathLike[str],
    inputs: Mapping[str, Array],
    outputs: Sequence[str] | None = None,
) -> dict[str, Array]:
    """Evaluate a model in float64 with numpy, whatever types it declares.

    Weights, constants, inputs and every value between them are float64, so that what remains is
    the rounding of float64; integers and booleans stay as they are. ONNX Runtime takes no part. The
    operators are those of ONNX, and ONNX Runtime's and graphopt's own norms and attentions.

    Args:
        model: A file, or a model in memory, which is not changed.
        inputs: One array for each graph input, by name, of a shape that the input declares, such as
            :func:`graphopt.generate_inputs` gives. Inputs with a stored default may be left out.
        outputs: Names of the values wanted: any of the main graph, a residual stream for example.
            By default the graph outputs, in order. What they do not depend on is not evaluated.

    Returns:
        The wanted values, by name.

    Raises:
        UsageError: An input is missing or unknown, or there is no value of a name in ``outputs``.
        ModelError: A file is missing or no valid model, an operator is not known, or a node cannot
            be evaluated on these inputs; the message names the node.
    """
    if not isinstance(model, ir.Model):
        model = loading.load(model)
    graph = model.graph
    known = [value.name or "" for value in graph.inputs]
    needed = [value.name for value in graph.inputs if value.const_value is None]
    for name in inputs:
        if name not in known:
            raise UsageError(f"the model has no input {name!r}: choose one of {listed(known)}")
    missing = [name for name in needed if name not in inputs]
    if missing and outputs is None:
        raise UsageError(f"input {missing[0]!r} is missing: give an array for each input")
    values = {*known, *graph.initializers, *(v.name for node in graph for v in node.outputs)}
    for name in outputs or ():
        if name not in values:
            raise UsageError(f"the model's graph has no value {name!r}: choose one of its values")
    return evaluate_in_float64(model, inputs, outputs)
