"""Which values constants that hold NaN or infinity may reach."""

from __future__ import annotations

import functools
import math

import numpy as np
import onnx_ir as ir

from graphopt.passes.graph import constants
from graphopt.passes.graph.naming import all_nodes

__all__ = ["NotFinite"]


class NotFinite:
    """Finds what is computed from constants that hold NaN or infinity, followed by their readers.

    NaN goes through every operator. Infinity ends at a Softmax, for which masks of -Inf are made.
    What is no float is neither. Where a constant goes into the body of an operator (If, Loop), it
    is taken to reach everything.

    Args:
        model: The graph. Every constant that is or becomes a float is read once, when it is first
            asked; constants are those that the file holds, filled by ConstantOfShape or converted
            by a Cast, but not what is computed of some.
    """

    def __init__(self, model: ir.Model) -> None:
        self._model = model

    def reaches(self, value: ir.Value | None) -> bool:
        """True where ``value`` may be computed from such a constant."""
        reached = self._reached
        return reached is None or value in reached

    @functools.cached_property
    def _reached(self) -> set[ir.Value] | None:
        """All values that are; None where it may be any."""
        reached: set[ir.Value] = set()
        for is_nan, values in self._sources().items():
            pending, seen = values, set(values)
            while pending:
                for node, _ in pending.pop().uses():
                    if node.graph is not self._model.graph or _has_bodies(node):
                        return None
                    if node.op_type == "Softmax" and not node.domain and not is_nan:
                        continue
                    new = [each for each in node.outputs if _is_float(each) and each not in seen]
                    pending += new
                    seen.update(new)
            reached |= seen
        return reached

    def _sources(self) -> dict[bool, list[ir.Value]]:
        """The constants with NaN, under True, and those with infinity alone, under False."""
        found: dict[bool, list[ir.Value]] = {True: [], False: []}
        read = {value: None for node in all_nodes(self._model) for value in node.inputs if value}
        for value in read:
            largest = _largest(value)
            if largest is not None and not math.isfinite(largest):
                found[math.isnan(largest)].append(value)
        return found


def _largest(value: ir.Value) -> float | None:
    """The largest magnitude of a float constant, or of what fills or converts one; else None."""
    node = value.producer()
    tensor = constants.constant_tensor(value)
    if tensor is None and node is not None and not node.domain:
        if node.op_type == "ConstantOfShape":
            tensor = node.attributes.get_tensor("value", None)
        elif node.op_type == "Cast" and value.dtype is not None and _is_float(value):
            stored = constants.constant_tensor(node.inputs[0])
            if stored is not None and stored.dtype != ir.DataType.STRING:
                with np.errstate(over="ignore"):
                    return float(np.float64(constants.largest(stored)).astype(value.dtype.numpy()))
    if tensor is None or not tensor.dtype.is_floating_point():
        return None
    return constants.largest(tensor)


def _has_bodies(node: ir.Node) -> bool:
    return any(
        attribute.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
        for attribute in node.attributes.values()
    )


def _is_float(value: ir.Value) -> bool:
    return value.dtype is None or value.dtype.is_floating_point()
