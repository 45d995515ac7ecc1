"""Builds the norm-free floor of a model: the limit of what a faster norm can gain.

The floor is the same graph without its LayerNorms. It computes something else, and no rewrite of
the norms can be faster. Beside it, one can say which share of the cost of normalization was saved.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np
import onnx_ir as ir

from graphopt.errors import ModelError
from graphopt.evaluation import evaluate
from graphopt.evaluation.float64 import cast_to_float64
from graphopt.passes import pipeline
from graphopt.passes.remove_norms import RemoveNorms, layer_norms

__all__ = ["Removed", "remove_all_norms"]

# An activation this near the largest or the smallest normal number of its type is suspect.
_MARGIN = 100.0


@dataclasses.dataclass(frozen=True)
class Removed:
    """What a floor lacks that the model has.

    Attributes:
        norms: How many norms were removed.
        fused: True where something beside the norms was cleaned up or fused too.
    """

    norms: int
    fused: bool


def remove_all_norms(
    model: ir.Model,
    inputs: Mapping[str, np.ndarray],
    options: pipeline.Options | None = None,
) -> Removed:
    """Turns ``model`` into its norm-free floor, in place, by the passes that optimizing runs.

    One evaluation in float64 measures rms(output) / rms(input) of each norm, which
    :class:`~graphopt.passes.remove_norms.RemoveNorms` multiplies into the weights that read it; a
    second one sees that activations stay finite and normal.

    Args:
        model: The model.
        inputs: One array for each graph input, such as those it will be timed on.
        options: What the graph is lowered for, as for the optimized model beside it.

    Returns:
        What was removed.

    Raises:
        ModelError: Without norms the activations overflow or vanish, so that timing them would
            say nothing.
    """
    options = options or pipeline.Options()
    _, before = pipeline.prepare(model, options)
    norms = [norm for norm in layer_norms(model) if norm.graph is model.graph]
    sources = [norm.inputs[0] for norm in norms if norm.inputs[0] is not None]
    remove = RemoveNorms(_factors(model, norms, inputs))
    remove(model)
    _check_activations(model, sources, inputs)
    _, after = pipeline.run(model, options)
    return Removed(remove.record["norms removed"], pipeline.is_fused((*before, *after)))


def _factors(
    model: ir.Model, norms: Iterable[ir.Node], inputs: Mapping[str, np.ndarray]
) -> dict[str, float]:
    ends = [(_name(norm.inputs[0]), _name(norm.outputs[0])) for norm in norms]
    arrays = _evaluate(model, {name for pair in ends for name in pair}, inputs)
    factors = {}
    for source, result in ends:
        before, after = _rms(arrays[source]), _rms(arrays[result])
        if 0 < before < np.inf and 0 < after < np.inf:
            factors[result] = after / before
    return factors


def _check_activations(
    model: ir.Model, values: Iterable[ir.Value], inputs: Mapping[str, np.ndarray]
) -> None:
    # What one norm read may have been the output of another, which is gone.
    present = {_name(value): value for value in values if _is_in(model.graph, value)}
    for name, array in _evaluate(model, present, inputs).items():
        half = present[name].dtype == ir.DataType.FLOAT16
        limits = np.finfo(np.float16 if half else np.float32)
        magnitude = _rms(array)
        if not float(limits.tiny) * _MARGIN <= magnitude <= float(limits.max) / _MARGIN:
            raise ModelError(
                f"{name}: its root mean square is {magnitude:.3g} once the norms are removed, "
                f"beyond what {limits.dtype} takes: this model has no norm-free floor, leave it "
                "out (--no-floor)"
            )


def _is_in(graph: ir.Graph, value: ir.Value) -> bool:
    producer = value.producer()
    return producer is None or producer.graph is graph


def _evaluate(
    model: ir.Model, names: Iterable[str], inputs: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    wide = {
        name: array.astype(np.float64) if np.issubdtype(array.dtype, np.floating) else array
        for name, array in inputs.items()
    }
    return evaluate(cast_to_float64(model), wide, sorted(names))


def _rms(array: np.ndarray) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sqrt(np.mean(np.square(array))))


def _name(value: ir.Value | None) -> str:
    return "" if value is None or value.name is None else value.name
